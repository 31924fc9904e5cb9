//! Owns a sign-in that goes on in another process: what is stored, and what cannot be resumed.

use crate::support::*;
use device_flow_c::*;

#[test]
fn a_stored_sign_in_goes_on_with_the_rest_of_its_wait() {
    let client = client();
    let machine = waiting(client);
    let due = next(machine, 0).until_ms;
    let json = snapshot(machine, 1_000).unwrap();
    assert!(json.contains("DC-canary"));
    free(machine);

    // On another timeline, a second later.
    let machine = resume(client, &json, [1_000, 1_000], 500_000).unwrap();
    assert_eq!(next(machine, 500_000).kind, ActionKind::ShowCode);
    assert_eq!(text(machine, Text::UserCode).unwrap(), "DKBD-TMWL");
    assert_eq!(next(machine, 500_000).until_ms, 500_000 + due - 2_000);
    assert_eq!(number(machine, Number::CodeExpiresAtMs), Some(500_000 + 600_000 - 2_000));
    free(machine);

    // The wait counts with the lower bound, the code's life with the upper one.
    let machine = resume(client, &json, [0, 10_000], 0).unwrap();
    assert_eq!(next(machine, 0).kind, ActionKind::ShowCode);
    assert_eq!(next(machine, 0).until_ms, due - 1_000);
    assert_eq!(number(machine, Number::CodeExpiresAtMs), Some(600_000 - 11_000));
    let (ticket, now) = poll(machine, 0);
    assert_eq!(respond(machine, ticket, 200, &[], TOKENS, now), Code::Ok);
    assert_eq!(next(machine, now).kind, ActionKind::Done);
    assert_eq!(snapshot(machine, now), None, "it has its outcome");
    free(machine);
    free(client);
}

#[test]
fn there_is_nothing_to_store_before_the_code_nor_of_another_machine() {
    let client = client();
    let machine = flow(client);
    assert_eq!(snapshot(machine, 0), None);
    free(machine);
    let machine = refresh(client, "RT-canary", "").unwrap();
    assert_eq!(snapshot(machine, 0), None);
    free(machine);
    free(client);
}

#[test]
fn what_cannot_be_resumed_is_told_without_its_secret() {
    let client = client();
    let machine = waiting(client);
    let json = snapshot(machine, 0).unwrap();
    let whole = json.replace("device-public", "another-client");
    let damaged = json.replace("\"interval\":5", "\"interval\":0");
    assert_ne!(damaged, json);
    for (json, says) in [
        (&*whole, "another client"),
        (&damaged, "damaged (times)"),
        (&json[..json.len() - 1], "no stored sign-in"),
        ("\"DC-canary\"", "no stored sign-in"),
        ("", "no stored sign-in"),
    ] {
        assert_eq!(resume(client, json, [0, 0], 0), Err(Code::BadSnapshot));
        assert!(detail(client).contains(says) && !detail(client).contains("canary"), "{}", detail(client));
    }
    free(machine);
    free(client);
}
