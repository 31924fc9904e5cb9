//! Owns the `login` sub-command: the stored tokens if they still do, else a code before the eyes of a person; now, or later in
//! another run.

use crate::args::{Global, Login};
use crate::config::check_name;
use crate::end::End;
use crate::pending::{self, Id, Kept, Pending, Shown, Waiting, Words};
use crate::session::{Chosen, Purpose, Session, Storage};
use crate::settings::Settings;
use crate::signal;
use crate::terminal::{Terminal, local, today};
use device_flow_tokio::{
    Client, Event, Failure, SignInError, SignInRequest, SignedIn, SnapshotError, Stopped, TokenSource, WaitReason,
    entropy, now, run,
};
use serde::Serialize;
use std::cell::OnceCell;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::info;

pub(crate) async fn login(args: Login, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    terminal.look(args.look);
    if !terminal.can_be_seen() {
        return Err(End::NobodyCanSee);
    }
    // Outlives the work, which may be dropped anywhere.
    let pending = OnceCell::new();
    let ended = signal();
    let work = async {
        match &args.resume {
            None => begin(&args, flags, global, terminal, &pending).await,
            Some(id) => go_on(&args, id.as_deref(), flags, global, terminal, &pending).await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = work => outcome,
        end = ended => Err(end),
        never = too_late(args.timeout) => never.map(|never| match never {}),
    };
    let outcome = match outcome {
        Err(End::TimedOut(limit)) if !terminal.has_shown_code() => Err(End::NoCode(limit)),
        outcome => outcome,
    };
    let Some(pending) = pending.get() else { return outcome };
    match (outcome, pending.how_to_resume()) {
        (Err(End::Interrupted), _) => {
            pending.forget();
            Err(End::Interrupted)
        }
        // Said to nobody.
        (Err(end @ End::Output(_)), _) => Err(end),
        (Err(end), Some(how)) => Err(End::Resumable { end: Box::new(end), how }),
        (outcome, _) => outcome,
    }
}

async fn too_late(limit: Option<Duration>) -> Result<Infallible, End> {
    let Some(limit) = limit else { return std::future::pending().await };
    tokio::time::sleep(limit).await;
    Err(End::TimedOut(limit))
}

async fn begin(
    args: &Login,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
    place: &OnceCell<Pending>,
) -> Result<(), End> {
    pending::sweep();
    let mut chosen = Chosen::new(global, flags, Purpose::SignIn)?;
    if args.insecure_storage {
        chosen.settings_mut().set("store".to_owned(), vec!["file".to_owned()]);
    }
    if args.force {
        // Whoever it is will be the one that is meant from now on.
        chosen.settings_mut().remove("account");
    }
    let session = Session::open(&chosen, Purpose::SignIn, terminal).await?;
    if args.no_wait && session.storage == Storage::Memory {
        return Err(End::Usage(
            "--no-wait keeps the sign-in for another run, and --store memory keeps nothing".to_owned(),
        ));
    }
    let (request, named) = (session.request(), global.profile.is_some());
    let random = || entropy().map_err(SignInError::from);
    let mut flow = if args.force {
        request.device_flow(random()?)
    } else {
        match session.accounts()?.silent(&request).await {
            Err(SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason)))) => {
                info!("a code is needed: {reason}");
                terminal.sign_in_needed(&reason)?;
                request.device_flow_after(&reason, random()?)
            }
            outcome => return signed_in(&chosen, &session, &outcome?, named, terminal),
        }
    };
    let is_same = |other: &Waiting| other.is_of(chosen.profile()) && other.is_about(chosen.settings());
    let lives = |other: &Waiting| !other.is_expired() && other.is_free();
    let mut others: Vec<_> = Waiting::all().into_iter().filter(|other| is_same(other) && lives(other)).collect();
    others.sort_by_key(Waiting::ends);
    if let Some(newest) = others.last() {
        let (how, until) = (newest.how_to_resume(), local(newest.ends()));
        terminal.note(&match others.len() {
            1 => format!("An earlier sign-in still waits (until {until}): {how}. This is a new one."),
            many => format!("{many} earlier sign-ins still wait, the newest until {until}: {how}. This is a new one."),
        });
    }
    let words = || Words {
        profile: chosen.profile().map(str::to_owned),
        named,
        config: global.config.as_deref().and_then(absolute),
        settings: chosen.settings_for_later(),
        secret_from_stdin: chosen.reads_secret_from_stdin(),
    };
    // What is kept nowhere is gone when the program ends: so is the sign-in.
    if session.storage != Storage::Memory {
        match Pending::new(words()) {
            Ok(new) => drop(place.set(new)),
            Err(error) if args.no_wait => return Err(not_kept(&error)),
            Err(error) => terminal.note(&no_other_run(&error)),
        }
    }
    let mut kept = Kept::new(&mut flow, place.get(), session.request_limit);
    match place.get() {
        Some(pending) if args.no_wait => show(&session, &mut kept, pending, terminal).await,
        pending => {
            let outcome = wait(&session, &request, &mut kept, pending, terminal).await?;
            signed_in(&chosen, &session, &outcome, named, terminal)
        }
    }
}

