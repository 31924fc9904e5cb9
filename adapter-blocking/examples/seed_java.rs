//! The steps of MSAL4J's device code sample: a cache in a file, the first account of it silently, else by a code that is handed to
//! a consumer, which may fail.
//!
//! ```text
//! cargo run -p device-flow-blocking --example seed_java -- ISSUER CLIENT_ID SCOPES [FILE]
//! ```
//!
//! The demo server takes any client: `device-flow demo --serve` prints its ISSUER. FILE is where the code goes; stdout when left out.

use device_flow_blocking::{
    Accounts, Cancel, Client, Discovery, Event, Failure, FileStore, Http, Prompt, Provider, SignInError, SignInRequest,
    Stopped, run,
};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, client_id, scopes, more @ ..] = &words[..] else { return Err("ISSUER CLIENT_ID SCOPES".into()) };

    let (http, cancel) = (Http::builder().build()?, Cancel::new());
    let metadata = run(&http, &mut Discovery::builder(issuer).allow_http_loopback().build()?, &cancel, |_| {})?;
    let client = Client::builder(Provider::from(metadata), client_id).scope(scopes).allow_http_loopback().build()?;
    // Other programs of this user may share the file, MSAL's too.
    let accounts = Accounts::new(http, FileStore::new("seed_java_cache.json")?);

    // An empty cache is no mistake here.
    let mut request = SignInRequest::new(client);
    let authority = request.client().authority().clone();
    if let Some(first) = accounts.list()?.into_iter().find(|account| authority.knows(account.environment())) {
        request = request.known_account(first);
    }
    let signed_in = match accounts.silent(&request, &cancel) {
        Err(SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason)))) => {
            println!("{reason}");
            let mut flow = request.device_flow_after(&reason, device_flow_blocking::entropy()?);
            let mut consumed = Ok(());
            let outcome = accounts.interactive(&request, &mut flow, &cancel, |event| {
                if let Event::ShowCode(prompt) = event {
                    consumed = consume(&prompt, more.first().map(String::as_str));
                    if consumed.is_err() {
                        // Nobody can see the code, so there is nothing to wait for.
                        cancel.cancel();
                    }
                }
            });
            consumed?;
            outcome?
        }
        outcome => outcome?,
    };
    println!("account: {}", signed_in.account().map(|account| account.label()).unwrap_or_default());
    println!("scopes: {}", signed_in.scopes().collect::<Vec<_>>().join(" "));
    Ok(())
}

fn consume(prompt: &Prompt, file: Option<&str>) -> std::io::Result<()> {
    let own = format!("Open {} and enter the code {}", prompt.verification_uri(), prompt.user_code());
    let message = prompt.message().unwrap_or(&own);
    match file {
        Some(file) => writeln!(OpenOptions::new().append(true).open(file)?, "{message}"),
        None => writeln!(std::io::stdout(), "{message}"),
    }
}
