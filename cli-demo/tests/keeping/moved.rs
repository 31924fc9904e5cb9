//! Owns the tests of endpoints that have moved since they were remembered.

use super::site::{METADATA, Person, Server, json};
use device_flow_testkit::loopback::{Authority, Loopback, Next};

/// What stands where an endpoint was.
const GONE: [(u16, &str, &str); 7] = [
    (404, "Content-Type: text/plain\r\n", "404 page not found\n"),
    (404, "Content-Type: text/html\r\n", "<html>nothing here</html>"),
    (404, "Content-Type: application/json\r\n", r#"{"error":"Realm does not exist"}"#),
    (404, "Content-Type: application/json\r\n", r#"{"detail":"Not Found"}"#),
    (404, "", ""),
    (405, "Allow: GET\r\n", ""),
    (410, "Content-Type: text/plain\r\n", "gone for good"),
];

#[test]
fn k13_a_remembered_endpoint_that_is_gone_is_looked_up_once_more() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    let mut versions = ["/v2", "/v1"].into_iter().cycle();
    for gone in GONE {
        for (line, path) in
            [("refresh", "/token"), ("token --min-ttl 2h", "/token"), ("credential kubernetes --min-ttl 2h", "/token")]
        {
            let new = versions.next().unwrap();
            server.set(|state| (state.version, state.elsewhere) = (new, gone));
            let asked = server.server.requests().len();
            let (exit, stdout, stderr) = person.types(line);
            assert_eq!(exit, 0, "{line} {gone:?}: {stderr}{stdout}");
            let paths = server.paths_from(asked);
            assert!(!paths[0].starts_with(new) && paths[0].ends_with(path), "{line}: {paths:?}");
            assert_eq!((&*paths[1], &*paths[2]), (METADATA, &*format!("{new}{path}")), "{line}");
            // From now on that is remembered.
            let asked = server.server.requests().len();
            assert_eq!(person.types("refresh").0, 0);
            assert_eq!(server.paths_from(asked), [format!("{new}/token")]);
        }
        // A silent login refreshes.
        person.set_of_access_tokens("expires_on", "1");
        let new = versions.next().unwrap();
        server.set(|state| state.version = new);
        let (exit, stdout, stderr) = person.types("login --json");
        assert_eq!((exit, &*stderr, &json(&stdout)["source"]), (0, "", &"refresh".into()));
    }
}

// Of a code sign-in every endpoint may have moved; that of tokens is needed only after the approval.
#[test]
fn k13_no_code_is_shown_before_the_endpoints_are_looked_up() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    let token = server.server.url("/v0/token");
    for member in ["token_endpoint", "device_authorization_endpoint"] {
        person.set_of_servers(|server| server["document"][member] = token.clone().into());
        let asked = server.server.requests().len();
        let (exit, _, stderr) = person.types("login --force");
        assert_eq!(exit, 0, "{member}: {stderr}");
        assert_eq!(server.paths_from(asked), [METADATA, "/v1/device", "/v1/token"], "{member}");
    }
    server.set(|state| state.version = "/v2");
    assert_eq!(person.types("login --force --no-wait").0, 0);
    assert_eq!(person.types("login --resume").0, 0);
    // Without metadata, what is remembered may do.
    server.set(|state| state.hides_metadata = true);
    let (exit, _, stderr) = person.types("login --force");
    assert_eq!(exit, 0, "{stderr}");
}

#[test]
fn k13_a_remembered_revocation_endpoint_that_is_gone_is_looked_up_once_more() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    server.set(|state| state.version = "/v2");
    let (exit, stdout, _) = person.types("logout");
    assert_eq!((exit, server.revoked().len()), (0, 1), "{stdout}");
    assert!(server.revoked()[0].contains("token=RT-canary-1"));
    assert!(stdout.contains("the tokens are removed here and revoked at the server"), "{stdout}");
}