/// Goes on where another run has left off.
async fn go_on(
    args: &Login,
    id: Option<&str>,
    mut flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
    place: &OnceCell<Pending>,
) -> Result<(), End> {
    if let Some(name) = flags.about_the_sign_in() {
        return Err(End::Usage(format!(
            "--{name} was said when the sign-in began; it cannot be changed with --resume"
        )));
    }
    if args.insecure_storage {
        flags.set("store".to_owned(), vec!["file".to_owned()]);
    }
    let id = match id {
        Some(text) => Id::parse(text).ok_or_else(|| End::Usage(format!("{text:?} is not the id of a sign-in")))?,
        None => the_only_one(global)?,
    };
    let (found, left) = Pending::take_over(id)?;
    let pending = place.get_or_init(|| found);
    pending::sweep();
    let Words { profile, named, config, settings, secret_from_stdin } = pending.words().clone();
    if let (Some(asked), true) = (&global.profile, global.profile != profile) {
        let of = profile.map_or_else(|| "no profile yet".to_owned(), |profile| format!("profile {profile}"));
        return Err(End::Usage(format!("this sign-in is of {of}, not of {asked}")));
    }
    if secret_from_stdin && flags.get("client-secret-file").is_none() {
        return Err(End::Usage("this sign-in needs the client secret again, which was read from stdin".to_owned()));
    }
    // The file of profiles is the one of then.
    let chosen = Chosen::again(config.as_deref().map(Path::new), profile, flags.over(settings))?;
    let session = Session::open(&chosen, Purpose::SignIn, terminal).await?;
    let (mut flow, deadline) = match left.resume(&session.client, now()) {
        Ok(resumed) => resumed,
        Err(error @ SnapshotError::OtherClient) => return Err(End::Usage(error.to_string())),
        Err(error) => {
            pending.forget();
            return Err(End::Storage(error.to_string()));
        }
    };
    let mut kept = Kept::new(&mut flow, Some(pending), session.request_limit).deadline(deadline);
    let outcome = wait(&session, &session.request(), &mut kept, Some(pending), terminal).await?;
    signed_in(&chosen, &session, &outcome, named, terminal)
}

/// That of the profile, if it has one; else the only one that there is.
fn the_only_one(global: &Global) -> Result<Id, End> {
    let current = match &global.profile {
        Some(name) => {
            check_name(name)?;
            Some(name.clone())
        }
        None => Chosen::current(global)?,
    };
    let (dead, mut all): (Vec<_>, Vec<_>) = Waiting::all().into_iter().partition(Waiting::is_expired);
    let is_own = |waiting: &Waiting| waiting.is_of(current.as_deref());
    if global.profile.is_some() || all.iter().any(is_own) {
        all.retain(is_own);
    }
    // What another run waits for is not meant, unless there is nothing else.
    if all.iter().any(Waiting::is_free) {
        all.retain(Waiting::is_free);
    }
    match &*all {
        [only] => Ok(only.id.clone()),
        [] => Err(match dead.last() {
            Some(last) => End::CodeExpired(last.id.to_string()),
            None => End::Usage("no sign-in waits to be resumed: `device-flow login` begins one".to_owned()),
        }),
        all => {
            let labels: Vec<_> = all.iter().map(Waiting::label).collect();
            Err(End::Usage(format!("several sign-ins wait: {}. Say which: --resume ID", labels.join(", "))))
        }
    }
}

/// `--no-wait`: the code, and how to go on. The last event.
#[derive(Serialize)]
struct Begun<'a> {
    resume_id: &'a str,
    profile: Option<&'a str>,
}

