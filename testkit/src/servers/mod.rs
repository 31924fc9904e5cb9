//! Owns real authorization servers on loopback: it starts them, stops them, and sends a person to their pages.
//!
//! The servers are oidc-provider, Authlib and django-oauth-toolkit, from the package registries at pinned versions; the
//! folder `servers` of this crate holds their sources and the script that installs them. The first start in a process
//! runs that script: ten seconds and the network once, a tenth of a second afterwards. They live in
//! `$DEVICE_FLOW_SERVERS`, by default `target/servers` of the workspace (outside of it a folder for temporary files).
//! [`Keycloak`] starts too slowly for that: where one runs, `$DEVICE_FLOW_KEYCLOAK` names its folder, and a [`Server`]
//! of its kind is a realm of its own.
//!
//! Every other [`Server`] has its own port, process and state, so tests may run side by side. Nothing here needs a
//! runtime: [`Server::start`] and the calls for the person block, at most a few seconds. In an async test whose client has to go
//! on meanwhile, put the server in an `Arc` and send the person from `spawn_blocking`.
//!
//! The user is alice. A client authenticates as its constant here says: [`PUBLIC`], [`BASIC`], [`BASIC_PLAIN`],
//! [`POST`], [`NO_DEVICE`], [`DPOP`], [`TLS`], [`SELF_SIGNED_TLS`].
//!
//! ```no_run
//! use device_flow_testkit::servers::{Kind, Options, Server};
//!
//! let server = Server::start(Kind::Authlib, Options { interval: Some(1), ..Options::default() });
//! # let user_code = String::new();
//! // … ask server.device_authorization_endpoint() for a code …
//! server.approve(&user_code);
//! // … poll server.token_endpoint() …
//! ```

mod keycloak;
mod keys;
mod kind;
mod person;
mod tap;

pub use keycloak::Keycloak;
pub use keys::{KeyClient, KeyClients, Nonces};
pub use kind::Kind;
pub use tap::{Exchange, Tap};

use crate::installation::install;
use person::Person;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The public client: no secret, `client_id` in the form.
pub const PUBLIC: &str = "device-public";
/// A client of `client_secret_basic`, whose secret shows whether it was form-encoded (RFC 6749 §2.3.1).
pub const BASIC: (&str, &str) = ("device-basic", "s3cret+/= %:canary");
/// A client of `client_secret_basic`, whose secret reads the same encoded or not.
pub const BASIC_PLAIN: (&str, &str) = ("device-basic2", "plainsecret");
/// A client of `client_secret_post`.
pub const POST: (&str, &str) = ("device-post", "post-secret");
/// A public client with no right to the device grant.
pub const NO_DEVICE: &str = "no-device";
/// A public client whose tokens must be bound by DPoP; on oidc-provider alone.
pub const DPOP: &str = "device-dpop";

/// A client of `tls_client_auth`, known by the subject `CN=device-client`; where there is [`MutualTls`].
pub const TLS: &str = "device-tls";
/// A client of `self_signed_tls_client_auth`; where there is [`MutualTls`].
pub const SELF_SIGNED_TLS: &str = "device-self-signed-tls";

/// How long a start may take before the test fails: long enough for a busy machine that starts a dozen at once.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What a server tells a device; `None` leaves the server's own default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Lifetime of a device code, in seconds. Default 600 (django-oauth-toolkit: 1800).
    pub expires: Option<u32>,
    /// Shortest time between two polls, in seconds. Default 5; oidc-provider sends none unless it is given here.
    pub interval: Option<u32>,
}

/// What oidc-provider needs to ask for client certificates (RFC 8705), all in PEM.
#[derive(Clone, Copy)]
pub struct MutualTls<'a> {
    /// The server's certificate for 127.0.0.1.
    pub certificate: &'a str,
    /// The key of that.
    pub key: &'a str,
    /// Who issues the certificates of [`TLS`].
    pub client_authority: &'a str,
    /// The certificate of [`SELF_SIGNED_TLS`].
    pub self_signed: &'a str,
}

/// A running server. Dropping it kills all its processes; afterwards its port refuses connections. A realm of Keycloak
/// is removed.
///
/// One that is never dropped (in a `static`, or in a test program that was killed) ends itself within a second after
/// its test program.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    base_url: String,
    /// What stands before every path.
    below: String,
    runs: Runs,
}

/// How a server runs.
#[derive(Debug)]
enum Runs {
    /// As a process; its log and database go with it.
    Alone {
        process: Child,
        state: TempDir,
    },
    OnKeycloak(Keycloak),
}

impl Server {
    /// Installs the servers if need be, starts one on a port of its own and returns once it answers.
    ///
    /// # Panics
    /// When the installation fails, or the server does not answer within two minutes: the message ends with its log.
    #[track_caller]
    pub fn start(kind: Kind, options: Options) -> Self {
        if kind == Kind::Keycloak {
            return Self::start_on_keycloak(options, &json!({}));
        }
        Self::start_in(tempfile::tempdir().expect("a folder for the server's state"), kind, options, None)
    }

