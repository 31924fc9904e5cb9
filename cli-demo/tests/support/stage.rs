//! Owns a demo server on a clock that the test sets, and real clients on the same clock.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use device_flow_cli::demo::{Options, Server};
use device_flow_tokio::{
    Action, Client, DeviceFlow, Event, Machine, Misuse, Provider, Response, Stopped, Ticket, Timestamp, TokenResponse,
    TransportError, WaitReason,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A server whose clock stands still until the test advances it.
pub(crate) struct Stage {
    pub(crate) server: Arc<Server>,
    clock: UnboundedSender<(Duration, mpsc::Sender<()>)>,
    now: Cell<Duration>,
    runtime: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Adapter {
    Tokio,
    Blocking,
}

/// What a client reports to the test: the code, then each wait before it begins.
pub(crate) enum ClientEvent<'a> {
    Code(&'a str),
    Wait(WaitReason),
}

impl Stage {
    /// Codes are valid for a day, so that no test is too slow for them.
    pub(crate) fn start(interval: u64) -> Self {
        let options = Options {
            interval: Duration::from_secs(interval),
            code_lifetime: Duration::from_secs(24 * 60 * 60),
            connection_patience: Duration::from_secs(24 * 60 * 60),
            ..Options::default()
        };
        let (clock, told) = unbounded_channel();
        let (started, server) = mpsc::channel();
        let runtime = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
            runtime.block_on(keep_time(options, &started, told));
        });
        Self { server: server.recv().expect("the server starts"), clock, now: Cell::default(), runtime: Some(runtime) }
    }

    /// Advances the clock of the server.
    pub(crate) fn advance(&self, time: Duration) {
        let (done, seen) = mpsc::channel();
        self.clock.send((time, done)).expect("the stage stands");
        seen.recv().expect("the stage stands");
        self.now.set(self.now.get() + time);
    }

    /// Signs in with a real client. `on` gets what it reports, and then the clock advances.
    pub(crate) fn sign_in(
        &self,
        adapter: Adapter,
        client_id: &str,
        mut on: impl FnMut(ClientEvent<'_>),
    ) -> Result<TokenResponse, Stopped> {
        let url = self.server.base_url();
        let provider = Provider::endpoints(format!("{url}/device_authorization"), format!("{url}/token"));
        let client = Client::builder(provider, client_id).scope("openid profile").allow_http_loopback().build();
        let entropy = device_flow_tokio::entropy().expect("random bytes");
        let flow = DeviceFlow::new(client.expect("a client"), entropy);
        let mut flow = Staged { flow, stage: self, waits: None };
        let tell = |event| match event {
            Event::ShowCode(prompt) => on(ClientEvent::Code(prompt.user_code())),
            Event::Waiting { reason, .. } => on(ClientEvent::Wait(reason)),
            other @ (Event::SignInNeeded(_) | _) => panic!("{other:?}"),
        };
        match adapter {
            Adapter::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let http = device_flow_tokio::Http::builder().build().expect("a client");
                runtime.block_on(device_flow_tokio::run(&http, &mut flow, tell))
            }
            Adapter::Blocking => {
                let http = device_flow_blocking::Http::builder().build().expect("a client");
                device_flow_blocking::run(&http, &mut flow, &device_flow_blocking::Cancel::new(), tell)
            }
        }
    }

    /// Presses a button of the live page like a browser, and returns the status of the answer.
    pub(crate) fn press(&self, number: u64, what: &str) -> u16 {
        let page = self.ask("GET", &format!("/live/{number}"), "", "");
        let between = |before: &str, after| page.split(before).nth(1)?.split(after).next();
        let cookie = between("set-cookie: ", ";").expect("a cookie");
        let token = between("name=\"form_token\" value=\"", "\"").expect("a form");
        let headers = format!("cookie: {cookie}\r\ncontent-type: application/x-www-form-urlencoded\r\n");
        let answer = self.ask(
            "POST",
            &format!("/live/{number}/misbehave"),
            &headers,
            &format!("form_token={token}&what={what}"),
        );
        answer.split(' ').nth(1).expect("a status").parse().expect("a number")
    }

    /// One request on a connection of its own. Returns the whole answer, which is empty if there was none.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let host = self.server.base_url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server listens");
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        answer
    }

    /// The times between polls, the first one since `issued`, when the code was issued.
    pub(crate) fn gaps(&self, user_code: &str, issued: Duration) -> Vec<Duration> {
        let polls = self.server.polls(user_code);
        let befores = [issued].into_iter().chain(polls.iter().copied());
        befores.zip(&polls).map(|(before, poll)| *poll - before).collect()
    }
}

/// A flow on the server's clock. Where the flow wants to wait, the driver waits a moment, and the clock advances by the
/// whole wait. Everything else is unchanged; so this tests when a client polls and how it reacts to answers, but not
/// the driver's clock.
struct Staged<'s> {
    flow: DeviceFlow,
    stage: &'s Stage,
    waits: Option<Timestamp>,
}

impl Staged<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.stage.now.get())
    }
}

impl Machine for Staged<'_> {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        if let Some(until) = self.waits.take() {
            self.stage.advance(until.saturating_since(self.now()));
        }
        match self.flow.next_action(self.now()) {
            Action::Wait { until, reason } => {
                self.waits = Some(until);
                Action::Wait { until: now.saturating_add(Duration::from_millis(1)), reason }
            }
            action @ (Action::SendRequest(_)
            | Action::ShowCode(_)
            | Action::AwaitResponse
            | Action::Done(_)
            | Action::Ended) => action,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, _: Timestamp) -> Result<(), Misuse> {
        self.flow.response(ticket, response, self.now())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, _: Timestamp) -> Result<(), Misuse> {
        self.flow.transport_failed(ticket, error, self.now())
    }

    fn cancel(&mut self) {
        self.flow.cancel();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Closing the channel ends the thread.
        self.clock = unbounded_channel().0;
        if let Some(runtime) = self.runtime.take() {
            let _ = runtime.join();
        }
    }
}

async fn keep_time(
    options: Options,
    started: &mpsc::Sender<Arc<Server>>,
    mut told: UnboundedReceiver<(Duration, mpsc::Sender<()>)>,
) {
    // tokio lets a paused clock jump to the next timer, but not while a blocking thread like this one works.
    let (hold, held) = mpsc::channel::<()>();
    let keeper = tokio::task::spawn_blocking(move || held.recv());
    let server = Server::start(options).await.expect("the server starts");
    started.send(Arc::new(server)).expect("the test waits");
    while let Some((time, done)) = told.recv().await {
        tokio::time::advance(time).await;
        let _ = done.send(());
    }
    drop(hold);
    let _ = keeper.await;
}
