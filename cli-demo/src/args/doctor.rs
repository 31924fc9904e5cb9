//! Owns the options of `discover` and `doctor`.

use super::Target;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Only the server's public metadata is requested. No client id is needed.

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
Each line is one finding: ok, warn, fail or skip, what was checked, and what to do. After a failure the other checks go on as far
as possible. Without a profile or a server only this computer is checked.

Examples:
  device-flow doctor                                       the current profile
  device-flow doctor --issuer https://login.example.com    any server
  device-flow doctor --profile work --try                  also requests a code, which nobody enters
  device-flow doctor --json | jq -r 'select(.status == \"fail\") | .remedy'

Exit codes: 0 if nothing failed, else that of the first failure: 2 settings, 6 network or TLS, 7 server, 8 token store.")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Also request a code, and poll once, to see whether the server lets this client use the device flow. The code is not
    /// shown, and expires unused.
    #[arg(long = "try")]
    pub(crate) ask: bool,
}
