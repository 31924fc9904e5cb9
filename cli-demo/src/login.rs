//! Owns the `login` sub-command: the stored tokens while they are valid, else a code for a person to approve, in this
//! run or a later one.

use crate::args::{Global, Login, ServerName};
use crate::config::check_name;
use crate::pending::{self, AlreadyWaiting, Id, Invocation, Pending, RecordedFlow, Resumable, Turn, UntilShown};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, Session, Storage, Wanted, is_refusal, open_keyring};
use crate::settings::{Key, Settings};
use crate::shell::word;
use crate::signals::signal;
use crate::terminal::{Kept, Terminal, local, today, warn};
use device_flow_tokio::{
    Client, Event, Failure, SignInError, SignInRequest, SignedIn, SnapshotError, TokenSource, TokenType, WaitReason,
    entropy, now, run,
};
use serde::Serialize;
use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::info;

/// How long a run that is told to end may take to store tokens that were issued.
const TIME_TO_SAVE: Duration = Duration::from_secs(10);

pub(crate) async fn login(
    args: Login,
    mut flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    terminal.set_prompt_options(args.prompt);
    if !terminal.can_be_seen() {
        return Err(RunError::NobodyCanSee);
    }
    match &args.server_name {
        Some(ServerName::Provider(preset)) => flags.set(Key::Provider, [preset.name()]),
        Some(ServerName::Issuer(issuer)) => flags.set(Key::Issuer, [issuer]),
        None => {}
    }
    let progress = Progress::default();
    let work = async {
        match &args.resume {
            None => begin(&args, flags, global, terminal, &progress).await,
            Some(id) => resume(&args, id.as_deref(), flags, global, terminal, &progress).await,
        }
    };
    let outcome = until_ended(work, args.timeout, &progress).await;
    let outcome = match outcome {
        Err(RunError::TimedOut(limit)) if !terminal.has_shown_code() => Err(RunError::NoCode(limit)),
        outcome => outcome,
    };
    let Some(pending) = progress.pending.get() else { return outcome };
    match (outcome, pending.how_to_resume()) {
        (Err(RunError::Interrupted), _) if !progress.has_unsaved_tokens.get() => {
            pending.forget();
            Err(RunError::Interrupted)
        }
        (Err(error @ RunError::Output(_)), _) => Err(error),
        (Err(error), Some(how)) => Err(RunError::Resumable { error: Box::new(error), how }),
        (outcome, _) => outcome,
    }
}

/// What a run has reached: outside of its work, which may be dropped at any point.
#[derive(Default)]
struct Progress {
    pending: OnceCell<Pending>,
    /// The server has issued tokens that are not stored yet. The code is spent, so it issues them only once.
    has_unsaved_tokens: Cell<bool>,
    /// Why the run ends, once the tokens are stored.
    ending: RefCell<Option<RunError>>,
}

/// Does the work until it is done, the time is up, or a signal comes. Tokens that were issued by then are stored first.
async fn until_ended(
    work: impl Future<Output = Result<(), RunError>>,
    limit: Option<Duration>,
    progress: &Progress,
) -> Result<(), RunError> {
    let (mut work, mut signalled) = (pin!(work), pin!(signal()));
    let (mut limit, mut is_approved_in_time) = (pin!(time_limit(limit)), false);
    loop {
        let error = tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            error = &mut signalled => error,
            never = &mut limit, if !is_approved_in_time => match never {
                Err(error) => error,
                Ok(never) => match never {},
            },
        };
        if !progress.has_unsaved_tokens.get() {
            return Err(error);
        }
        if matches!(error, RunError::TimedOut(_)) {
            is_approved_in_time = true;
            continue;
        }
        warn(&format!("{error}, but the sign-in is approved: its tokens are stored first"));
        progress.ending.replace(Some(error));
        let late = || Err(progress.ending.take().unwrap_or(RunError::Terminated));
        return tokio::select! {
            biased;
            outcome = &mut work => outcome,
            // The second signal.
            error = signal() => Err(error),
            () = tokio::time::sleep(TIME_TO_SAVE) => late(),
        };
    }
}

async fn time_limit(limit: Option<Duration>) -> Result<Infallible, RunError> {
    let Some(limit) = limit else { return std::future::pending().await };
    tokio::time::sleep(limit).await;
    Err(RunError::TimedOut(limit))
}