    /// A realm of Keycloak with these further settings, named as Keycloak's administrators name them.
    ///
    /// # Panics
    /// When no Keycloak runs, or it does not take the settings.
    #[track_caller]
    pub fn start_on_keycloak(options: Options, settings: &Value) -> Self {
        let keycloak = Keycloak::with_realm(options, settings);
        let (base_url, below) = (keycloak.base_url().to_owned(), keycloak.path());
        Self { kind: Kind::Keycloak, base_url, below, runs: Runs::OnKeycloak(keycloak) }
    }

    /// An oidc-provider whose metadata names another port for clients with certificates (`mtls_endpoint_aliases`, RFC 8705 §5):
    /// with TLS, where it asks for a certificate and lets its absence be an error of OAuth.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[track_caller]
    pub fn start_with_mutual_tls(options: Options, tls: MutualTls<'_>) -> Self {
        let state = tempfile::tempdir().expect("a folder for the server's state");
        for (name, pem) in [
            ("server.pem", tls.certificate),
            ("server-key.pem", tls.key),
            ("client-authority.pem", tls.client_authority),
            ("self-signed.pem", tls.self_signed),
        ] {
            fs::write(state.path().join(name), pem).expect("a file for the server");
        }
        Self::start_in(state, Kind::OidcProvider, options, Some(("MUTUAL_TLS", "1")))
    }

    /// An oidc-provider or an Authlib with these clients beside its usual ones.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[track_caller]
    pub fn start_with_keys(kind: Kind, options: Options, keys: KeyClients<'_>) -> Self {
        let state = tempfile::tempdir().expect("a folder for the server's state");
        Self::start_in(state, kind, options, Some(("KEYS", &keys.to_json())))
    }

    #[track_caller]
    fn start_in(state: TempDir, kind: Kind, options: Options, setting: Option<(&str, &str)>) -> Self {
        let installed = installed();
        let database = state.path().join("django.sqlite3");
        if kind == Kind::DjangoOauthToolkit {
            // Much faster than migrating: a copy of the database made by the installation.
            fs::copy(installed.join("django.sqlite3"), &database).expect("a copy of the template database");
        }

        // The server inherits the bound port as its standard input. So no other program can take the port in between,
        // and a client that connects while the server starts waits for it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let base_url = format!("http://{}", port.local_addr().expect("an address"));
        let log = File::create(state.path().join("log")).expect("a log file");

        let mut command = program(kind, installed);
        command
            .current_dir(state.path())
            .env("INSTALLED", installed)
            .env("BASE_URL", &base_url)
            .env("DATABASE", database)
            .stdin(OwnedFd::from(port))
            .stdout(log.try_clone().expect("the log file twice"))
            .stderr(log)
            .process_group(0);
        command.env_remove("MUTUAL_TLS").env_remove("KEYS").envs(setting);
        for (name, value) in [("EXPIRES", options.expires), ("INTERVAL", options.interval)] {
            match value {
                Some(value) => command.env(name, value.to_string()),
                None => command.env_remove(name),
            };
        }
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // `command` holds the port too; while it is open, connecting to a dead server waits instead of failing.
        drop(command);

        let mut server = Self { kind, base_url, below: String::new(), runs: Runs::Alone { process, state } };
        server.wait_until_it_answers();
        server
    }

