//! Owns the fault points: places before system calls where a test can kill the process or make the call fail. They do
//! nothing in any other build.

use std::io;

#[cfg(not(test))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "the build for tests fails here")]
pub(crate) const fn point(_before: &'static str) -> io::Result<()> {
    Ok(())
}

/// `DEVICE_FLOW_STORE_FAULT` is `kill <n>` (die before the n-th call) or `fail <call> <errno>` (make that call fail).
#[cfg(test)]
pub(crate) fn point(before: &'static str) -> io::Result<()> {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PLAN: LazyLock<Vec<String>> = LazyLock::new(|| {
        let plan = std::env::var("DEVICE_FLOW_STORE_FAULT").unwrap_or_default();
        plan.split(' ').map(str::to_owned).collect()
    });
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let plan: Vec<&str> = PLAN.iter().map(String::as_str).collect();
    let number = PASSED.fetch_add(1, Ordering::SeqCst);
    match plan.as_slice() {
        ["kill", at] if *at == number.to_string() => {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
            unreachable!("SIGKILL returned");
        }
        ["fail", call, errno] if *call == before => Err(io::Error::from_raw_os_error(errno.parse().unwrap_or(0))),
        _ => Ok(()),
    }
}
