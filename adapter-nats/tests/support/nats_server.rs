//! Owns the real nats-servers that the tests start, kill and start again.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What `testkit/nats.sh install` leaves.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = root.join(target).join("nats/bin/nats-server");
    assert!(program.exists(), "there is no {}: run testkit/nats.sh install", program.display());
    program
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One server or several, each a process that can be killed, with a folder that outlives it.
pub(crate) struct NatsServers {
    servers: Vec<NatsServer>,
    folder: TempDir,
}

struct NatsServer {
    arguments: Vec<String>,
    memory_limit: &'static str,
    port: u16,
    child: Child,
}

impl NatsServers {
    /// So many: one, or a cluster of three.
    pub(crate) fn start(count: usize) -> Self {
        Self::start_limited(count, "off")
    }

    /// With this GOMEMLIMIT each.
    pub(crate) fn start_limited(count: usize, memory_limit: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let routes: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let start = |number: usize| {
            let (port, store) = (free_port(), folder.path().join(format!("n{number}")));
            let words = format!("-a 127.0.0.1 -p {port} -js -n n{number} -sd {0} -l {0}.log", store.display());
            let mut arguments: Vec<String> = words.split(' ').map(str::to_owned).collect();
            if count > 1 {
                let route = |port: &u16| format!("nats://127.0.0.1:{port}");
                let others: Vec<_> = routes.iter().map(route).collect();
                let cluster = ["--cluster_name", "tests", "--cluster", &others[number], "--routes", &others.join(",")];
                arguments.extend(cluster.map(str::to_owned));
            }
            NatsServer { child: run(&arguments, memory_limit), arguments, memory_limit, port }
        };
        Self { servers: (0..count).map(start).collect(), folder }
    }

    /// All addresses, as a client takes them.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<_> = self.servers.iter().map(|server| format!("nats://127.0.0.1:{}", server.port)).collect();
        addresses.join(",")
    }

    pub(crate) fn process_ids(&self) -> Vec<u32> {
        self.servers.iter().map(|server| server.child.id()).collect()
    }

    /// kill −9, as a crash of the process would be.
    pub(crate) fn kill(&mut self, number: usize) {
        self.servers[number].end();
    }

    pub(crate) fn start_again(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.child = run(&server.arguments, server.memory_limit);
    }

    /// Whether any file that the servers wrote contains this, and how many bytes were looked at.
    pub(crate) fn store_contains(&self, word: &str) -> (bool, u64) {
        let (mut folders, mut found, mut bytes) = (vec![self.folder.path().to_owned()], false, 0);
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(content) = fs::read(&path) {
                    bytes += content.len() as u64;
                    found |= content.windows(word.len()).any(|window| window == word.as_bytes());
                }
            }
        }
        (found, bytes)
    }

    /// The number of the server with this name.
    pub(crate) fn named(&self, name: &str) -> usize {
        name.trim_start_matches('n').parse().unwrap()
    }
}

fn run(arguments: &[String], memory_limit: &str) -> Child {
    let mut command = Command::new(program());
    command.args(arguments).env("GOMEMLIMIT", memory_limit).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

impl NatsServer {
    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.end();
    }
}