    /// A running server with an interval of one second, shared by the tests of this process that run at the same time:
    /// codes are independent of each other.
    #[track_caller]
    pub fn shared(kind: Kind) -> Arc<Self> {
        static RUNNING: [Mutex<Weak<Server>>; 4] = [const { Mutex::new(Weak::new()) }; 4];
        let mut running = RUNNING[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(kind, Options { interval: Some(1), ..Options::default() }));
            *running = Arc::downgrade(&server);
            server
        })
    }

    /// Which server this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Scheme, host and port, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The issuer identifier, verbatim as its metadata has it.
    pub fn issuer(&self) -> String {
        self.url(self.kind.paths().issuer)
    }

    /// Where a device asks for its codes (RFC 8628 §3.1).
    pub fn device_authorization_endpoint(&self) -> String {
        self.url(self.kind.paths().device_authorization)
    }

    /// Where a device polls and refreshes (RFC 8628 §3.4, RFC 6749 §6).
    pub fn token_endpoint(&self) -> String {
        self.url(self.kind.paths().token)
    }

    /// Where tokens are revoked (RFC 7009).
    pub fn revocation_endpoint(&self) -> String {
        self.url(self.kind.paths().revocation)
    }

    /// alice signs in, types the code and allows the device.
    ///
    /// # Panics
    /// When the server does not confirm it, with the text of the page it showed instead.
    #[track_caller]
    pub fn approve(&self, user_code: &str) {
        self.send_person("approve", user_code);
    }

    /// alice signs in if she is asked to, types the code and refuses the device.
    ///
    /// # Panics
    /// When the server does not confirm it, with the text of the page it showed instead.
    #[track_caller]
    pub fn deny(&self, user_code: &str) {
        self.send_person("deny", user_code);
    }

    /// The realm, of a server of that kind.
    ///
    /// # Panics
    /// When this is no Keycloak.
    #[track_caller]
    pub fn keycloak(&self) -> &Keycloak {
        match &self.runs {
            Runs::OnKeycloak(keycloak) => keycloak,
            Runs::Alone { .. } => panic!("{:?} is no Keycloak", self.kind),
        }
    }

    /// What the server answers when another client of this name ([`PUBLIC`]) polls with the device code.
    ///
    /// # Panics
    /// When the server cannot be reached or answers without JSON.
    #[track_caller]
    pub fn poll_from_elsewhere(&self, device_code: &str) -> Value {
        self.elsewhere().poll(device_code)
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere { host: self.host().to_owned(), token: format!("{}{}", self.below, self.kind.paths().token) }
    }

    #[track_caller]
    fn send_person(&self, decision: &'static str, user_code: &str) {
        if let Err(page) = self.decider(decision)(user_code) {
            panic!("{:?}, user code {user_code}: {page}\nlog of the server:\n{}", self.kind, self.log_tail());
        }
    }

    /// alice, who decides so about every code that she is given, and otherwise says what she saw.
    fn decider(&self, decision: &'static str) -> impl Fn(&str) -> Result<(), String> + Send + use<> {
        let (uri, kind) = (self.url(self.kind.paths().verification), self.kind);
        move |user_code| {
            let person = Person { decision, ..Person::alice() };
            if kind == Kind::Keycloak {
                keycloak::decide(&person, &uri, &[user_code], None)
            } else {
                person.at(&uri, &[user_code], None)
            }
        }
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            // The one request that all three servers answer.
            let metadata = format!("{}/.well-known/openid-configuration", self.kind.paths().issuer);
            let answer = request(self.host(), "GET", &metadata, "", "");
            if matches!(&answer, Ok(answer) if answer.lines().next().is_some_and(|status| status.contains(" 200 "))) {
                return;
            }
            let Runs::Alone { process, .. } = &mut self.runs else { return };
            let ended = process.try_wait().expect("the state of a child process");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{:?} did not start: {}, last answer {answer:?}, log:\n{}",
                self.kind,
                ended.map_or("still running".to_owned(), |status| status.to_string()),
                self.log_tail(),
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(match &self.runs {
            Runs::Alone { state, .. } => state.path().join("log"),
            Runs::OnKeycloak(keycloak) => keycloak.log(),
        })
        .unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }

    fn host(&self) -> &str {
        self.base_url.trim_start_matches("http://")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.base_url, self.below)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let Runs::Alone { process, .. } = &mut self.runs else { return };
        // An error means that it is gone already. The group has the number of its first process.
        let _ = kill_process_group(Pid::from_child(process), Signal::KILL);
        let _ = process.wait();
        // Its worker processes are not our children to wait for, and hold the port a moment longer.
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.host()).is_ok() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Another client of the same name, at a server's token endpoint.
struct Elsewhere {
    host: String,
    token: String,
}

impl Elsewhere {
    #[track_caller]
    fn poll(&self, device_code: &str) -> Value {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", PUBLIC)
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
            .append_pair("device_code", device_code)
            .finish();
        let head = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nAccept: application/json\r\n",
            form.len()
        );
        let answer = request(&self.host, "POST", &self.token, &head, &form).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }
}

/// A whole answer, by HTTP/1.0 on a socket, so that no HTTP client is needed.
fn request(host: &str, method: &str, path: &str, headers: &str, body: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(START_LIMIT))?;
    write!(connection, "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n{body}")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where the servers are installed, and with them what else tests use: jose of npm in `node_modules`, joserfc and cryptography
/// of PyPI in `venv`. The first call makes sure that they are.
#[must_use]
#[track_caller]
pub fn installed() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| install(sources(), "DEVICE_FLOW_SERVERS", "servers"))
}

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/servers"))
}

fn python(installed: &Path) -> Command {
    Command::new(installed.join("venv/bin/python"))
}

fn gunicorn(installed: &Path, application: &str) -> Command {
    let mut command = python(installed);
    command
        .env("PYTHONPATH", sources())
        .env("PYTHONDONTWRITEBYTECODE", "1") // keeps the source tree clean
        .env("AUTHLIB_INSECURE_TRANSPORT", "1") // http, on loopback
        .args(["-m", "gunicorn", "--config"])
        .arg(sources().join("gunicorn_config.py"))
        .arg(application);
    command
}

/// The program, without its surroundings.
fn program(kind: Kind, installed: &Path) -> Command {
    match kind {
        Kind::OidcProvider => {
            let mut node = Command::new("node");
            node.arg(sources().join("oidc_provider.mjs"));
            node
        }
        Kind::Authlib => gunicorn(installed, "authlib_server:app"),
        Kind::DjangoOauthToolkit => gunicorn(installed, "django_server:application"),
        Kind::Keycloak => unreachable!("testkit/keycloak.sh starts it"),
    }
}
