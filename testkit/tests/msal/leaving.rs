//! Owns the proofs that signing out in one program signs that account, and no other, out of all programs.

use crate::room::{AN_HOUR, BLOCKING, NODE, Outcome, PYTHON, Room, Side, TOKIO};
use device_flow_testkit::microsoft::{ADA, GRACE};
use std::collections::BTreeSet;

/// Ada and Grace sign in with one program, the others refresh for Ada, and she signs out with one of them.
fn signing_out_affects_all(first: Side, refreshers: &[Side], removes: Side) {
    let room = Room::new();
    let case = format!("{first:?} signed in, {refreshers:?} refreshed, {removes:?} signed out");
    room.microsoft.script(|script| script.person = GRACE);
    let grace = room.sign_in(first).token().to_owned();
    room.microsoft.script(|script| script.person = ADA);
    room.sign_in(first).token();
    for side in refreshers {
        let (outcome, _) = room.during(|room| room.forced(*side, ADA.username));
        assert!(matches!(outcome, Outcome::Token(_)), "{case}, {side:?}: {outcome:?}");
    }
    let both = BTreeSet::from([ADA.home_account_id(), GRACE.home_account_id()]);
    for side in [TOKIO, PYTHON, NODE] {
        let ids: BTreeSet<_> = room.accounts(side).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, both, "{case}, {side:?}");
    }

    let ((), seen) = room.during(|room| room.remove(removes, ADA.username));
    assert_eq!(seen.len(), 0);
    for side in [TOKIO, PYTHON, NODE] {
        let ids: Vec<_> = room.accounts(side).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [GRACE.home_account_id()], "{case}, {side:?}");
        let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!((outcome, seen.len()), (Outcome::Nothing, 0), "{case}, {side:?}");
        let (outcome, seen) = room.during(|room| room.silent(side, GRACE.username));
        assert_eq!((outcome.token(), seen.len()), (&*grace, 0), "{case}, {side:?}");
    }
    // Nothing of Ada's is left in the file.
    for map in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
        let left: Vec<_> = room.keys(map).into_iter().filter(|key| key.starts_with(ADA.oid)).collect();
        assert_eq!(left, [""; 0], "{case}, {map}");
        assert_eq!(room.keys(map).len(), 1, "{case}, {map}");
    }
    room.pass(AN_HOUR);
    assert_ne!(room.silent(BLOCKING, GRACE.username).token(), grace);
}

#[test]
fn msal_5_python_and_node_see_that_we_signed_out() {
    for first in [TOKIO, PYTHON, NODE] {
        signing_out_affects_all(first, &[PYTHON, BLOCKING, NODE], TOKIO);
        signing_out_affects_all(first, &[NODE, BLOCKING, PYTHON, TOKIO], BLOCKING);
    }
}

#[test]
fn msal_5_we_see_that_python_signed_out() {
    for first in [TOKIO, PYTHON, NODE] {
        signing_out_affects_all(first, &[BLOCKING, PYTHON, TOKIO], PYTHON);
        signing_out_affects_all(first, &[PYTHON, TOKIO, PYTHON], PYTHON);
    }
}

#[test]
fn msal_5_we_see_that_node_signed_out() {
    for first in [TOKIO, PYTHON, NODE] {
        signing_out_affects_all(first, &[TOKIO, NODE, BLOCKING], NODE);
        // After a sign-in with Python and a refresh with Node there are two accounts of the same person, and Node
        // removes only what belongs to the first one: its own access token stays.
        if first != PYTHON {
            signing_out_affects_all(first, &[NODE, BLOCKING, NODE], NODE);
        }
    }
}
