//! Measures a token cache of a thousand accounts: `cargo bench -p device-flow-core --bench cache`. With `-- FILE` it
//! writes the cache there and prints only times, one `what<TAB>microseconds` per line, which `testkit/figures.sh`
//! compares with other clients.
//!
//! Times are printed with their limits and never fail, since the computer may be busy. Counts of instructions
//! (callgrind) do fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench panics to report")]

use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{
    AccessTokenQuery, Action, Authority, Client, GrantOrigin, Machine, Owner, Provider, Refresh, Response, Secret,
    Timestamp, TokenCache, TokenResponse, UnixTime,
};
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ACCOUNTS: u32 = 1_000;
const TENANT: &str = "11111111-1111-1111-1111-1111111111bb";
const CLIENT: &str = "my-client";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const INSTRUCTIONS: u64 = 4_000;
const INSTRUCTIONS_OF_LOAD: u64 = 43_000_000;

/// Other clients look at the real clock, so this does.
fn now() -> UnixTime {
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

fn oid(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

fn home(number: u32) -> String {
    format!("{}.{TENANT}", oid(number))
}

/// What a server answers to one person.
fn granted(number: u32) -> TokenResponse {
    let oid = oid(number);
    let encoded = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let claims = encoded(&format!(
        r#"{{"iss":"https://login.microsoftonline.com/{TENANT}/v2.0","sub":"sub-{number:040}","aud":"{CLIENT}","exp":4000000000,"oid":"{oid}","tid":"{TENANT}","preferred_username":"person{number}@contoso.test","name":"Person {number}","ver":"2.0"}}"#
    ));
    let info = encoded(&format!(r#"{{"uid":"{oid}","utid":"{TENANT}"}}"#));
    let answer = format!(
        r#"{{"token_type":"Bearer","scope":"openid profile User.Read","expires_in":86400,"ext_expires_in":86400,"access_token":"AT-canary-{number:032}","refresh_token":"RT-canary-{number:032}","id_token":"eyJhbGciOiJub25lIn0.{claims}.canary","client_info":"{info}"}}"#
    );
    let provider = Provider::endpoints("https://op.example.com/device", "https://op.example.com/token");
    let client = Client::builder(provider, CLIENT).scope("openid profile User.Read").build().unwrap();
    let mut refresh = Refresh::new(client, Secret::from(String::from("RT-canary")));
    let Action::SendRequest(outgoing) = refresh.next_action(Timestamp::ZERO) else { panic!("it asks first") };
    refresh.response(outgoing.ticket, Response::new(200, answer.as_bytes()), Timestamp::ZERO).unwrap();
    let Action::Done(Ok(response)) = refresh.next_action(Timestamp::ZERO) else { panic!("and is answered") };
    response
}

fn filled(authority: &Authority) -> TokenCache {
    let mut cache = TokenCache::new();
    let grant_type = Some(DEVICE_GRANT);
    for number in 0..ACCOUNTS {
        let account = cache.save(
            &granted(number),
            &GrantOrigin { client_id: CLIENT, authority, person: device_flow_core::Person::Slot(""), grant_type },
            now(),
        );
        assert_eq!(account.unwrap().home_account_id(), home(number));
    }
    // Under the name of the cloud that MSAL for Python writes: it looks twice for what stands under another.
    let text = cache.to_json();
    let text = text.expose().replace("login.windows.net", "login.microsoftonline.com");
    TokenCache::from_json(text.as_bytes()).unwrap()
}

fn hit(cache: &TokenCache, home: &str, authority: &Authority, now: UnixTime) -> Secret {
    let owner = Owner { person: device_flow_core::Person::Id(home), client_id: CLIENT, authority };
    cache.access_token(owner, AccessTokenQuery::scopes("User.Read"), now).expect("it lives").secret()
}

/// A file in which one person has so many tokens, one with so many maps that are none, and so many accounts of version
/// 0.1.0 whose move was cut short: signed out, read and written.
fn large(count: usize) {
    let authority = Authority::entra("login.microsoftonline.com", TENANT);
    let home = home(1);
    let token = |number| {
        format!(
            r#""key {number}":{{"home_account_id":"{home}","environment":"login.microsoftonline.com","realm":"{TENANT}","client_id":"{CLIENT}"}}"#
        )
    };
    let tokens: Vec<String> = (0..count).map(token).collect();
    let file = format!(r#"{{"AccessToken":{{{}}}}}"#, tokens.join(","));
    let mut cache = TokenCache::from_json(file.as_bytes()).unwrap();
    let owner = Owner { person: device_flow_core::Person::Id(&home), client_id: CLIENT, authority: &authority };
    assert!(cache.remove_account(owner));
    // Exposed to be compared; all of it is made up.
    assert_eq!(cache.to_json().expose(), r#"{"AccessToken":{}}"#);

    let file = format!("{{{}\"AccessToken\":1}}", "\"AccessToken\":0,".repeat(count));
    assert_eq!(TokenCache::from_json(file.as_bytes()).unwrap().to_json().expose(), file);

    let account = |number| {
        format!(
            r#""{number}-op.example-":{{"home_account_id":"{number}","environment":"op.example","realm":"","authority_type":"Generic","account_source":"{DEVICE_GRANT}"}}"#
        )
    };
    let accounts: Vec<String> = (0..count).map(account).collect();
    let file = format!(r#"{{"Account":{{{}}}}}"#, accounts.join(","));
    let moved = TokenCache::from_parts(file.as_bytes(), b"").unwrap().to_unshared_json().unwrap();
    let cache = TokenCache::from_parts(file.as_bytes(), moved.expose().as_bytes()).unwrap();
    assert!(cache.is_misplaced());
    assert_eq!(cache.to_unshared_json().unwrap().expose(), moved.expose());
}

/// The instructions of a run with these arguments (the number of silent hits, `load` and how often, or `large` and a
/// size), start-up included.
fn instructions(words: &[&str]) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe().unwrap());
    let output = command.args(words).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().find(|line| line.contains("Collected :"))?.rsplit(' ').next()?.parse().ok()
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
    let authority = Authority::entra("login.microsoftonline.com", TENANT);
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [what, count] = &words[..]
        && what == "large"
    {
        return large(count.parse().unwrap());
    }
    let loads = words.get(1).map_or(0, |count| count.parse().unwrap());
    let argument = words.into_iter().next();
    let mut cache = filled(&authority);
    let homes: Vec<String> = (0..ACCOUNTS).map(home).collect();
    let mut turn = homes.iter().cycle();
    let now = now();
    let mut silent = |cache: &TokenCache| hit(cache, turn.next().unwrap(), &authority, now);
    if let Some(hits) = argument.as_ref().and_then(|hits| hits.parse::<u32>().ok()) {
        return (0..hits).for_each(|_| drop(black_box(silent(&cache))));
    }
    let text = cache.to_json();
    // Exposed to be stored; all of it is made up.
    let text = text.expose();
    let load = || TokenCache::from_json(text.as_bytes()).unwrap();
    if argument.as_deref() == Some("load") {
        return (0..loads).for_each(|_: u32| drop(black_box(load())));
    }
    cache = load();
    let measured = [
        ("silent hit", median(101, 1_000, || silent(&cache)), 2),
        ("load", median(51, 1, load), 3_000),
        ("save", median(51, 1, || cache.to_json()), 3_000),
        ("list of accounts", median(101, 10, || cache.accounts()), 100),
    ];
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    if let Some(path) = argument {
        std::fs::write(path, text).unwrap();
        return measured.iter().for_each(|(what, time, _)| println!("{what}\t{:.2}", micros(*time)));
    }
    println!("a token cache of {ACCOUNTS} accounts, {} bytes; medians", text.len());
    for (what, time, promised) in measured {
        println!("{what:<24} {:>10.2} µs (promised {promised})", micros(time));
    }
    let mut forgotten = homes.iter();
    let removal = median(51, 1, || {
        let owner = Owner {
            person: device_flow_core::Person::Id(forgotten.next().unwrap()),
            client_id: CLIENT,
            authority: &authority,
        };
        assert!(cache.remove_account(owner));
        cache.to_json()
    });
    println!("{:<24} {:>10.2} µs", "sign out and save", micros(removal));
    let merge = median(51, 1, || cache.merge(load()));
    println!("{:<24} {:>10.2} µs", "load, merge 51 sign-outs", micros(merge));

    let (Some(few), Some(many)) = (instructions(&["1000"]), instructions(&["11000"])) else {
        println!("SKIPPED: instructions per silent hit (valgrind is not installed)");
        return;
    };
    let per_hit = (many - few) / 10_000;
    println!("one silent hit: {per_hit} instructions (limit {INSTRUCTIONS})");
    assert!(per_hit <= INSTRUCTIONS, "{per_hit} instructions");

    let (once, more) = (instructions(&["load", "1"]).unwrap(), instructions(&["load", "11"]).unwrap());
    let per_load = (more - once) / 10;
    println!("one load: {per_load} instructions (limit {INSTRUCTIONS_OF_LOAD})");
    assert!(per_load <= INSTRUCTIONS_OF_LOAD, "{per_load} instructions");

    let counted = ["1000", "2000", "4000"].map(|count| instructions(&["large", count]).unwrap());
    let (first, second) = (counted[1] - counted[0], counted[2] - counted[1]);
    println!("a file twice as large: {:.2} times the instructions (limit 2.40)", second as f64 / first as f64);
    assert!(second * 10 <= first * 24, "it grows faster than the file: {counted:?}");
}
