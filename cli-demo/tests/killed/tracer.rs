//! Owns how a program is stopped at each of its system calls, and gets a signal at the nth of them.
//!
//! Not strace: its `inject` counts the calls of each thread and of each number by themselves. With `when=n` the main thread,
//! which makes more calls of nearly every number, is killed first, and most calls of the threads that write to the store
//! never are. Here all threads are counted together.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Stdio};

/// When a signal is sent, if at all: before the system call with this number (from 1), of all threads together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shot {
    pub(crate) signal: Signal,
    pub(crate) at: usize,
}

/// A system call that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    number: i64,
    arguments: [u64; 6],
    /// Whether the main thread makes it.
    pub(crate) is_main: bool,
    /// What a rename or an unlink is about.
    pub(crate) name: Option<String>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or the signal that ended it.
    pub(crate) end: Result<i32, Signal>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The calls in the order in which they began.
    pub(crate) calls: Vec<Call>,
    /// How many of the calls had begun when the signal was sent. `None`: it ended before.
    pub(crate) hit: Option<usize>,
    /// The calls, by index, that had come back when it ended.
    done: BTreeSet<usize>,
}

impl Call {
    pub(crate) fn is(&self, number: i64) -> bool {
        self.number == number
    }

    pub(crate) fn is_rename(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.is(libc::SYS_rename) {
            return true;
        }
        self.is(libc::SYS_renameat) || self.is(libc::SYS_renameat2)
    }

    fn is_unlink(&self) -> bool {
        self.is(libc::SYS_unlinkat)
    }

    pub(crate) fn is_connect(&self) -> bool {
        self.is(libc::SYS_connect)
    }

    pub(crate) fn is_fsync(&self) -> bool {
        self.is(libc::SYS_fsync) || self.is(libc::SYS_fdatasync)
    }

    /// A write to this descriptor.
    pub(crate) fn writes_to(&self, descriptor: u64) -> bool {
        self.is(libc::SYS_write) && self.arguments[0] == descriptor
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = if self.is_main { "main" } else { "other" };
        write!(f, "call {} {:?} of the {thread} thread", self.number, self.name.as_deref().unwrap_or_default())
    }
}

impl Ended {
    /// The index of the first call of this kind that came back.
    pub(crate) fn first_done(&self, is: impl Fn(&Call) -> bool) -> Option<usize> {
        self.done.iter().copied().find(|index| is(&self.calls[*index]))
    }
}

/// Whether this machine lets a process trace its own children; some containers do not.
pub(crate) fn is_allowed() -> bool {
    let allowed = run(&mut crate::program::program("sh", Path::new("/")), &["true"], None).is_ok();
    assert!(allowed || !crate::points::is_complete(), "a complete run needs ptrace");
    if !allowed {
        println!("SKIPPED: ptrace is not allowed here.");
    }
    allowed
}

/// Runs these words as a command in the environment of `sh`, which must be a shell without arguments. Everything that
/// the kernel reports about it comes to this thread alone.
#[expect(clippy::zombie_processes, reason = "waited for by number")]
pub(crate) fn run(sh: &mut std::process::Command, words: &[&str], shot: Option<Shot>) -> Result<Ended, Errno> {
    // It stops itself, so that it can be seized before it becomes the program.
    sh.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]).args(words);
    let mut child = sh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    let options = [
        Options::PTRACE_O_TRACESYSGOOD,
        Options::PTRACE_O_TRACECLONE,
        Options::PTRACE_O_TRACEEXEC,
        Options::PTRACE_O_EXITKILL,
    ];
    if let Err(errno) = ptrace::seize(pid, options.into_iter().collect()) {
        child.kill().unwrap();
        child.wait().unwrap();
        return Err(errno);
    }
    kill(pid, Signal::SIGCONT).unwrap();
    let mut traced = Traced { pid, is_program: false, inside: BTreeSet::new(), calls: vec![], done: BTreeSet::new() };
    let (end, hit) = traced.run_to_end(shot);
    let (stdout, stderr) = (text(child.stdout.take()), text_of_errors(child.stderr.take()));
    Ok(Ended { end, stdout, stderr, calls: traced.calls, hit, done: traced.done })
}

