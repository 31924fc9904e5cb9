//! The steps of msal-node's device code sample: a request with a callback and a time limit, and its outcome as JSON.
//!
//! ```text
//! cargo run -p device-flow-tokio --example seed_node -- ISSUER CLIENT_ID SCOPES [SECONDS [LANGUAGE]]
//! ```
//!
//! The demo server takes any client: `device-flow demo --serve` prints its ISSUER.

use device_flow_tokio::{Accounts, Client, Discovery, Event, Http, MemoryStore, Provider, SignInRequest, run};
use serde_json::json;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, client_id, scopes, more @ ..] = &words[..] else { return Err("ISSUER CLIENT_ID SCOPES".into()) };
    let limit = Duration::from_secs(more.first().map_or(Ok(20), |seconds| seconds.parse())?);
    // The server's own texts in the person's language; those of the program are the program's to translate.
    let language = more.get(1).map_or("", String::as_str);

    let http = Http::builder().build()?;
    let metadata = run(&http, &mut Discovery::builder(issuer).allow_http_loopback().build()?, |_| {}).await?;
    let client = Client::builder(Provider::from(metadata), client_id).scope(scopes).language(language);
    let request = SignInRequest::new(client.allow_http_loopback().build()?);
    let accounts = Accounts::new(http, MemoryStore::new());

    let sign_in = accounts.sign_in(&request, |event| {
        if let Event::ShowCode(prompt) = event {
            let (uri, code) = (prompt.verification_uri(), prompt.user_code());
            let own = match language {
                "de" | "de-DE" => format!("Öffne {uri} und gib den Code {code} ein"),
                "fr" | "fr-FR" => format!("Ouvrez {uri} et saisissez le code {code}"),
                _ => format!("Open {uri} and enter the code {code}"),
            };
            println!("{}", prompt.message().unwrap_or(&own));
        }
    });
    let Ok(outcome) = tokio::time::timeout(limit, sign_in).await else {
        println!("{}", json!({"error": "timeout", "message": "nobody approved in time", "seconds": limit.as_secs()}));
        return Ok(ExitCode::FAILURE);
    };
    match outcome {
        Ok(signed_in) => {
            // The tokens themselves belong into no output.
            let account = signed_in.account().map(|account| account.label());
            let scopes: Vec<&str> = signed_in.scopes().collect();
            let expires_on = signed_in.expires_on().map(|end| end.as_secs());
            println!(
                "{}",
                json!({"account": account, "scopes": scopes, "expiresOn": expires_on, "tokenType": "Bearer"})
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!("{}", json!({"error": error.to_string(), "advice": error.advice()}));
            Ok(ExitCode::FAILURE)
        }
    }
}