async fn begin(
    args: &Login,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
    progress: &Progress,
) -> Result<(), RunError> {
    pending::sweep();
    let mut selection = Selection::new(global, flags, Purpose::SignIn)?;
    if args.insecure_storage {
        selection.settings_mut().set(Key::Store, ["file"]);
    }
    if args.force {
        // The account that signs in now becomes the one of the profile.
        selection.settings_mut().remove(Key::Account);
    }
    choose_store(&mut selection, terminal).await?;
    selection.try_place()?;
    let session = selection.open(Purpose::SignIn, terminal).await?;
    if args.no_wait && session.storage == Storage::Memory {
        let text = "--no-wait stores the sign-in for another run, but --store memory stores nothing";
        return Err(RunError::Usage(text.to_owned()));
    }
    let named = global.profile.is_some();
    selection.require_place_if(named && session.storage != Storage::Memory)?;
    let mut reason = None;
    if args.force {
        // Nobody has to approve what could not be stored beside something damaged.
        session.cache().await?;
    } else {
        match session.silent(Wanted::Valid).await {
            Ok(silent) => return signed_in(&selection, &session, &silent, progress, terminal).await,
            Err(RunError::Failed(Failure::SignInNeeded(why))) => reason = Some(why),
            // Else nobody could sign in again without knowing of --force.
            Err(RunError::Failed(failure)) if is_refusal(&failure) => {
                info!("a code is needed: {failure}");
                terminal.refresh_refused(&failure)?;
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(reason) = &reason {
        info!("a code is needed: {reason}");
        terminal.sign_in_needed(reason)?;
    }
    session.confirm_endpoints().await;
    let invocation = invocation(&selection, named, global);
    let _turn = match args.force || session.storage == Storage::Memory {
        true => None,
        false => Some(Turn::take(&invocation).await.map_err(|waiting| already_waiting(waiting, &selection))?),
    };
    note_earlier_sign_ins(&selection, terminal);
    // Without a token store, the sign-in has no use after this run either.
    if session.storage != Storage::Memory {
        match Pending::new(invocation) {
            Ok(new) => drop(progress.pending.set(new)),
            Err(error) if args.no_wait => return Err(cannot_leave(&error)),
            Err(error) => terminal.note(&cannot_be_resumed(&error)),
        }
    }
    let (request, random) = (session.request(), entropy().map_err(SignInError::from)?);
    // Nobody approves a sign-in whose tokens have no place.
    session.accounts()?.try_store(&request).await?;
    let mut flow = match &reason {
        Some(reason) => request.device_flow_after(reason, random),
        None => request.device_flow(random),
    };
    let mut flow = RecordedFlow::new(&mut flow, progress.pending.get(), session.request_limit());
    let outcome = match progress.pending.get() {
        Some(pending) if args.no_wait => show_code_and_leave(&session, &mut flow, pending, terminal).await,
        _ => match wait(&session, &request, &mut flow, progress, terminal).await {
            Ok(outcome) => signed_in(&selection, &session, &outcome, progress, terminal).await,
            Err(error) => Err(error),
        },
    };
    if let Err(RunError::Failed(failure)) = &outcome
        && session.has_ended_registration(failure).await
    {
        terminal.note(
            "The server no longer knows how this program has registered itself. The next sign-in registers it anew.",
        );
    }
    outcome
}

/// Where nothing says where tokens are to go, and there is no keyring: asks the person, before there is a code.
async fn choose_store(selection: &mut Selection, terminal: &mut Terminal) -> Result<(), RunError> {
    let is_said = [Key::Store, Key::TokenFile].iter().any(|key| selection.settings().get(*key).is_some());
    if is_said || !terminal.can_ask() {
        return Ok(());
    }
    let opened = tokio::task::spawn_blocking(|| open_keyring().map(drop)).await;
    let Err(error) = opened.map_err(|error| RunError::Internal(error.to_string()))? else { return Ok(()) };
    info!("no keyring: {error}");
    terminal.say(
        "There is no keyring that can be used here. Where should the tokens be stored?\n\n  \
         1. in a file that is encrypted with a passphrase  (--store age)\n  \
         2. in a file that only you can read, not encrypted  (--store file)\n  \
         3. nowhere: they end with this run  (--store memory)\n",
    );
    loop {
        let Some(answer) = terminal.ask("1, 2 or 3?").await else { return Ok(()) };
        let store = match &*answer {
            "1" | "age" => "age",
            "2" | "file" => "file",
            "3" | "memory" => "memory",
            _ => continue,
        };
        selection.settings_mut().set(Key::Store, [store]);
        return Ok(());
    }
}

/// The error of a run that would show a second code for the same sign-in.
fn already_waiting(waiting: AlreadyWaiting, selection: &Selection) -> RunError {
    let AlreadyWaiting { holder, pending } = waiting;
    let of = selection.profile().map_or_else(String::new, |profile| format!(" of profile {profile}"));
    let force = selection.how_to_sign_in().forced();
    RunError::AlreadyWaiting(match pending {
        Some(pending) => format!(
            "a sign-in{of} is already waiting to be approved, until {} ({holder} shows its code): approve that one. To go on \
             with it here, end that process first, then: {}. To show another code all the same: {force}",
            local(pending.expires()),
            pending.how_to_resume(),
        ),
        None => format!(
            "{holder} is beginning a sign-in{of} and has no code yet: finish that one, or end it and try again. To show another \
             code all the same: {force}"
        ),
    })
}

/// Other sign-ins of the same client that could still be finished.
fn note_earlier_sign_ins(selection: &Selection, terminal: &mut Terminal) {
    let is_same = |other: &Resumable| other.is_of_profile(selection.profile()) && other.is_about(selection.settings());
    let is_alive = |other: &Resumable| !other.is_expired() && other.is_free();
    let others: Vec<_> = Resumable::all().into_iter().filter(|other| is_same(other) && is_alive(other)).collect();
    let Some(newest) = others.last() else { return };
    let (how, until) = (newest.how_to_resume(), local(newest.expires()));
    terminal.note(&match others.len() {
        1 => format!("An earlier sign-in can still be finished (until {until}): {how}. This is a new one."),
        many => {
            format!(
                "{many} earlier sign-ins can still be finished, the newest until {until}: {how}. This is a new one."
            )
        }
    });
}

fn invocation(selection: &Selection, named: bool, global: &Global) -> Invocation {
    Invocation {
        profile: selection.profile().map(str::to_owned),
        named,
        config: global.config.as_deref().and_then(absolute),
        settings: selection.settings_for_later(),
        secret_from_stdin: selection.reads_secret_from_stdin(),
    }
}

/// Finishes a sign-in that another run began.
async fn resume(
    args: &Login,
    id: Option<&str>,
    mut flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
    progress: &Progress,
) -> Result<(), RunError> {
    if let Some(key) = flags.fixed_by_the_sign_in() {
        return Err(RunError::Usage(format!(
            "--{key} was set when the sign-in began and cannot be changed with --resume"
        )));
    }
    if args.insecure_storage {
        flags.set(Key::Store, ["file"]);
    }
    let id = match id {
        Some(text) => Id::parse(text).ok_or_else(|| RunError::Usage(format!("{text:?} is not the id of a sign-in")))?,
        None => only_resumable(global)?,
    };
    let (taken_over, stored_flow) = Pending::take_over(id)?;
    let pending = progress.pending.get_or_init(|| taken_over);
    pending::sweep();
    let Invocation { profile, config, settings, secret_from_stdin, .. } = pending.invocation().clone();
    if let (Some(asked), true) = (&global.profile, global.profile != profile) {
        let own = profile.map_or_else(|| "no profile yet".to_owned(), |profile| format!("profile {profile}"));
        return Err(RunError::Usage(format!("this sign-in belongs to {own}, not to {asked}")));
    }
    if secret_from_stdin && flags.get(Key::ClientSecretFile).is_none() {
        let text = "this sign-in needs the client secret again, since it was read from stdin";
        return Err(RunError::Usage(text.to_owned()));
    }
    // The file of profiles of the run that began it.
    let mut selection = Selection::resumed(config.as_deref().map(Path::new), profile, flags.over(settings))?;
    selection.try_place()?;
    let session = selection.open(Purpose::SignIn, terminal).await?;
    let mut flow = match stored_flow.resume(&session.client(), now()) {
        Ok(resumed) => resumed,
        Err(error @ SnapshotError::OtherClient) => return Err(RunError::Usage(error.to_string())),
        Err(error) => {
            pending.forget();
            return Err(RunError::Storage(error.to_string()));
        }
    };
    let mut flow = RecordedFlow::new(&mut flow, Some(pending), session.request_limit());
    let outcome = wait(&session, &session.request(), &mut flow, progress, terminal).await?;
    signed_in(&selection, &session, &outcome, progress, terminal).await
}

/// The one of the current profile, if it has one; else the only one that there is.
fn only_resumable(global: &Global) -> Result<Id, RunError> {
    pending::require_place()?;
    let current = match &global.profile {
        Some(name) => {
            check_name(name)?;
            Some(name.clone())
        }
        None => Selection::current(global)?,
    };
    let (expired, mut all): (Vec<_>, Vec<_>) = Resumable::all().into_iter().partition(Resumable::is_expired);
    let is_own = |resumable: &Resumable| resumable.is_of_profile(current.as_deref());
    if global.profile.is_some() || all.iter().any(is_own) {
        all.retain(is_own);
    }
    // One that another run is polling for comes last.
    if all.iter().any(Resumable::is_free) {
        all.retain(Resumable::is_free);
    }
    match &*all {
        [only] => Ok(only.id.clone()),
        [] => Err(match expired.last() {
            Some(last) => RunError::CodeExpired(last.id.to_string()),
            None => RunError::Usage("there is no sign-in to resume: `device-flow login` begins one".to_owned()),
        }),
        all => {
            let labels: Vec<_> = all.iter().map(Resumable::label).collect();
            Err(RunError::Usage(format!(
                "several sign-ins can be resumed: {}. Choose with --resume ID",
                labels.join(", ")
            )))
        }
    }
}

/// The last event of `--no-wait`.
#[derive(Serialize)]
struct Begun<'a> {
    resume_id: &'a str,
    profile: Option<&'a str>,
}

/// `--no-wait`.
async fn show_code_and_leave(
    session: &Session,
    flow: &mut RecordedFlow<'_>,
    pending: &Pending,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let mut until_shown = UntilShown(flow);
    let prompt = run(session.http()?, &mut until_shown, |event| {
        if let Event::Waiting { wait, reason, said, .. } = event {
            // Only a progress message: if it cannot be written, neither can the result, and that is reported.
            let _ = terminal.waiting(wait, reason, said.as_deref());
        }
    });
    let prompt = prompt.await?;
    if let Some(error) = pending.take_store_error() {
        return Err(cannot_leave(&error));
    }
    let lifetime = prompt.expires_in(now());
    let (resume_id, how) = (pending.id().unwrap_or_default(), pending.how_to_resume().unwrap_or_default());
    terminal.show_code(&session.client(), &prompt, lifetime, Some(resume_id), false)?;
    terminal.settle().await;
    let begun = Begun { resume_id, profile: pending.invocation().profile.as_deref() };
    let end = local(today().saturating_add(lifetime));
    terminal.result("pending", &begun, &format!("Before {end}, finish the sign-in with:  {how}\n"))
}

async fn wait(
    session: &Session,
    request: &SignInRequest,
    flow: &mut RecordedFlow<'_>,
    progress: &Progress,
    terminal: &mut Terminal,
) -> Result<SignedIn, RunError> {
    let pending = progress.pending.get();
    let resume_id = |_: &Event, terminal: &mut Terminal| {
        let pending = pending?;
        if let Some(error) = pending.take_store_error() {
            terminal.note(&cannot_be_resumed(&error));
        }
        pending.id().map(str::to_owned)
    };
    let (http, accounts) = (session.http()?, session.accounts()?);
    let sign_in = |events: mpsc::UnboundedSender<Event>| async move {
        // The receiver lives as long as this future.
        let response = run(http, flow, |event| drop(events.send(event))).await?;
        progress.has_unsaved_tokens.set(true);
        let kept = accounts.keep(request, response).await;
        // Only now: until the tokens are stored, nothing else remembers this sign-in. Those that may not be used are
        // not stored.
        if matches!(kept, Ok(_) | Err(SignInError::Stopped(_))) {
            progress.has_unsaved_tokens.set(false);
            pending.into_iter().for_each(Pending::forget);
        }
        kept
    };
    show_sign_in(&session.client(), terminal, resume_id, sign_in).await
}

async fn signed_in(
    selection: &Selection,
    session: &Session,
    signed_in: &SignedIn,
    progress: &Progress,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    info!("the token is from {}", source(signed_in));
    let remembered = selection.remember(&session.storage, &session.client(), signed_in).map_err(|error| {
        RunError::Storage(format!("signed in, and the tokens are stored; but the profile could not be saved: {error}"))
    })?;
    let (profile, current) = remembered.map_or((None, None), |(profile, current)| (Some(profile), current));
    if let (Some(profile), Some(account)) = (&profile, signed_in.account()) {
        session.move_to_slot(account, profile).await?;
    }
    if selection.has_proxy_password() {
        terminal.note("The proxy address contains a password, so it was not saved: set it in HTTPS_PROXY.");
    }
    if let Some(error) = progress.ending.take() {
        return Err(RunError::EndedSignedIn(Box::new(error)));
    }
    if let (None, Some(why), true) = (&profile, selection.why_not_saved(), session.storage != Storage::Memory) {
        terminal.note(&format!(
            "The options were not saved as a profile ({why}). Give other commands the same options, or name another file of \
             profiles with --config (DEVICE_FLOW_CONFIG)."
        ));
    }
    if session.client().proof_of_possession().is_some() && signed_in.token_type() == TokenType::Bearer {
        terminal.note(
            "The server has issued a bearer token, which anybody who gets hold of it can use: it does not bind tokens to a key \
             (--dpop).",
        );
    }
    let account = signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
    let kept = Kept { storage: session.storage.name(), file: session.token_file(), profile: profile.as_deref() };
    terminal.signed_in(&session.client(), signed_in, account.as_deref(), &kept)?;
    if let (Some(profile), Some(current)) = (&profile, current.filter(|current| profile.as_ref() != Some(current))) {
        return offer_to_use(selection, profile, &current, terminal).await;
    }
    Ok(())
}

/// What a sign-in has become does not become the current profile by itself.
async fn offer_to_use(
    selection: &Selection,
    profile: &str,
    current: &str,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let question = format!("Profile {current} is still the current one. Shall {profile} be it from now on? [y/N]");
    // The sign-in is over: a signal ends the question, and nothing else.
    let answer = tokio::select! {
        answer = terminal.ask(&question) => answer,
        _ = signal() => None,
    };
    terminal.note(&match answer.as_deref() {
        Some("y" | "Y" | "yes") => {
            selection.make_current(profile)?;
            format!("Profile {profile} is now the current one.")
        }
        Some(_) => format!("It stays so. To change that: device-flow use {}", word(profile)),
        None => {
            format!("Profile {current} is still the current one. To change that: device-flow use {}", word(profile))
        }
    });
    Ok(())
}

fn cannot_leave(error: &dyn std::error::Error) -> RunError {
    RunError::Storage(format!(
        "--no-wait stores the sign-in in a file, and that failed: {error}. Set HOME or XDG_STATE_HOME to a folder that you may \
         write to, or leave --no-wait out"
    ))
}

fn cannot_be_resumed(error: &dyn std::error::Error) -> String {
    format!("If this run ends before the sign-in does, it cannot be resumed: {error}.")
}

fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

/// Runs a sign-in and shows its events to the person. `on_event` gets every event before it is shown, and returns the
/// id with which another run can finish the sign-in, if there is one.
pub(crate) async fn show_sign_in<W: Future<Output = Result<SignedIn, SignInError>>>(
    client: &Client,
    terminal: &mut Terminal,
    mut on_event: impl FnMut(&Event, &mut Terminal) -> Option<String>,
    sign_in: impl FnOnce(mpsc::UnboundedSender<Event>) -> W,
) -> Result<SignedIn, RunError> {
    // Through a channel, so that the countdown runs between two events.
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut sign_in = std::pin::pin!(sign_in(sender));
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                log(&event);
                let resume_id = on_event(&event, terminal);
                match event {
                    Event::SignInNeeded(reason) => terminal.sign_in_needed(&reason)?,
                    Event::ShowCode(prompt) => {
                        let lifetime = prompt.expires_in(now());
                        terminal.show_code(client, &prompt, lifetime, resume_id.as_deref(), true)?;
                    }
                    Event::Waiting { wait, reason, said, .. } => terminal.waiting(wait, reason, said.as_deref())?,
                    _ => {}
                }
            },
            outcome = &mut sign_in => return Ok(outcome?),
            () = terminal.attend() => {}
        }
    }
}

