//! The steps of MSAL.NET's device code sample: the accounts that are there, silently with the first of them, else by a code; and
//! each way in which it can end.
//!
//! ```text
//! cargo run -p device-flow-tokio --example seed_dotnet -- ISSUER CLIENT_ID SCOPES [SECONDS]
//! ```
//!
//! The demo server takes any client: `device-flow demo --serve` prints its ISSUER. Ctrl-C cancels, and so does the end of SECONDS.

use device_flow_tokio::{
    Accounts, Client, Discovery, Event, Failure, FileStore, Http, Provider, SignInError, SignInRequest, SignedIn,
    Stopped, run,
};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, client_id, scopes, more @ ..] = &words[..] else { return Err("ISSUER CLIENT_ID SCOPES".into()) };
    let limit = Duration::from_secs(more.first().map_or(Ok(900), |seconds| seconds.parse())?);

    let http = Http::builder().build()?;
    let metadata = run(&http, &mut Discovery::builder(issuer).allow_http_loopback().build()?, |_| {}).await?;
    let client = Client::builder(Provider::from(metadata), client_id).scope(scopes).allow_http_loopback().build()?;
    let accounts = Accounts::new(http, FileStore::new("seed_dotnet_cache.json")?);

    // Who is signed in, and the first of them.
    let mut request = SignInRequest::new(client);
    let authority = request.client().authority().clone();
    if let Some(first) = accounts.list().await?.into_iter().find(|account| authority.knows(account.environment())) {
        request = request.known_account(first);
    }

    // A future that is dropped is a cancelled sign-in; that is all there is to cancellation and to time limits.
    let outcome = tokio::select! {
        outcome = get_a_token(&accounts, &request) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Stopped::Failed(Failure::Cancelled).into()),
        () = tokio::time::sleep(limit) => Err(Stopped::Interrupted.into()),
    };
    match outcome {
        Ok(signed_in) => {
            println!("{}", signed_in.account().map(|account| account.label()).unwrap_or_default());
            return Ok(ExitCode::SUCCESS);
        }
        // What MsalServiceException is: the server has said no. Its text says what to do: AADSTS50059 and AADSTS90133 want a
        // tenant in the authority, AADSTS90002 has not found the tenant.
        Err(SignInError::Stopped(Stopped::Failed(Failure::Rejected(error) | Failure::Denied(error)))) => {
            println!("the server refused: {error}");
        }
        // OperationCanceledException.
        Err(SignInError::Stopped(Stopped::Failed(Failure::Cancelled) | Stopped::Interrupted)) => println!("cancelled"),
        // MsalClientException: nobody was quick enough.
        Err(SignInError::Stopped(Stopped::Failed(Failure::Expired(expired)))) => println!("{expired}"),
        Err(error) => println!("{error} {}", error.advice().unwrap_or_default()),
    }
    Ok(ExitCode::FAILURE)
}

async fn get_a_token(accounts: &Accounts, request: &SignInRequest) -> Result<SignedIn, SignInError> {
    match accounts.silent(request).await {
        // MsalUiRequiredException: no token, or the server insists on the person.
        Err(SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason)))) => {
            println!("{reason}");
            let mut flow = request.device_flow_after(&reason, device_flow_tokio::entropy()?);
            accounts.interactive(request, &mut flow, show).await
        }
        outcome => outcome,
    }
}

fn show(event: Event) {
    if let Event::ShowCode(prompt) = event {
        // Microsoft's servers send a sentence; others leave it to the program.
        match prompt.message() {
            Some(message) => println!("{message}"),
            None => println!("Open {} and enter the code {}", prompt.verification_uri(), prompt.user_code()),
        }
    }
}
