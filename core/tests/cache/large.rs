//! Files that are large in one respect: what is asked of them costs as much as they are long, not the square of it.
//!
//! The bounds are some fifty times what it takes, and a fiftieth of what the square would.

use crate::grants::*;
use device_flow_core::{Authority, TokenCache};
use std::time::{Duration, Instant};

const ENOUGH: Duration = Duration::from_secs(5);

#[test]
fn maps_that_are_none_two_hundred_thousand_times() {
    let file = format!("{{{}\"AccessToken\":1}}", "\"AccessToken\":0,".repeat(200_000));
    let start = Instant::now();
    let cache = TokenCache::from_json(file.as_bytes()).unwrap();
    assert_eq!(cache.to_json().expose(), file);
    assert!(start.elapsed() < ENOUGH, "{:?}", start.elapsed());
}

#[test]
fn a_person_with_forty_thousand_tokens_signs_out() {
    let authority = Authority::entra("localhost", TENANT);
    let token = |number| {
        format!(
            r#""key {number}":{{"home_account_id":"{HOME}","environment":"localhost","realm":"{TENANT}","client_id":"my-client"}}"#
        )
    };
    let tokens: Vec<String> = (0..40_000).map(token).collect();
    let file = format!(r#"{{"AccessToken":{{{}}}}}"#, tokens.join(","));
    let mut cache = TokenCache::from_json(file.as_bytes()).unwrap();
    let start = Instant::now();
    assert!(cache.remove_account(owner(&authority)));
    assert!(start.elapsed() < ENOUGH, "{:?}", start.elapsed());
    assert_eq!(cache.to_json().expose(), r#"{"AccessToken":{}}"#);
}
