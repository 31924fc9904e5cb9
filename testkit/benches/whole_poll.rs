//! Owns the count of what a whole poll costs through each adapter, beside oauth2-rs on the same HTTP client, and what a minute of
//! waiting costs: `cargo bench -p device-flow-testkit --bench whole_poll`. With `-- --names`, also the system calls by name.
//!
//! Whole processes are counted: instructions by callgrind, system calls and started threads by strace, voluntary context switches
//! by the kernel (those of threads that have ended are missing). A poll is the slope between a sign-in of 5 polls and one of 25,
//! one second apart, so that start-up costs nothing. A minute is the difference between a wait of 61 seconds and one of 1. The
//! server is another process, which is not counted; it answers after 20 ms, as over a network, so that no answer is there when the
//! client first looks for it.
//!
//! CPU time comes last and has no limit: it is noisy, even as the least of many rounds on one core.
//!
//! Needs Linux, valgrind, strace and taskset. Ends with a panic when a limit is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench panics to report")]

use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::scaled::Skipping;
use device_flow_testkit::wake_ups;
use device_flow_tokio::{Client, DeviceFlow, Provider, entropy};
use oauth2::basic::BasicClient;
use oauth2::{ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, TokenUrl};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const BLOCKING: &str = "device-flow-blocking";
const ON_UREQ: &str = "oauth2-rs on ureq";
const TOKIO: &str = "device-flow-tokio";
const ON_REQWEST: &str = "oauth2-rs on reqwest";

/// A sign-in as the server plays it: the token comes with this poll, a poll is allowed every so many seconds, an answer takes
/// so many milliseconds.
#[derive(Clone, Copy)]
struct Script {
    name: &'static str,
    polls: u32,
    interval: u32,
    delay: u64,
}

const FEW: Script = Script { name: "few", polls: 5, interval: 1, delay: 20 };
const MANY: Script = Script { name: "many", polls: 25, ..FEW };
const SECOND: Script = Script { name: "second", polls: 1, ..FEW };
const MINUTE: Script = Script { name: "minute", interval: 61, ..SECOND };
const TIMED: Script = Script { name: "timed", polls: 100, interval: 1, delay: 0 };
const ROUNDS: usize = 200;
/// How often calls and switches are counted: the least counts, for a busy machine adds some.
const COUNTS: usize = 3;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        ["serve"] => serve(),
        ["sign-in", client, base] => {
            let mut sign_in = signer(client, base, false);
            let before = wake_ups::of_this_process();
            sign_in();
            println!("{}", wake_ups::of_this_process() - before);
        }
        ["time", client, base] => time(client, base),
        others => report(others.contains(&"--names")),
    }
}