/// The lines of `-v`. The code itself is not logged.
fn log(event: &Event) {
    match event {
        Event::SignInNeeded(reason) => info!("a code is needed: {reason}"),
        Event::ShowCode(prompt) => {
            let (lifetime, every) = (prompt.expires_in(now()).as_secs(), prompt.interval().as_secs());
            info!("received a code, valid for {lifetime} s; polling every {every} s");
        }
        Event::Waiting { wait, reason, said, .. } => {
            let wait = wait.as_secs_f64();
            match reason {
                WaitReason::Interval => info!("waiting {wait:.1} s, the interval"),
                WaitReason::SlowDown { interval } => {
                    info!("waiting {wait:.1} s: slow_down, the interval is now {interval} s")
                }
                WaitReason::Backoff { cause, attempt } => {
                    let said = said.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
                    info!("waiting {wait:.1} s after failure {attempt}: {cause}{said}");
                }
                WaitReason::RetryAfter => info!("waiting {wait:.1} s, as Retry-After asks"),
            }
        }
        _ => {}
    }
}

/// Where a token came from, for the log.
pub(crate) fn source(signed_in: &SignedIn) -> &'static str {
    match signed_in.source() {
        TokenSource::Cache => "the store, without a request",
        TokenSource::Refresh => "a refresh",
        // And sources that this version does not know.
        TokenSource::DeviceFlow | _ => "a code",
    }
}