#[test]
fn k13_it_is_looked_up_once_and_the_failure_of_the_endpoint_is_what_is_told() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    // The metadata still names what is gone.
    server.set(|state| state.refusal = Some((404, "", "")));
    let asked = server.server.requests().len();
    let (exit, _, stderr) = person.types("refresh");
    assert_eq!(exit, 7, "{stderr}");
    assert!(stderr.contains("404"), "{stderr}");
    assert_eq!(server.paths_from(asked), ["/v1/token", METADATA, "/v1/token"]);
    // Another refusal is no reason to look it up.
    server.set(|state| state.refusal = Some((403, "", "")));
    let asked = server.server.requests().len();
    assert_eq!(person.types("refresh").0, 7);
    assert_eq!(server.paths_from(asked), ["/v1/token"]);
}

// A name that is gone, and a certificate that nobody trusts.
#[test]
fn k13_a_host_that_is_gone_is_looked_up_once_more() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    let untrusted = Loopback::https(Authority::new().server(&["127.0.0.1"]), |_, _| Next::Close);
    for url in [untrusted.url("/token"), "https://gone.invalid/token".to_owned()] {
        person.set_of_servers(|server| server["document"]["token_endpoint"] = url.clone().into());
        let asked = server.server.requests().len();
        let (exit, _, stderr) = person.types("refresh");
        assert_eq!(exit, 0, "{url}: {stderr}");
        assert_eq!(server.paths_from(asked), [METADATA, "/v1/token"], "{url}");
        person.set_of_servers(|server| server["document"]["device_authorization_endpoint"] = url.clone().into());
        let (exit, _, stderr) = person.types("login --force");
        assert_eq!(exit, 0, "{url}: {stderr}");
    }
    assert_eq!(untrusted.requests().len(), 0, "nothing was sent there");
}

#[test]
fn k13_no_request_goes_to_endpoints_that_are_remembered_for_more_than_a_day() {
    const A_DAY: u64 = 24 * 60 * 60;
    let age = |person: &Person, seconds: u64| {
        person.set_of_servers(|server| server["seen"] = (server["seen"].as_u64().unwrap() - seconds).into());
    };
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    age(&person, A_DAY - 60);
    let asked = server.server.requests().len();
    assert_eq!(person.types("refresh").0, 0);
    assert_eq!(server.paths_from(asked), ["/v1/token"], "younger than a day");

    for line in ["refresh", "token --min-ttl 2h", "login --force", "logout"] {
        age(&person, 400 * A_DAY);
        // What needs no request makes none.
        let asked = server.server.requests().len();
        assert_eq!((person.types("token").0, person.types("status").0), (0, 0));
        assert_eq!(server.server.requests().len(), asked);
        let (exit, _, stderr) = person.types(line);
        assert_eq!(exit, 0, "{line}: {stderr}");
        assert_eq!(server.paths_from(asked)[0], METADATA, "{line}");
    }
    // Without a sign-in, there is nothing to ask for.
    age(&person, 400 * A_DAY);
    let asked = server.server.requests().len();
    let (exit, _, stderr) = person.types("token");
    assert!(exit == 4 && stderr.contains("nobody is signed in"), "{stderr}");
    assert_eq!(server.server.requests().len(), asked);
}

#[test]
fn k13_doctor_compares_what_is_remembered_with_what_the_server_says() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    let discovery = || {
        let (_, stdout, _) = person.types("doctor --json");
        let mut findings = stdout.lines().map(json);
        findings.find(|finding| finding["check"] == "discovery").unwrap()
    };
    assert_eq!(discovery()["status"], "ok");
    server.set(|state| state.version = "/v2");
    let found = discovery();
    assert_eq!(found["status"], "warn", "{found}");
    for (path, what) in [("/token", "token"), ("/device", "device authorization"), ("/revoke", "revocation")] {
        let url = |version| server.server.url(&format!("{version}{path}"));
        let told = format!("the {what} endpoint is now {}, and {} is remembered", url("/v2"), url("/v1"));
        assert!(found["message"].as_str().unwrap().contains(&told), "{found}");
    }
    let remedy = found["remedy"].as_str().unwrap();
    assert!(remedy.contains("rm /") && remedy.ends_with("/tokens.servers.json"), "{remedy}");
    assert_eq!(person.types("refresh").0, 0);
    assert_eq!(discovery()["status"], "ok");
}
