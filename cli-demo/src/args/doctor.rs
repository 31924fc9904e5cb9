//! Owns the words of `discover` and `doctor`.

use super::Target;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is asked of the server but its metadata, which everyone may read. A client id is not needed.

Examples:
  device-flow discover --issuer https://login.example.com
  device-flow discover --provider gitlab --host gitlab.example.com
  device-flow discover --issuer https://login.example.com --json | jq -r .device_authorization_endpoint
  device-flow discover --profile work")]
pub(crate) struct Discover {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Each line is one finding: ok, warn, fail or skip, what was looked at, and what to do. A check goes on after a failure as far as
it can. Without a profile or a server it looks at this computer alone.

Examples:
  device-flow doctor                                       the profile in use
  device-flow doctor --issuer https://login.example.com    any server
  device-flow doctor --profile work --try                  asks the server for a code, too, which nobody is to enter
  device-flow doctor --json | jq -r 'select(.status == \"fail\") | .remedy'

Exit codes: 0 if nothing failed, else that of the first failure: 2 settings, 6 network or TLS, 7 server, 8 where tokens are kept.")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Ask the server for a code, which shows whether it lets this client sign in so. The code is shown to nobody and dies by
    /// itself.
    #[arg(long = "try")]
    pub(crate) ask: bool,
}