fn text(from: Option<ChildStdout>) -> String {
    let mut text = String::new();
    from.unwrap().read_to_string(&mut text).unwrap();
    text
}

fn text_of_errors(from: Option<ChildStderr>) -> String {
    let mut text = String::new();
    from.unwrap().read_to_string(&mut text).unwrap();
    text
}

struct Traced {
    pid: Pid,
    /// No longer the shell.
    is_program: bool,
    /// The threads that are in a system call, each with its index.
    inside: BTreeSet<(Pid, usize)>,
    calls: Vec<Call>,
    done: BTreeSet<usize>,
}

impl Traced {
    fn run_to_end(&mut self, shot: Option<Shot>) -> (Result<i32, Signal>, Option<usize>) {
        let mut hit = None;
        loop {
            // Of this thread's children alone: others trace, too.
            let status = waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap();
            match status {
                WaitStatus::Exited(pid, code) if pid == self.pid => return (Ok(code), hit),
                WaitStatus::Signaled(pid, signal, _) if pid == self.pid => return (Err(signal), hit),
                // A thread has ended.
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
                WaitStatus::PtraceSyscall(thread) => {
                    let begins = self.step(thread);
                    if let Some(shot) = shot.filter(|shot| begins && self.calls.len() == shot.at) {
                        hit = Some(self.calls.len());
                        kill(self.pid, shot.signal).unwrap();
                    }
                    self.go_on(thread, None);
                }
                WaitStatus::PtraceEvent(thread, _, event) => {
                    if event == libc::PTRACE_EVENT_EXEC {
                        self.is_program = true;
                        // The end of this call is reported next.
                        self.inside.insert((thread, usize::MAX));
                    }
                    self.go_on(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => self.go_on(thread, Some(signal)),
                other @ (WaitStatus::Continued(_) | WaitStatus::StillAlive) => panic!("{other:?}"),
            }
        }
    }

    fn go_on(&self, thread: Pid, signal: Option<Signal>) {
        let gone_on = if self.is_program { ptrace::syscall(thread, signal) } else { ptrace::cont(thread, signal) };
        // It was killed meanwhile.
        assert!(matches!(gone_on, Ok(()) | Err(Errno::ESRCH)), "{gone_on:?}");
    }

    /// Whether a call begins.
    fn step(&mut self, thread: Pid) -> bool {
        if let Some(came_back) = self.inside.iter().find(|(inside, _)| *inside == thread).copied() {
            self.inside.remove(&came_back);
            self.done.extend((came_back.1 != usize::MAX).then_some(came_back.1));
            return false;
        }
        self.inside.insert((thread, self.calls.len()));
        let call = self.call(thread).unwrap_or_else(|_| Call::unknown(thread == self.pid));
        self.calls.push(call);
        true
    }

    fn call(&self, thread: Pid) -> io::Result<Call> {
        // Works for every processor: the number, and six arguments in hexadecimal.
        let text = fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", self.pid))?;
        let mut call = Call::unknown(thread == self.pid);
        let mut words = text.split_whitespace();
        call.number = words.next().and_then(|word| word.parse().ok()).unwrap_or(-1);
        for (argument, word) in call.arguments.iter_mut().zip(words) {
            *argument = u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
        }
        call.name = match () {
            () if call.is_unlink() => Some(self.text_at(call.arguments[1])?),
            #[cfg(target_arch = "x86_64")]
            () if call.is(libc::SYS_rename) => Some(self.text_at(call.arguments[1])?),
            () if call.is_rename() => Some(self.text_at(call.arguments[3])?),
            () => None,
        };
        Ok(call)
    }

    fn text_at(&self, address: u64) -> io::Result<String> {
        let mut bytes = [0; 128];
        // Shorter at the end of a page.
        let read = File::open(format!("/proc/{}/mem", self.pid))?.read_at(&mut bytes, address)?;
        let text = bytes[..read].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

impl Call {
    fn unknown(is_main: bool) -> Self {
        Self { number: -1, arguments: [0; 6], is_main, name: None }
    }
}
