//! Owns the `credential` sub-command: which program asks, and thereby which language is spoken on stdout.

mod git;
mod host;
mod kubernetes;

use crate::args::{Credential, Global, Program};
use crate::end::End;
use crate::settings::Settings;
use crate::terminal::Terminal;
pub(crate) use host::Host;

pub(crate) async fn credential(
    args: Credential,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), End> {
    match args.program {
        Program::Git(args) => git::git(*args, flags, global, terminal).await,
        Program::Kubernetes(args) => kubernetes::kubernetes(*args, flags, global, terminal).await,
    }
}