fn report(names: bool) {
    let bench = Bench::start();
    let clients = [BLOCKING, ON_UREQ, TOKIO, ON_REQWEST];
    // All at once, for nearly all of it is waiting.
    let mut running = Vec::new();
    for client in clients {
        // oauth2-rs does not wait before the first poll.
        let scripts: &[_] =
            if [BLOCKING, TOKIO].contains(&client) { &[FEW, MANY, SECOND, MINUTE] } else { &[FEW, MANY] };
        for &script in scripts {
            running.extend(bench.run(client, script));
        }
    }
    for mut process in running {
        assert!(process.wait().unwrap().success(), "a client failed");
    }

    let more = f64::from(MANY.polls - FEW.polls);
    let polls: [Cost; 4] = clients.map(|client| Cost::between(&bench, client, [FEW, MANY], more));
    println!("a poll, {} to {} polls at an interval of 1 s", FEW.polls, MANY.polls);
    println!("  {:22} {:>12} {:>12} {:>10} {:>10}", "", "instructions", "system calls", "threads", "switches");
    for (client, cost) in clients.iter().zip(&polls) {
        let Cost { instructions, calls, switches, .. } = cost;
        println!("  {client:22} {instructions:12.0} {calls:12.1} {:10.1} {switches:10.1}", cost.named("clone"));
        for (name, count) in cost.names.iter().filter(|(_, count)| names && **count != 0.0) {
            println!("      {count:6.2} {name}");
        }
    }
    let minutes = [BLOCKING, TOKIO].map(|client| Cost::between(&bench, client, [SECOND, MINUTE], 1.0));
    println!("a minute of waiting");
    println!("  {:22} {:>12} {:>12} {:>12}", "", "instructions", "system calls", "wake-ups");
    for (client, Cost { instructions, calls, switches, .. }) in [BLOCKING, TOKIO].iter().zip(&minutes) {
        println!("  {client:22} {instructions:12.0} {calls:12.0} {switches:12.0}");
    }
    println!("CPU time of a poll without waits, the least of {ROUNDS} rounds of {} on one core (noisy)", TIMED.polls);
    for client in clients {
        println!("  {client:22} {:9.1} µs", bench.cpu_time(client));
    }

    let [blocking, _, tokio, reqwest] = polls;
    let [idle_blocking, idle_tokio] = minutes;
    let limits = [
        ("blocking: system calls of a poll", blocking.calls, 10.0),
        ("blocking: instructions of a poll", blocking.instructions, 45_000.0),
        // Nearly all of it is what both share: reqwest alone parses the URL twice, once to send and once to answer.
        ("tokio: instructions of a poll, as a share of oauth2-rs", tokio.instructions / reqwest.instructions, 0.80),
        ("tokio: system calls of a poll, at most those of oauth2-rs", tokio.calls, reqwest.calls),
        ("blocking: wake-ups of an idle minute", idle_blocking.switches, 2.0),
        ("tokio: wake-ups of an idle minute", idle_tokio.switches, 2.0),
    ];
    for (what, value, limit) in limits {
        println!("{what:58} {value:9.2} (at most {limit:.2}) {}", if value > limit { "OVER" } else { "ok" });
    }
    assert!(limits.iter().all(|(_, value, limit)| value <= limit), "a limit is broken");
}

/// What one more poll, or one more minute, costs.
struct Cost {
    instructions: f64,
    calls: f64,
    names: BTreeMap<String, f64>,
    switches: f64,
}

impl Cost {
    fn between(bench: &Bench, client: &str, [less, more]: [Script; 2], units: f64) -> Self {
        let slope = |read: &dyn Fn(Script) -> f64| (read(more) - read(less)) / units;
        let mut names: BTreeMap<_, _> = bench.calls(client, more);
        for (name, count) in bench.calls(client, less) {
            *names.entry(name).or_default() -= count;
        }
        names.values_mut().for_each(|count| *count /= units);
        Self {
            instructions: slope(&|script| bench.instructions(client, script)),
            calls: names.values().sum(),
            names,
            switches: slope(&|script| bench.switches(client, script)),
        }
    }

    /// Of all system calls whose name begins so: a thread is started by `clone` or `clone3`.
    fn named(&self, beginning: &str) -> f64 {
        self.names.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, count)| count).sum()
    }
}

/// The server, and the folder of what the tools wrote about its clients.
struct Bench {
    server: Child,
    port: u16,
    folder: PathBuf,
    sessions: Cell<u32>,
}

impl Bench {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("whole-poll-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let mut server =
            Command::new(this()).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { server, port: line.trim().parse().unwrap(), folder, sessions: Cell::new(0) }
    }

