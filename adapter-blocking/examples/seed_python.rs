//! The steps of MSAL Python's device flow sample: choose an account, look into the cache, begin a flow, and wait for it in a loop of
//! one's own with a condition to leave it.
//!
//! ```text
//! cargo run -p device-flow-blocking --example seed_python -- ISSUER CLIENT_ID SCOPES [POLLS]
//! ```
//!
//! The demo server takes any client: `device-flow demo --serve` prints its ISSUER. After POLLS questions it gives up.

use device_flow_blocking::{
    Accounts, Cancel, Client, Discovery, Event, Http, MemoryStore, Provider, SignInRequest, Stopped, run,
};
use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, client_id, scopes, more @ ..] = &words[..] else { return Err("ISSUER CLIENT_ID SCOPES".into()) };
    let most: u32 = more.first().map_or(Ok(u32::MAX), |polls| polls.parse())?;

    let http = Http::builder().build()?;
    let metadata = run(&http, &mut Discovery::builder(issuer).allow_http_loopback().build()?, &Cancel::new(), |_| {})?;
    let client = Client::builder(Provider::from(metadata), client_id).scope(scopes).allow_http_loopback().build()?;
    // The cache lives as long as the program.
    let (accounts, mut request) = (Accounts::new(http.clone(), MemoryStore::new()), SignInRequest::new(client));

    // 1. Is somebody signed in? Let the person pick; here it is the first.
    let signed_in = accounts.list()?;
    for account in &signed_in {
        println!("{}", account.label());
    }
    if let Some(chosen) = signed_in.into_iter().next() {
        request = request.known_account(chosen);
    }
    let mut result = accounts.silent(&request, &Cancel::new()).ok();

    // 2. Else a new flow. `run` is interrupted after each question, so that the loop is ours: it may do other things in between,
    //    and leave when it likes. The flow keeps its times by itself; running it early asks nobody early.
    let mut flow = request.device_flow(device_flow_blocking::entropy()?);
    while result.is_none() {
        let pause = Cancel::new();
        let outcome = run(&http, &mut flow, &pause, |event| match event {
            Event::ShowCode(prompt) => {
                let own = format!("Open {} and enter the code {}", prompt.verification_uri(), prompt.user_code());
                println!("{}", prompt.message().unwrap_or(&own));
                // Some terminals show it only then.
                let _ = std::io::stdout().flush();
            }
            Event::Waiting { .. } => pause.cancel(),
            Event::SignInNeeded(_) | _ => {}
        });
        match outcome {
            Ok(response) => result = Some(accounts.keep(&request, &response)?),
            Err(Stopped::Interrupted) if flow.trail().polls() >= most => return Err("given up".into()),
            Err(Stopped::Interrupted) => std::thread::sleep(std::time::Duration::from_millis(100)),
            Err(stopped) => return Err(stopped.into()),
        }
    }
    let account = result.as_ref().and_then(|signed_in| signed_in.account());
    println!("account: {}", account.map(|account| account.label()).unwrap_or_default());
    // From now on nobody is asked.
    println!("again: {:?}", accounts.silent(&request, &Cancel::new())?.source());
    Ok(())
}
