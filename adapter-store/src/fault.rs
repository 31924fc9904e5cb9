//! Owns the fault points: places before system calls where a test can kill the process or make the call fail. They do
//! nothing in any other build.

use std::io;

#[cfg(not(test))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "the build for tests fails here")]
pub(crate) const fn point(_before: &'static str) -> io::Result<()> {
    Ok(())
}

/// `DEVICE_FLOW_STORE_FAULT` is `kill <n>` (die before the n-th call), `fail <call> <errno>` (make that call fail),
/// `fail <call> <errno> <n>` (only the n-th of them), `remove <call> <beginning> <n>` (somebody else removes what begins so
/// before it), or several of these with commas between them.
#[cfg(test)]
pub(crate) fn point(before: &'static str) -> io::Result<()> {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    /// Each with the number of its calls so far.
    static PLANS: LazyLock<Vec<(Vec<String>, AtomicUsize)>> = LazyLock::new(|| {
        let plans = std::env::var("DEVICE_FLOW_STORE_FAULT").unwrap_or_default();
        let words = |plan: &str| plan.split_whitespace().map(str::to_owned).collect();
        plans.split(',').map(|plan| (words(plan), AtomicUsize::new(0))).collect()
    });
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let number = PASSED.fetch_add(1, Ordering::SeqCst);
    let turn = |(plan, calls): &(Vec<String>, AtomicUsize)| {
        let is_call = plan.get(1).is_some_and(|call| call == before);
        let turn = if is_call { calls.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        is_call && plan.get(3).is_none_or(|wanted| *wanted == turn.to_string())
    };
    // Each counts, also the calls that another makes fail.
    let turns: Vec<bool> = PLANS.iter().map(turn).collect();
    for ((plan, _), is_turn) in PLANS.iter().zip(turns) {
        let plan: Vec<&str> = plan.iter().map(String::as_str).collect();
        match plan.as_slice() {
            ["kill", at] if *at == number.to_string() => {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
                unreachable!("SIGKILL returned");
            }
            ["fail", _, errno, ..] if is_turn => {
                return Err(io::Error::from_raw_os_error(errno.parse().unwrap_or(0)));
            }
            ["remove", _, beginning, _] if is_turn => {
                let folder = std::path::Path::new(beginning).parent().unwrap_or("/".as_ref());
                let paths = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
                let found = |path: &std::path::PathBuf| path.to_string_lossy().starts_with(beginning);
                paths.filter(found).try_for_each(std::fs::remove_file)?;
            }
            _ => {}
        }
    }
    Ok(())
}
