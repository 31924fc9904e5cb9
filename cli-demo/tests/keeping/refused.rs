//! Owns the tests of refreshes that the server refuses.

use super::site::{Person, Server, json};

const JSON: &str = "Content-Type: application/json\r\n";
const HTML: &str = "Content-Type: text/html\r\n";

/// Answers that say no, and will say no tomorrow.
const REFUSALS: [(u16, &str, &str); 17] = [
    (403, JSON, r#"{"error":"unauthorized_client"}"#),
    (401, JSON, r#"{"error":"invalid_token"}"#),
    (401, "", ""),
    (403, "", ""),
    (400, "", ""),
    (401, HTML, "<html>Unauthorized</html>"),
    (401, "Content-Type: text/plain\r\n", "Unauthorized"),
    (400, JSON, r#"{"error":{"code":190,"message":"Session has expired"}}"#),
    (400, JSON, r#"{"error":"expired_token"}"#),
    (401, JSON, r#"{"error":"invalid_client"}"#),
    (400, JSON, r#"{"error":"access_denied"}"#),
    (400, JSON, r#"{"error":"authorization_pending"}"#),
    (400, JSON, r#"{"error":"made_up_by_this_server"}"#),
    (400, JSON, r#"{"detail":"no"}"#),
    (200, JSON, r#"{"error":"unauthorized_client"}"#),
    (200, JSON, "{}"),
    (200, JSON, r#"{"access_token":"AT-canary-x","token_type":"mac"}"#),
];

#[test]
fn k17_a_refused_refresh_names_the_way_out_and_login_goes_on_to_a_code() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    for refusal in REFUSALS {
        person.set_of_access_tokens("expires_on", "1");
        server.set(|state| state.refusal = Some(refusal));
        for line in ["token", "refresh", "credential kubernetes"] {
            let (exit, stdout, stderr) = person.types(line);
            assert_eq!((exit, &*stdout), (7, ""), "{refusal:?}: {stderr}");
            assert!(stderr.contains("(to sign in again, with a code: device-flow login --force)"), "{stderr}");
        }
        let (exit, stdout, stderr) = person.types("login --json");
        assert_eq!((exit, &*stderr), (0, ""), "{refusal:?}: {stdout}");
        let events: Vec<_> = stdout.lines().map(json).collect();
        let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["sign_in_needed", "device_code", "success"], "{refusal:?}");
        assert!(events[0]["reason"].as_str().unwrap().starts_with("sign in again: "), "{stdout}");
        assert_eq!(person.types("token").0, 0);
    }
    // With the profile, when it is not the current one.
    person.signs_in(&server, "--profile work --force");
    let (exit, _, stderr) = person.types("refresh --profile work");
    assert!(exit == 7 && stderr.contains("device-flow login --profile work --force)"), "{stderr}");
}

// The other side: an outage passes, so nobody is asked to do anything.
#[test]
fn k17_an_outage_of_a_refresh_is_no_refusal() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    person.set_of_access_tokens("expires_on", "1");
    for (status, headers, body) in [
        (503, "Retry-After: 3600\r\n", ""),
        (429, "Retry-After: 3600\r\n", "too many"),
        (500, "Retry-After: 3600\r\n", r#"{"error":"Internal Server Error"}"#),
        (400, JSON, r#"{"error":"temporarily_unavailable"}"#),
        (200, HTML, "<html>Welcome to the hotel</html>"),
        (302, "Location: /elsewhere\r\n", ""),
    ] {
        server.set(|state| state.refusal = Some((status, headers, body)));
        let asked = server.server.requests().len();
        for line in ["login --json", "token"] {
            let (exit, stdout, stderr) = person.types(line);
            assert!([6, 7].contains(&exit), "{status}: {exit} {stderr}");
            assert!(!stdout.contains("device_code") && !stderr.contains("--force"), "{status}: {stdout}{stderr}");
        }
        assert!(server.paths_from(asked).iter().all(|path| path == "/v1/token"), "{status}");
    }
    server.set(|state| state.refusal = None);
    assert_eq!(person.types("token").0, 0);
}
