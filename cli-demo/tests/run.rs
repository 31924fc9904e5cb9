//! `run`: the token in the environment of another program, which is in every other way as if it had been started alone.
#![cfg(unix)]

use crate::program::{ended, program};
use device_flow_testkit::rotating::Rotating;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn sign_in(home: &Path, server: &Rotating) {
    let url = |path| server.server.url(path);
    let words = ["--device-endpoint", &url("/device"), "--token-endpoint", &url("/token"), "--client-id", "my-app"];
    let more = ["--allow-http-loopback", "--store", "file"];
    let (exit, _, stderr) = ended(program("device-flow", home).arg("login").args(words).args(more));
    assert_eq!(exit, 0, "{stderr}");
}

/// A home with a sign-in, and its server.
fn signed_in() -> (tempfile::TempDir, Rotating) {
    let (home, server) = (tempfile::tempdir().unwrap(), Rotating::new(3_600));
    sign_in(home.path(), &server);
    (home, server)
}

fn run(home: &Path, options: &[&str], script: &str) -> Command {
    let mut command = program("device-flow", home);
    command.arg("run").args(options).args(["--", "sh", "-c", script]);
    command
}

#[test]
fn the_command_has_the_token_in_its_environment_and_nowhere_else() {
    let (home, _server) = signed_in();
    let script =
        "printf '%s %s\\n' \"$ACCESS_TOKEN\" \"$ACCESS_TOKEN_EXPIRES_AT\"; tr '\\0' ' ' </proc/$$/cmdline; cat";
    let mut command = run(home.path(), &[], script);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"its own stdin").unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("AT-canary-1 20") && stdout.ends_with("its own stdin"), "{stdout}");
    let arguments = stdout.lines().nth(1).unwrap();
    assert!(arguments.starts_with("sh -c") && !arguments.contains("canary"), "{arguments}");
    assert!(output.stderr.is_empty(), "nothing is said where nothing is wrong");

    // By another name; and what the environment has asked of us is not asked of the command's output.
    let mut named = run(home.path(), &["--env", "GH_TOKEN"], "echo \"$GH_TOKEN:$ACCESS_TOKEN\"");
    let (exit, stdout, _) = ended(named.env("DEVICE_FLOW_JSON", "1"));
    assert_eq!((exit, &*stdout), (0, "AT-canary-1:\n"));
    for bad in ["", "1A", "A-B", "A=B"] {
        assert_eq!(ended(&mut run(home.path(), &["--env", bad], "true")).0, 2, "{bad}");
    }
}

#[test]
fn the_exit_code_and_the_signal_are_those_of_the_command() {
    use std::os::unix::process::ExitStatusExt as _;
    let (home, _server) = signed_in();
    for exit in [0, 1, 4, 255] {
        for options in [&[][..], &["--refresh"]] {
            let (found, ..) = ended(&mut run(home.path(), options, &format!("exit {exit}")));
            assert_eq!(found, exit, "{options:?}");
        }
    }
    // In our place, it is the command that the signal has ended; beside us, we tell as a shell would.
    let status = run(home.path(), &[], "kill -TERM $$").status().unwrap();
    assert_eq!(status.signal(), Some(15));
    assert_eq!(ended(&mut run(home.path(), &["--refresh"], "kill -TERM $$")).0, 128 + 15);

    for options in [&[][..], &["--refresh"]] {
        let missing =
            |name: &str| ended(program("device-flow", home.path()).arg("run").args(options).args(["--", name]));
        let (exit, _, stderr) = missing("no-such-program");
        assert!(exit == 127 && stderr.contains("no-such-program could not be started"), "{stderr}");
        let file = home.path().join("text");
        fs::write(&file, "").unwrap();
        assert_eq!(missing(file.to_str().unwrap()).0, 126);
    }
}

#[test]
fn without_a_token_no_command_runs() {
    let home = tempfile::tempdir().unwrap();
    let touched = home.path().join("touched");
    let script = format!("touch {}", touched.display());
    let (exit, _, stderr) = ended(&mut run(home.path(), &[], &script));
    assert!(exit == 4 && stderr.contains("device-flow login"), "{stderr}");
    let (home, server) = signed_in();
    server.revoke();
    let (exit, ..) = ended(&mut run(home.path(), &["--min-ttl", "2h"], &script));
    assert_eq!(exit, 4);
    assert!(!touched.exists());
    // What the command is has to be said.
    assert_eq!(ended(program("device-flow", home.path()).args(["run"])).0, 2);
    assert_eq!(ended(program("device-flow", home.path()).args(["run", "sh", "-c", "true"])).0, 2);
}