async fn show(session: &Session, kept: &mut Kept<'_>, pending: &Pending, terminal: &mut Terminal) -> Result<(), End> {
    let mut shown = Shown(kept);
    let prompt = run(session.http()?, &mut shown, |event| {
        if let Event::Waiting { wait, reason, .. } = event {
            // Only a note on the way: if it cannot be written, the result cannot be either, and that is told.
            let _ = terminal.waiting(wait, reason);
        }
    });
    let prompt = prompt.await?;
    if let Some(error) = pending.trouble() {
        return Err(not_kept(&error));
    }
    let life = prompt.expires_in(now());
    let (resume_id, how) = (pending.id().unwrap_or_default(), pending.how_to_resume().unwrap_or_default());
    terminal.show_code(&session.client, &prompt, life, Some(resume_id), false)?;
    terminal.settle().await;
    let begun = Begun { resume_id, profile: pending.words().profile.as_deref() };
    let end = local(today().saturating_add(life));
    terminal.tell("pending", &begun, &format!("Go on before {end} with:  {how}\n"))
}

async fn wait(
    session: &Session,
    request: &SignInRequest,
    kept: &mut Kept<'_>,
    pending: Option<&Pending>,
    terminal: &mut Terminal,
) -> Result<SignedIn, End> {
    let hear = |_: &Event, terminal: &mut Terminal| {
        let pending = pending?;
        if let Some(error) = pending.trouble() {
            terminal.note(&no_other_run(&error));
        }
        pending.id().map(str::to_owned)
    };
    let (http, accounts) = (session.http()?, session.accounts()?);
    let sign_in = |tell: mpsc::UnboundedSender<Event>| async move {
        // Who hears it lives as long as this future.
        let response = run(http, kept, |event| drop(tell.send(event))).await?;
        accounts.keep(request, response).await
    };
    before_the_person(&session.client, terminal, hear, sign_in).await
}

fn signed_in(
    chosen: &Chosen,
    session: &Session,
    signed_in: &SignedIn,
    named: bool,
    terminal: &mut Terminal,
) -> Result<(), End> {
    info!("the token is from {}", from(signed_in));
    let profile = chosen
        .remember(session, signed_in, named)
        .map_err(|end| End::Storage(format!("signed in, and the tokens are kept; but the profile is not: {end}")))?;
    if chosen.has_proxy_password() {
        terminal.note("The proxy's address has a password in it, so it is not remembered: keep it in HTTPS_PROXY.");
    }
    let account = signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
    terminal.signed_in(&session.client, signed_in, account.as_deref(), session.storage.name(), profile.as_deref())
}

fn not_kept(error: &dyn std::error::Error) -> End {
    End::Storage(format!("--no-wait keeps the sign-in in a file, and that failed: {error}"))
}

fn no_other_run(error: &dyn std::error::Error) -> String {
    format!("If this run ends before the sign-in does, no other can go on with it: {error}.")
}

fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

/// Runs a sign-in before the eyes of a person. `hear` learns of every event before it is shown; with a code it may say by which id
/// another run can go on.
pub(crate) async fn before_the_person<W: Future<Output = Result<SignedIn, SignInError>>>(
    client: &Client,
    terminal: &mut Terminal,
    mut hear: impl FnMut(&Event, &mut Terminal) -> Option<String>,
    sign_in: impl FnOnce(mpsc::UnboundedSender<Event>) -> W,
) -> Result<SignedIn, End> {
    // The driver tells, the terminal shows: a channel between them lets the countdown run in between.
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut driving = std::pin::pin!(sign_in(tell));
    loop {
        tokio::select! {
            biased;
            Some(event) = told.recv() => {
                log(&event);
                let resume_id = hear(&event, terminal);
                match event {
                    Event::SignInNeeded(reason) => terminal.sign_in_needed(&reason)?,
                    Event::ShowCode(prompt) => {
                        let life = prompt.expires_in(now());
                        terminal.show_code(client, &prompt, life, resume_id.as_deref(), true)?;
                    }
                    Event::Waiting { wait, reason, .. } => terminal.waiting(wait, reason)?,
                    _ => {}
                }
            },
            outcome = &mut driving => return Ok(outcome?),
            () = terminal.attend() => {}
        }
    }
}

/// For `-v`: of the code itself not a letter.
fn log(event: &Event) {
    match event {
        Event::SignInNeeded(reason) => info!("a code is needed: {reason}"),
        Event::ShowCode(prompt) => {
            let (life, every) = (prompt.expires_in(now()).as_secs(), prompt.interval().as_secs());
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
