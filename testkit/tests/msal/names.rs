//! Owns the proofs about the names of servers, tenants and families of clients.

use crate::room::{AN_HOUR, BLOCKING, NODE, Outcome, PYTHON, Room, Side, TOKIO};
use crate::sharing::is_one_refresh;
use device_flow_testkit::microsoft::{ADA, DOMAIN, FAMILY, HOST, TENANT};
use serde_json::Value;

fn environments(room: &Room) -> Vec<String> {
    let cache = room.cache();
    let maps = ["AccessToken", "RefreshToken", "IdToken", "Account"];
    let entries = maps.iter().flat_map(|map| cache[map].as_object().unwrap().values());
    let mut names: Vec<String> = entries.map(|entry| entry["environment"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

// Row 5, environment: what each writes, so that a release that changes it is noticed.
#[test]
fn msal_5_the_name_of_the_cloud_that_each_writes() {
    for (side, name) in [(TOKIO, "login.windows.net"), (NODE, "login.windows.net"), (PYTHON, HOST)] {
        let room = Room::new();
        room.sign_in(side).token();
        assert_eq!(environments(&room), [name], "{side:?}");
    }
}

// Row 5, realm: for `common` and the like, Python and we write that name, Node the tenant that answered.
#[test]
fn msal_5_one_account_whatever_the_tenant_was_called() {
    for tenant in ["organizations", "common", TENANT, DOMAIN] {
        for (writer, reader) in [(TOKIO, PYTHON), (BLOCKING, NODE), (PYTHON, TOKIO), (NODE, BLOCKING)] {
            let mut room = Room::new();
            room.tenant = tenant;
            let case = format!("{tenant}: {writer:?}, {reader:?}");
            let signed_in = room.sign_in(writer);
            assert_eq!(room.accounts(reader), [(ADA.home_account_id(), ADA.username.to_owned())], "{case}");
            let (outcome, seen) = room.during(|room| room.silent(reader, ADA.username));
            outcome.token();
            let ours = matches!(reader, Side::Ours(_));
            if tenant == TENANT || reader == PYTHON || (ours && tenant != DOMAIN) || (ours && writer == PYTHON) {
                assert_eq!((outcome, seen.len()), (signed_in, 0), "{case}");
            } else {
                // The access token is stored under another name of the tenant; the refresh token belongs to no tenant.
                is_one_refresh(&seen, reader);
            }
            room.pass(AN_HOUR);
            for side in [writer, BLOCKING, reader] {
                let (outcome, _) = room.during(|room| room.forced(side, ADA.username));
                outcome.token();
            }
            assert_eq!(room.accounts(TOKIO), [(ADA.home_account_id(), ADA.username.to_owned())], "{case}");
        }
    }
}

// Row 5, hazard: on a host with a port Python leaves the port out, Node and we do not.
#[test]
fn msal_5_a_private_host_with_a_port() {
    let room = Room::local();
    let signed_in = room.sign_in(TOKIO);
    assert_eq!(environments(&room), [&*room.host]);
    let (outcome, seen) = room.during(|room| room.silent(NODE, ADA.username));
    assert_eq!((outcome, seen.len()), (signed_in, 0));
    for side in [NODE, BLOCKING, NODE, TOKIO] {
        room.pass(AN_HOUR);
        let (_, seen) = room.during(|room| room.silent(side, ADA.username));
        is_one_refresh(&seen, side);
    }
    assert_eq!(room.accounts(PYTHON), []);

    let room = Room::local();
    room.sign_in(PYTHON).token();
    assert_eq!(environments(&room), ["localhost"]);
    assert_eq!(room.accounts(TOKIO), []);
    // Node lists the accounts of every server, and finds no tokens of theirs.
    assert_eq!(room.accounts(NODE), [(ADA.home_account_id(), String::new())]);
    let (outcome, seen) = room.during(|room| room.silent(NODE, ""));
    assert!(matches!(outcome, Outcome::Error(_)) && seen.is_empty(), "{outcome:?}");
    // Signed in with both, the person has two accounts, and neither program damages the other's.
    room.sign_in(TOKIO).token();
    assert_eq!(environments(&room), ["localhost", &room.host]);
    for (side, accounts) in [(PYTHON, 1), (TOKIO, 1), (NODE, 2)] {
        assert_eq!(room.accounts(side).len(), accounts, "{side:?}");
    }
}

// Row 4.9: one client of a family signs in, and the other gets a token for its refresh token.
#[test]
fn msal_4_9_a_family_of_clients() {
    for (writer, reader) in [(TOKIO, PYTHON), (PYTHON, BLOCKING), (NODE, TOKIO), (BLOCKING, TOKIO)] {
        let mut room = Room::new();
        room.client = FAMILY[0];
        room.sign_in(writer).token();
        let metadata: Vec<Value> = room.cache()["AppMetadata"].as_object().unwrap().values().cloned().collect();
        assert_eq!((metadata.len(), &metadata[0]["family_id"]), (1, &"1".into()));
        room.client = FAMILY[1];
        let (outcome, seen) = room.during(|room| room.silent(reader, ADA.username));
        outcome.token();
        is_one_refresh(&seen, reader);
        assert_eq!(seen[0].parameter("client_id"), Some(FAMILY[1]));
    }
}
