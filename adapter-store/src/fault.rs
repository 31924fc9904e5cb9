//! Owns the fault points: places before system calls where a test can kill the process or make the call fail. They do
//! nothing in any other build.

use std::io;

#[cfg(not(test))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "the build for tests fails here")]
pub(crate) const fn point(_before: &'static str) -> io::Result<()> {
    Ok(())
}

/// `DEVICE_FLOW_STORE_FAULT` is `kill <n>` (die before the n-th call), `fail <call> <errno>` (make that call fail), or
/// several of these with commas between them.
#[cfg(test)]
pub(crate) fn point(before: &'static str) -> io::Result<()> {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PLANS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
        let plans = std::env::var("DEVICE_FLOW_STORE_FAULT").unwrap_or_default();
        plans.split(',').map(|plan| plan.split_whitespace().map(str::to_owned).collect()).collect()
    });
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let number = PASSED.fetch_add(1, Ordering::SeqCst);
    for plan in PLANS.iter() {
        let plan: Vec<&str> = plan.iter().map(String::as_str).collect();
        match plan.as_slice() {
            ["kill", at] if *at == number.to_string() => {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
                unreachable!("SIGKILL returned");
            }
            ["fail", call, errno] if *call == before => {
                return Err(io::Error::from_raw_os_error(errno.parse().unwrap_or(0)));
            }
            _ => {}
        }
    }
    Ok(())
}