// Words behind `--` are the command's, whatever they would mean before it.
#[test]
fn what_follows_the_dashes_is_not_for_us() {
    let (home, _server) = signed_in();
    let words = |before: &[&str], after: &[&str]| {
        ended(program("device-flow", home.path()).arg("run").args(before).args(["--", "echo", "said"]).args(after))
    };
    for after in [&["--cargo-plugin"][..], &["--request", "GET"], &["--json"], &["--help"], &["--provider", "list"]] {
        assert_eq!(words(&[], after), (0, format!("said {}\n", after.join(" ")), String::new()));
        let (exit, stdout, stderr) = words(&["--no-such-option"], after);
        assert_eq!((exit, &*stdout), (2, ""), "{after:?}: {stderr}");
    }
}

/// A command that runs beside us, once it has said that it does.
fn started(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, stdout)
}

#[test]
fn a_long_command_finds_the_renewed_token_in_a_file_that_goes_with_it() {
    let (home, server) = (tempfile::tempdir().unwrap(), Rotating::new(3));
    sign_in(home.path(), &server);
    // Tokens live for three seconds here, and are replaced when a fifth of that is left.
    let script = "echo ready; echo \"$ACCESS_TOKEN_FILE\"; while [ \"$(cat $ACCESS_TOKEN_FILE)\" = \"$ACCESS_TOKEN\" ]; do sleep 0.1; done; \
                  cat $ACCESS_TOKEN_FILE; ls -l $ACCESS_TOKEN_FILE";
    let mut command = run(home.path(), &["--refresh"], script);
    command.env("XDG_RUNTIME_DIR", home.path());
    let (mut child, mut stdout) = started(command);
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let (file, rest) = text.split_once('\n').unwrap();
    assert!(file.starts_with(home.path().to_str().unwrap()), "{file}");
    assert!(
        rest.starts_with("AT-canary-") && !rest.starts_with("AT-canary-1-") && rest.contains("-rw-------"),
        "{rest}"
    );
    assert!(!Path::new(file).parent().unwrap().exists(), "nothing is left of it");
}

#[test]
fn signals_reach_the_command_that_runs_beside_us() {
    let (home, _server) = signed_in();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let script = format!("trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.05; done");
        let mut command = run(home.path(), &["--refresh"], &script);
        // Without a terminal, nobody but us tells the command.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (mut child, mut stdout) = started(command);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*text), (Some(7), "got\n"), "{name}");
    }
}

#[test]
fn inspect_shows_what_a_token_says_and_makes_no_request() {
    let (home, server) = signed_in();
    let before = server.requests();
    let inspect = |words: &[&str]| ended(program("device-flow", home.path()).arg("inspect").args(words));
    let (exit, stdout, stderr) = inspect(&[]);
    assert!(exit == 2 && stdout.is_empty() && stderr.contains("no JWT") && !stderr.contains("canary"), "{stderr}");
    let (exit, _, stderr) = inspect(&["--id-token"]);
    assert!(exit == 4 && stderr.contains("openid"), "{stderr}");
    // {"alg":"none"} and {"sub":"ada","exp":1}.
    let file = home.path().join("token");
    fs::write(&file, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjF9.canary\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let (exit, stdout, stderr) = inspect(&[file]);
    assert_eq!((exit, &*stderr), (0, ""));
    assert!(
        stdout.starts_with("Not verified") && stdout.contains("sub  ada") && stdout.contains("1970-01-01"),
        "{stdout}"
    );
    let (_, json, _) = inspect(&[file, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["event"], &json["verified"], &json["claims"]["sub"]),
        (&"inspected".into(), &false.into(), &"ada".into())
    );
    assert!(!stdout.contains("canary") && !json.to_string().contains("canary"));
    assert_eq!(inspect(&["/no/such/file"]).0, 2);
    assert_eq!(server.requests(), before);
}
