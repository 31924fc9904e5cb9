//! Times a token cache of a thousand accounts: `cargo bench -p device-flow-core --bench cache`, with `-- FILE` to use, and to
//! make if it does not exist, the file that other implementations are to be timed with.
//!
//! The figures are printed beside what was promised, and never fail: a busy machine is no bug.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench panics to report")]

use device_flow_core::{AccessTokenQuery, Authority, Owner, TokenCache, UnixTime};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ACCOUNTS: u32 = 1_000;
const NOW: UnixTime = UnixTime::from_secs(1_795_377_400);
const TENANT: &str = "11111111-1111-1111-1111-1111111111bb";
const SCOPES: &str = "openid profile User.Read";

fn home(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}.{TENANT}")
}

/// What a thousand sign-ins leave, as MSAL Python writes it.
fn file() -> String {
    let mut roots = [const { String::new() }; 4];
    for number in 0..ACCOUNTS {
        let home = home(number);
        let owner = format!(r#""home_account_id":"{home}","environment":"login.microsoftonline.com""#);
        let separator = if number == 0 { "" } else { "," };
        let [access, refresh, id, account] = &mut roots;
        write!(access, r#"{separator}"{home}-login.microsoftonline.com-accesstoken-my-client-{TENANT}-openid profile user.read":{{"credential_type":"AccessToken","secret":"AT-canary-{number:032}",{owner},"client_id":"my-client","target":"{SCOPES}","realm":"{TENANT}","token_type":"Bearer","cached_at":"1795377332","expires_on":"1795380932","extended_expires_on":"1795380932"}}"#).unwrap();
        write!(refresh, r#"{separator}"{home}-login.microsoftonline.com-refreshtoken-my-client--openid profile user.read":{{"credential_type":"RefreshToken","secret":"RT-canary-{number:032}",{owner},"client_id":"my-client","target":"{SCOPES}","last_modification_time":"1795377332"}}"#).unwrap();
        write!(id, r#"{separator}"{home}-login.microsoftonline.com-idtoken-my-client-{TENANT}-":{{"credential_type":"IdToken","secret":"eyJhbGciOiJub25lIn0.canary{number:0200}.sig",{owner},"realm":"{TENANT}","client_id":"my-client"}}"#).unwrap();
        write!(account, r#"{separator}"{home}-login.microsoftonline.com-{TENANT}":{{{owner},"realm":"{TENANT}","local_account_id":"00000000-0000-0000-0000-{number:012}","username":"person{number}@contoso.test","authority_type":"MSSTS","account_source":"urn:ietf:params:oauth:grant-type:device_code"}}"#).unwrap();
    }
    let [access, refresh, id, account] = roots;
    format!(
        r#"{{"AccessToken":{{{access}}},"Account":{{{account}}},"IdToken":{{{id}}},"RefreshToken":{{{refresh}}},"AppMetadata":{{"appmetadata-login.microsoftonline.com-my-client":{{"client_id":"my-client","environment":"login.microsoftonline.com"}}}}}}"#
    )
}

/// The median of many runs, each of `inner` calls.
fn median<T>(runs: usize, inner: u32, mut run: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..inner {
                black_box(run());
            }
            start.elapsed() / inner
        })
        .collect();
    times.sort_unstable();
    times.get(runs / 2).copied().unwrap()
}

fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let text = match &path {
        Some(path) => std::fs::read_to_string(path).unwrap_or_else(|_| {
            let text = file();
            std::fs::write(path, &text).unwrap();
            text
        }),
        None => file(),
    };
    let mut cache = TokenCache::from_json(text.as_bytes()).unwrap();
    assert_eq!(cache.accounts().len(), ACCOUNTS as usize);
    let authority = Authority::entra("login.microsoftonline.com", TENANT);
    let homes: Vec<String> = (0..ACCOUNTS).map(home).collect();
    let owner = |home| Owner { home_account_id: home, client_id: "my-client", authority: &authority };
    let query = AccessTokenQuery::scopes("user.read");
    let hit = |cache: &TokenCache, home| cache.access_token(owner(home), query, NOW).expect("it lives").secret();

    println!("a token cache of {ACCOUNTS} accounts, {} bytes; medians", text.len());
    let mut turn = homes.iter().cycle();
    let silent = median(101, 1_000, || hit(&cache, turn.next().unwrap()));
    println!("silent hit, token copied:  {silent:>10.2?}  (promised 2 µs; MSAL Python 42 µs, msal-node 14,500 µs)");
    let list = median(101, 10, || cache.accounts());
    println!("list of accounts:          {list:>10.2?}  (promised 100 µs; 8,000 µs, 8,264,000 µs)");
    let load = median(51, 1, || TokenCache::from_json(text.as_bytes()).unwrap());
    println!("load:                      {load:>10.2?}  (promised 3 ms; 10.8 ms, 70.5 ms)");
    let save = median(51, 1, || cache.to_json());
    println!("save:                      {save:>10.2?}  (promised 3 ms; 79 ms, 42 ms)");
    let mut forgotten = homes.iter();
    let removal = median(51, 1, || {
        let removed = cache.remove_account(owner(forgotten.next().unwrap()));
        assert!(removed);
        cache.to_json()
    });
    println!("sign out and save:         {removal:>10.2?}");
    let merge = median(51, 1, || {
        let stored = TokenCache::from_json(text.as_bytes()).unwrap();
        cache.merge(stored);
    });
    println!("load, merge 51 sign-outs:  {merge:>10.2?}");
}
