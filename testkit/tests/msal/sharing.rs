//! Owns the proofs that a cache serves programs that did not write it.

use crate::room::{AN_HOUR, BLOCKING, GO, JAVA, Keeper, NODE, PYTHON, Room, Side, TOKIO};
use device_flow_testkit::microsoft::{ADA, Caller, Endpoint, Seen, TokenState};

pub(crate) fn caller(side: Side) -> Caller {
    match side {
        Side::Ours(_) => Caller::Ours,
        Side::Msal(device_flow_testkit::msal::Language::Python) => Caller::Python,
        Side::Msal(device_flow_testkit::msal::Language::Node) => Caller::Node,
        Side::Msal(device_flow_testkit::msal::Language::Java) => Caller::Java,
        Side::Msal(device_flow_testkit::msal::Language::Go) => Caller::Go,
    }
}

/// One refresh, with the newest refresh token.
#[track_caller]
pub(crate) fn is_one_refresh(seen: &[Seen], by: Side) {
    let summaries: Vec<_> = seen.iter().map(|seen| (seen.summary(), seen.token)).collect();
    assert_eq!(summaries, [((caller(by), Endpoint::Refresh, 200), Some(TokenState::Newest))]);
}

/// What `writer` wrote gives `reader` the account, a token without a request, and a refresh after that token has
/// expired; and then the other way round.
fn serves(writer: Side, reader: Side, keeper: Keeper) {
    let mut room = Room::new();
    room.keeper = keeper;
    let (signed_in, seen) = room.during(|room| room.sign_in(writer));
    let summaries: Vec<_> = seen.iter().map(Seen::summary).collect();
    let by = caller(writer);
    assert_eq!(summaries, [(by, Endpoint::Device, 200), (by, Endpoint::Poll, 200)]);
    assert_eq!(room.accounts(reader), [(ADA.home_account_id(), ADA.username.to_owned())]);

    let (hit, seen) = room.during(|room| room.silent(reader, ADA.username));
    assert_eq!((hit.token(), seen.len()), (signed_in.token(), 0));

    room.pass(AN_HOUR);
    let (refreshed, seen) = room.during(|room| room.silent(reader, ADA.username));
    is_one_refresh(&seen, reader);
    assert_ne!(refreshed.token(), signed_in.token());

    let (hit, seen) = room.during(|room| room.silent(writer, ADA.username));
    assert_eq!((hit.token(), seen.len()), (refreshed.token(), 0));
    assert_eq!(room.accounts(writer), [(ADA.home_account_id(), ADA.username.to_owned())]);
}

#[test]
fn msal_6_python_uses_what_we_wrote() {
    serves(TOKIO, PYTHON, Keeper::Extensions);
    serves(BLOCKING, PYTHON, Keeper::Plain);
}

#[test]
fn msal_6_node_uses_what_we_wrote() {
    serves(BLOCKING, NODE, Keeper::Extensions);
    serves(TOKIO, NODE, Keeper::Plain);
}

#[test]
fn msal_6_we_use_what_python_wrote() {
    serves(PYTHON, BLOCKING, Keeper::Extensions);
    serves(PYTHON, TOKIO, Keeper::Plain);
}

#[test]
fn msal_6_we_use_what_node_wrote() {
    serves(NODE, TOKIO, Keeper::Extensions);
    serves(NODE, BLOCKING, Keeper::Plain);
}

#[test]
fn msal_6_java_uses_what_we_wrote() {
    serves(TOKIO, JAVA, Keeper::Extensions);
    serves(BLOCKING, JAVA, Keeper::Plain);
}

#[test]
fn msal_6_go_uses_what_we_wrote() {
    serves(BLOCKING, GO, Keeper::Extensions);
    serves(TOKIO, GO, Keeper::Plain);
}

#[test]
fn msal_6_we_use_what_java_wrote() {
    serves(JAVA, BLOCKING, Keeper::Extensions);
    serves(JAVA, TOKIO, Keeper::Plain);
}

#[test]
fn msal_6_we_use_what_go_wrote() {
    serves(GO, TOKIO, Keeper::Extensions);
    serves(GO, BLOCKING, Keeper::Plain);
}
