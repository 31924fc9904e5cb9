//! Owns the `login` sub-command: the stored tokens if they still do, else a code before the eyes of a person.

use crate::args::{Global, Login};
use crate::end::End;
use crate::session::{Chosen, Purpose, Session};
use crate::settings::Settings;
use crate::terminal::Terminal;
use device_flow_tokio::core::{Client, Event, Prompt, SignedIn, TokenSource, WaitReason};
use device_flow_tokio::{Http, SignInError, entropy};
use tokio::sync::mpsc;
use tracing::info;

pub(crate) async fn login(args: Login, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    terminal.look(args.look);
    if !terminal.can_be_seen() {
        return Err(End::NobodyCanSee);
    }
    let mut chosen = Chosen::new(global, flags, Purpose::SignIn)?;
    if args.insecure_storage {
        chosen.settings_mut().set("store".to_owned(), vec!["file".to_owned()]);
    }
    if args.force {
        // Whoever it is will be the one that is meant from now on.
        chosen.settings_mut().remove("account");
    }
    let work = async {
        let session = Session::open(&chosen, Purpose::SignIn, terminal).await?;
        let (request, accounts) = (session.request(), session.accounts()?);
        let sign_in = |tell: mpsc::UnboundedSender<Event>| async move {
            // Who hears it lives as long as this future.
            let tell = |event| drop(tell.send(event));
            if args.force {
                let mut flow = request.device_flow(entropy()?);
                accounts.interactive(&request, &mut flow, tell).await
            } else {
                accounts.sign_in(&request, tell).await
            }
        };
        let signed_in = before_the_person(&session.client, session.http()?, terminal, |_| {}, sign_in).await?;
        let profile = chosen.remember(&session, &signed_in, global.profile.is_some())?;
        let account = signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
        terminal.signed_in(&session.client, &signed_in, account.as_deref(), session.storage.name(), profile.as_deref())
    };
    match args.timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(End::TimedOut(limit))),
    }
}

/// Runs a sign-in before the eyes of a person. `on_code` hears of the code when it is shown.
pub(crate) async fn before_the_person<W: Future<Output = Result<SignedIn, SignInError>>>(
    client: &Client,
    http: &Http,
    terminal: &mut Terminal,
    mut on_code: impl FnMut(&Prompt),
    sign_in: impl FnOnce(mpsc::UnboundedSender<Event>) -> W,
) -> Result<SignedIn, End> {
    // The driver tells, the terminal shows: a channel between them lets the countdown run in between.
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut driving = std::pin::pin!(sign_in(tell));
    loop {
        tokio::select! {
            biased;
            Some(event) = told.recv() => {
                log(&event, http);
                match event {
                    Event::SignInNeeded(reason) => terminal.sign_in_needed(&reason)?,
                    Event::ShowCode(prompt) => {
                        terminal.show_code(client, &prompt, prompt.expires_in(http.now()))?;
                        on_code(&prompt);
                    }
                    Event::Waiting { wait, reason, .. } => terminal.waiting(wait, reason)?,
                    _ => {}
                }
            }
            outcome = &mut driving => {
                let signed_in = outcome?;
                info!("the token is from {}", from(&signed_in));
                return Ok(signed_in);
            }
            () = terminal.attend() => {}
        }
    }
}

/// For `-v`: of the code itself not a letter.
fn log(event: &Event, http: &Http) {
    match event {
        Event::SignInNeeded(reason) => info!("a code is needed: {reason}"),
        Event::ShowCode(prompt) => {
            let (life, every) = (prompt.expires_in(http.now()).as_secs(), prompt.interval().as_secs());
            info!("a code came, which lives for {life} s; polling every {every} s");
        }
        Event::Waiting { wait, reason, .. } => {
            let wait = wait.as_secs_f64();
            match reason {
                WaitReason::Interval => info!("waiting {wait:.1} s, the interval"),
                WaitReason::SlowDown { interval } => {
                    info!("waiting {wait:.1} s: slow_down, the interval is now {interval} s")
                }
                WaitReason::Backoff { cause, attempt } => info!("waiting {wait:.1} s after failure {attempt}: {cause}"),
                WaitReason::RetryAfter => info!("waiting {wait:.1} s, as Retry-After asks for"),
            }
        }
        _ => {}
    }
}

/// Where a token came from.
pub(crate) fn from(signed_in: &SignedIn) -> &'static str {
    match signed_in.source() {
        TokenSource::Cache => "the store, no request was needed",
        TokenSource::Refresh => "a refresh",
        // And places that this version does not know.
        TokenSource::DeviceFlow | _ => "a code",
    }
}
