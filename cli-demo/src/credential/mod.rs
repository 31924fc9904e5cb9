//! Owns the `credential` sub-command: which program asks, and so which format it gets.

mod git;
mod kubernetes;
mod trust;

use crate::args::{Credential, Global, Program};
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::terminal::Terminal;

pub(crate) async fn credential(
    args: Credential,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    match args.program {
        Program::Git(args) => git::git(*args, flags, global, terminal).await,
        Program::Kubernetes(args) => kubernetes::kubernetes(*args, flags, global, terminal).await,
    }
}
