//! Owns the proofs of what happens when several programs refresh in turn, and the server revokes every refresh token
//! that it has replaced.

use crate::room::{AN_HOUR, BLOCKING, NODE, Outcome, PYTHON, Room, Side, TOKIO};
use crate::sharing::{caller, is_one_refresh};
use device_flow_testkit::microsoft::{ADA, Endpoint, TokenState};

/// The state of each refresh token that a step sent, and whether it got a token in the end.
#[track_caller]
fn refresh(room: &Room, side: Side) -> (Vec<TokenState>, bool) {
    room.pass(AN_HOUR);
    let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
    for seen in &seen {
        assert_eq!((seen.caller, seen.endpoint), (caller(side), Endpoint::Refresh));
        assert_eq!(seen.status == 200, seen.token == Some(TokenState::Newest));
    }
    (seen.iter().filter_map(|seen| seen.token).collect(), matches!(outcome, Outcome::Token(_)))
}

use TokenState::{Newest, Replaced};

#[test]
fn msal_4_7_a_refresh_after_ours_takes_one_request() {
    let one_by_one = [TOKIO, PYTHON, BLOCKING, NODE, TOKIO, NODE, BLOCKING, PYTHON, TOKIO];
    // Python and then Node too, and Node and then Python, where the account is under the name that Node writes.
    let shared = [TOKIO, PYTHON, NODE, BLOCKING, NODE, PYTHON, TOKIO, PYTHON, PYTHON, NODE, NODE, BLOCKING];
    for (first, sides) in [
        (PYTHON, &one_by_one[..]),
        (TOKIO, &one_by_one[..]),
        (NODE, &one_by_one[..]),
        (TOKIO, &shared[..]),
        (NODE, &shared[..]),
    ] {
        let room = Room::new();
        room.sign_in(first).token();
        for (step, side) in sides.iter().enumerate() {
            room.pass(AN_HOUR);
            let (outcome, seen) = room.during(|room| room.silent(*side, ADA.username));
            assert!(matches!(outcome, Outcome::Token(_)), "{first:?}, step {step}, {side:?}: {outcome:?}");
            is_one_refresh(&seen, *side);
        }
        // One of each kind is left, whichever program wrote last.
        for map in ["RefreshToken", "Account", "IdToken", "AccessToken"] {
            assert_eq!(room.keys(map).len(), 1, "{first:?}: {:?}", room.keys(map));
        }
    }
}

/// Every order of three steps occurs in this list.
const WALK: &str = "ooopoonoppopnonponnpppnpnnnoo";

#[test]
fn msal_4_7_in_any_order_we_never_send_a_refresh_token_that_was_replaced() {
    let mut failures = 0;
    for first in [TOKIO, PYTHON, NODE] {
        let room = Room::new();
        room.sign_in(first).token();
        let mut before = 'o';
        for (step, letter) in WALK.char_indices() {
            let side = match letter {
                'o' if step % 2 == 0 => TOKIO,
                'o' => BLOCKING,
                'p' => PYTHON,
                _ => NODE,
            };
            let (sent, works) = refresh(&room, side);
            let case = format!("{first:?}, step {step} of {WALK}: {sent:?}");
            // What we have written works for all of them at once; and what they have left works for us.
            if letter == 'o' || (before == 'o' && (step > 0 || first == TOKIO)) {
                assert_eq!((sent, works), (vec![Newest], true), "{case}");
            } else {
                // Python tries the revoked ones first, and then succeeds.
                assert!(works || letter == 'n', "{case}");
                failures += usize::from(!works);
            }
            before = letter;
        }
    }
    // Node, on revoked tokens that it or Python has left.
    println!("without us between them, they failed {failures} times");
    assert!(failures > 0, "they share without failures now: the documentation can be shortened");
}

/// What MSAL does with its own old tokens when the server tolerates no reuse. Microsoft's server tolerates it, so it
/// goes unnoticed there.
#[test]
fn msal_4_7_python_and_node_without_us_send_replaced_tokens() {
    let all = |first: Side, steps: &[(Side, &[TokenState], bool)]| {
        let room = Room::new();
        room.sign_in(first).token();
        for (step, (side, sent, works)) in steps.iter().enumerate() {
            assert_eq!(refresh(&room, *side), (sent.to_vec(), *works), "{first:?}, step {step}, {side:?}");
        }
    };
    // Node writes a second token beside Python's, and goes on using Python's, which comes first.
    let (fresh, stale, both) = (&[Newest][..], &[Replaced][..], &[Replaced, Newest][..]);
    all(
        PYTHON,
        &[(NODE, fresh, true), (NODE, stale, false), (PYTHON, both, true), (TOKIO, fresh, true), (NODE, fresh, true)],
    );
    // Python writes a second one beside Node's, and Node goes on using its own. Python knows when it wrote.
    all(
        NODE,
        &[
            (PYTHON, fresh, true),
            (NODE, stale, false),
            (PYTHON, fresh, true),
            (BLOCKING, fresh, true),
            (NODE, fresh, true),
        ],
    );
    // Between us and them there is one token for all until Node has rewritten it: it leaves `target` out, so that
    // Python's next key is another.
    all(
        TOKIO,
        &[
            (PYTHON, fresh, true),
            (PYTHON, fresh, true),
            (NODE, fresh, true),
            (PYTHON, fresh, true),
            (NODE, stale, false),
        ],
    );
}

// A server that tolerates reuse, as Microsoft's does: no program fails, in any order.
#[test]
fn msal_4_7_with_tolerated_reuse_no_program_fails() {
    let room = Room::new();
    room.microsoft.script(|script| script.tolerates_reuse = true);
    room.sign_in(NODE).token();
    for side in [PYTHON, NODE, PYTHON, NODE, TOKIO, NODE] {
        room.pass(AN_HOUR);
        room.silent(side, ADA.username).token();
    }
}