    /// Starts a client on its own and under each tool.
    fn run(&self, client: &str, script: Script) -> Vec<Child> {
        let file = |counted: &str| self.file(client, script, counted);
        let callgrind_log = format!("--log-file={}", file("instructions").display());
        let callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &callgrind_log];
        let start = |tool: &[&str], output: Stdio| {
            let base = self.base(script);
            let this = this();
            let mut line = tool.iter().copied().chain([this.to_str().unwrap(), "sign-in", client, &base]);
            let program = line.next().unwrap();
            Command::new(program).args(line).stdout(output).spawn().unwrap_or_else(|_| panic!("{program} is needed"))
        };
        let mut started = vec![start(&callgrind, Stdio::null())];
        for number in 0..COUNTS {
            let calls = file(&format!("calls {number}"));
            let strace = ["strace", "-f", "-qq", "-c", "-U", "name,calls", "-o", calls.to_str().unwrap()];
            started.push(start(&strace, Stdio::null()));
            started.push(start(&[], File::create(file(&format!("switches {number}"))).unwrap().into()));
        }
        started
    }

    fn cpu_time(&self, client: &str) -> f64 {
        let base = self.base(TIMED);
        let output = Command::new("taskset").args(["-c", "0"]).arg(this()).args(["time", client, &base]).output();
        String::from_utf8(output.expect("taskset is needed").stdout).unwrap().trim().parse().unwrap()
    }

    /// The beginning of the URLs of a session of its own: as long as those of real servers, for parsing them is part of a poll.
    fn base(&self, script: Script) -> String {
        let Script { polls, interval, delay, .. } = script;
        self.sessions.set(self.sessions.get() + 1);
        format!("http://127.0.0.1:{}/{}/{polls}/{interval}/{delay}", self.port, self.sessions.get())
    }

    fn file(&self, client: &str, script: Script, counted: &str) -> PathBuf {
        self.folder.join(format!("{client}, {}, {counted}", script.name))
    }

    fn output(&self, client: &str, script: Script, counted: &str) -> String {
        std::fs::read_to_string(self.file(client, script, counted)).unwrap()
    }

    fn instructions(&self, client: &str, script: Script) -> f64 {
        let log = self.output(client, script, "instructions");
        let line = log.lines().find(|line| line.contains("Collected :")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn calls(&self, client: &str, script: Script) -> BTreeMap<String, f64> {
        let counted = (0..COUNTS).map(|number| -> BTreeMap<String, f64> {
            let table = self.output(client, script, &format!("calls {number}"));
            let lines = table.lines().filter_map(|line| line.split_once(' '));
            let counts = lines.filter_map(|(name, count)| Some((name.to_owned(), count.trim().parse().ok()?)));
            counts.filter(|(name, _)| name != "total").collect()
        });
        let all = |calls: &BTreeMap<String, f64>| calls.values().sum::<f64>();
        counted.min_by(|one, other| all(one).total_cmp(&all(other))).unwrap()
    }

    fn switches(&self, client: &str, script: Script) -> f64 {
        let output = |number| self.output(client, script, &format!("switches {number}"));
        (0..COUNTS).map(|number| output(number).trim().parse().unwrap()).fold(f64::INFINITY, f64::min)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        // It ends when its input does.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

fn this() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Prints the CPU time of a poll in microseconds, of all threads of this process, without waits.
fn time(client: &str, base: &str) {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let mut sign_in = signer(client, base, true);
    let rounds = (0..ROUNDS).map(|_| {
        let before = cpu();
        sign_in();
        cpu() - before
    });
    println!("{}", rounds.fold(f64::INFINITY, f64::min) / f64::from(TIMED.polls));
}

/// What signs in with this client, once for each call.
fn signer(client: &str, base: &str, skip_waits: bool) -> Box<dyn FnMut()> {
    let (device, token) = (format!("{base}/device"), format!("{base}/token"));
    let flow = {
        let (device, token) = (device.clone(), token.clone());
        move || {
            let provider = Provider::endpoints(&*device, &*token);
            let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
            DeviceFlow::new(client, entropy().unwrap())
        }
    };
    let oauth2 = BasicClient::new(ClientId::new("client".to_owned()))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(device).unwrap())
        .set_token_uri(TokenUrl::new(token).unwrap());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match client {
        BLOCKING => {
            use device_flow_blocking::{Cancel, Http, run};
            let http = Http::builder().build().unwrap();
            Box::new(move || {
                let _ = match skip_waits {
                    true => run(&http, &mut Skipping::new(flow()), &Cancel::new(), |_| {}).unwrap(),
                    false => run(&http, &mut flow(), &Cancel::new(), |_| {}).unwrap(),
                };
            })
        }
        ON_UREQ => {
            let agent = agent();
            // What oauth2-rs does with the ureq that it knows, in terms of this one.
            let send = move |request: HttpRequest| {
                let (parts, mut body) = agent.run(request)?.into_parts();
                Ok::<_, ureq::Error>(HttpResponse::from_parts(parts, body.read_to_vec()?))
            };
            let sleep = move |wait| {
                if !skip_waits {
                    std::thread::sleep(wait)
                }
            };
            Box::new(move || {
                let details: oauth2::StandardDeviceAuthorizationResponse =
                    oauth2.exchange_device_code().request(&send).unwrap();
                oauth2.exchange_device_access_token(&details).request(&send, sleep, None).unwrap();
            })
        }
        TOKIO => {
            use device_flow_tokio::{Http, run};
            let (http, runtime) = (Http::builder().build().unwrap(), runtime());
            Box::new(move || {
                let _ = match skip_waits {
                    true => runtime.block_on(run(&http, &mut Skipping::new(flow()), |_| {})).unwrap(),
                    false => runtime.block_on(run(&http, &mut flow(), |_| {})).unwrap(),
                };
            })
        }
        ON_REQWEST => {
            let (client, runtime) = (reqwest_client(), runtime());
            // What oauth2-rs itself does with the reqwest that it knows, an older one.
            let send = move |request: HttpRequest| {
                let client = client.clone();
                Box::pin(async move {
                    let response = client.execute(request.try_into()?).await?;
                    let mut builder = http::Response::builder().status(response.status()).version(response.version());
                    for (name, value) in response.headers() {
                        builder = builder.header(name, value);
                    }
                    Ok::<_, reqwest::Error>(builder.body(response.bytes().await?.to_vec()).unwrap())
                })
            };
            let sleep = move |wait| async move {
                if !skip_waits {
                    tokio::time::sleep(wait).await;
                }
            };
            Box::new(move || {
                runtime.block_on(async {
                    let details: oauth2::StandardDeviceAuthorizationResponse =
                        oauth2.exchange_device_code().request_async(&send).await.unwrap();
                    oauth2.exchange_device_access_token(&details).request_async(&send, sleep, None).await.unwrap()
                });
            })
        }
        other => panic!("no client {other}"),
    }
}

/// With the settings of our adapter.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .timeout_resolve(Some(Duration::from_secs(10)))
        .timeout_connect(Some(Duration::from_secs(10)))
        .max_idle_age(Duration::from_secs(120))
        .proxy(None);
    config.build().new_agent()
}

/// With the settings of our adapter.
fn reqwest_client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(120))
        .http1_only()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

/// Plays the server until its input ends. What it plays is in the path: `/SESSION/POLLS/INTERVAL/DELAY/device` or `.../token`.
fn serve() {
    let polls = Mutex::new(HashMap::new());
    let server = Loopback::http(move |asked, wire| {
        let parts: Vec<_> = asked.target.split('/').collect();
        let [_, session, last, interval, delay, endpoint] = *parts else { panic!("{}", asked.target) };
        std::thread::sleep(Duration::from_millis(delay.parse().unwrap()));
        if endpoint == "device" {
            polls.lock().unwrap().insert(session.to_owned(), 0);
            let code = format!(
                r#"{{"device_code":"code-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800,"interval":{interval}}}"#
            );
            return loopback::answer(wire, 200, loopback::JSON, &code);
        }
        let poll = *polls.lock().unwrap().entry(session.to_owned()).and_modify(|polls| *polls += 1).or_default();
        if poll < last.parse().unwrap() {
            loopback::error_answer(wire, "authorization_pending")
        } else {
            loopback::token_answer(wire)
        }
    });
    println!("{}", server.port());
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
