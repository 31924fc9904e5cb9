//! Owns the proofs about names: of the server, of the tenant, of the client's family.

use crate::room::{AN_HOUR, BLOCKING, NODE, PYTHON, Room, Side, TOKIO, Told};
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

// Row 5, environment: what each writes, so that the next release of theirs that changes it is noticed.
#[test]
fn msal_5_the_name_of_the_cloud_that_each_writes() {
    for (side, name) in [(TOKIO, "login.windows.net"), (NODE, "login.windows.net"), (PYTHON, HOST)] {
        let room = Room::new();
        room.sign_in(side).token();
        assert_eq!(environments(&room), [name], "{side:?}");
    }
}

// Row 5, realm: under a name of no tenant in particular Python and we write that name, Node the tenant that answered.
#[test]
fn msal_5_one_account_whatever_the_tenant_was_called() {
    for tenant in ["organizations", "common", TENANT, DOMAIN] {
        for (writer, reader) in [(TOKIO, PYTHON), (BLOCKING, NODE), (PYTHON, TOKIO), (NODE, BLOCKING)] {
            let mut room = Room::new();
            room.tenant = tenant;
            let case = format!("{tenant}: {writer:?}, {reader:?}");
            let signed_in = room.sign_in(writer);
            assert_eq!(room.accounts(reader), [(ADA.home_account_id(), ADA.username.to_owned())], "{case}");
            let (told, seen) = room.during(|room| room.silent(reader, ADA.username));
            told.token();
            let ours = matches!(reader, Side::Ours(_));
            if tenant == TENANT || reader == PYTHON || (ours && tenant != DOMAIN) || (ours && writer == PYTHON) {
                assert_eq!((told, seen.len()), (signed_in, 0), "{case}");
            } else {
                // The token is there under another name of the tenant; the refresh token knows none.
                is_one_refresh(&seen, reader);
            }
            room.pass(AN_HOUR);
            for side in [writer, BLOCKING, reader] {
                let (told, _) = room.during(|room| room.forced(side, ADA.username));
                told.token();
            }
            assert_eq!(room.accounts(TOKIO), [(ADA.home_account_id(), ADA.username.to_owned())], "{case}");
        }
    }
}

// Row 5, hazard: on a host with a port Python leaves the port out, Node and we do not.
#[test]
fn msal_5_a_host_of_ones_own() {
    let room = Room::local();
    let signed_in = room.sign_in(TOKIO);
    assert_eq!(environments(&room), [&*room.host]);
    let (told, seen) = room.during(|room| room.silent(NODE, ADA.username));
    assert_eq!((told, seen.len()), (signed_in, 0));
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
    // Node lists everybody whatever the server, and finds nothing of theirs.
    assert_eq!(room.accounts(NODE), [(ADA.home_account_id(), String::new())]);
    let (told, seen) = room.during(|room| room.silent(NODE, ""));
    assert!(matches!(told, Told::Error(_)) && seen.is_empty(), "{told:?}");
    // Signed in by both, the person is there twice, and nobody harms the other's.
    room.sign_in(TOKIO).token();
    assert_eq!(environments(&room), ["localhost", &room.host]);
    for (side, accounts) in [(PYTHON, 1), (TOKIO, 1), (NODE, 2)] {
        assert_eq!(room.accounts(side).len(), accounts, "{side:?}");
    }
}

// Row 4.9: one client of a family signs in, the other one gets a token for its refresh token.
#[test]
fn msal_4_9_a_family_of_clients() {
    for (writer, reader) in [(TOKIO, PYTHON), (PYTHON, BLOCKING), (NODE, TOKIO), (BLOCKING, TOKIO)] {
        let mut room = Room::new();
        room.client = FAMILY[0];
        room.sign_in(writer).token();
        let metadata: Vec<Value> = room.cache()["AppMetadata"].as_object().unwrap().values().cloned().collect();
        assert_eq!((metadata.len(), &metadata[0]["family_id"]), (1, &"1".into()));
        room.client = FAMILY[1];
        let (told, seen) = room.during(|room| room.silent(reader, ADA.username));
        told.token();
        is_one_refresh(&seen, reader);
        assert_eq!(seen[0].parameter("client_id"), Some(FAMILY[1]));
    }
}
