//! Owns the sections of the manual page that no option says: exit codes, files, and the environment.

use clap_mangen::roff::{Roff, bold, roman};

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "It worked."),
    ("1", "A mistake of this program, or its output could not be written."),
    ("2", "The command line, the environment or a file that one of them names is wrong."),
    ("3", "The sign-in was denied."),
    ("4", "Somebody has to sign in; or there is no token of the kind that was asked for."),
    ("5", "The code has expired, or the time of --timeout is up."),
    ("6", "The network, TLS or the server's availability. The same command may succeed later."),
    ("7", "The server refused, or broke the protocol."),
    ("8", "Tokens could not be read or stored."),
    ("9", "There is a code to show, and nobody could see it."),
    ("130", "Ctrl-C."),
    ("143", "SIGTERM, SIGHUP."),
];

const FILES: &[(&str, &str)] = &[
    (
        "~/.config/device-flow/config.toml",
        "Profiles, and under [defaults] what is about this computer; see --config and XDG_CONFIG_HOME.",
    ),
    (
        "~/.local/state/device-flow/tokens.json, tokens.json.unshared",
        "The tokens of --store file: those that MSAL libraries may share, and all others. See --token-file and XDG_STATE_HOME.",
    ),
    (
        "~/.local/state/device-flow/tokens.age, age-key",
        "The tokens of --store age, and their key if none is named, protected by a passphrase.",
    ),
    ("~/.local/state/device-flow/pending/", "Sign-ins that are not finished: login --resume."),
    ("~/.local/state/device-flow/*servers.json", "What servers say of themselves, for a day."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "DEVICE_FLOW_*",
        "Options about the server, the client, the request, the tokens and the network, by their names: --client-id is \
         DEVICE_FLOW_CLIENT_ID. A flag goes before the environment, that before the profile, and that before the defaults of the \
         file. An empty variable counts as unset.",
    ),
    ("DEVICE_FLOW_AGE_KEY, DEVICE_FLOW_AGE_PASSPHRASE", "The key of --store age, and what protects it."),
    (
        "CREDENTIALS_DIRECTORY",
        "Set by systemd: the key may be the credential device-flow-age-key (LoadCredentialEncrypted=).",
    ),
    (
        "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "The proxy, and the hosts that are reached without it; never used for loopback. See --proxy.",
    ),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "The root certificates in place of the system's. See --ca-file and --add-ca-file."),
    ("BROWSER", "The browser that Enter opens."),
    ("NO_COLOR, CLICOLOR_FORCE, TERM", "Colours. With TERM=dumb nothing is painted over."),
    ("ACCESSIBLE", "If it is set, a line a minute in place of a countdown, for screen readers."),
];

/// The sections, in the order of man-pages(7).
pub(crate) fn sections() -> Roff {
    let mut roff = Roff::new();
    for (title, entries) in [("EXIT STATUS", EXIT_STATUS), ("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT)] {
        roff.control("SH", [title]);
        for (name, about) in entries {
            roff.control("TP", []);
            roff.text([bold(*name)]);
            roff.text([roman(*about)]);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_manual_and_the_help_name_the_same_exit_codes() {
        let help = Cli::command().get_after_help().map(ToString::to_string).unwrap_or_default();
        let codes = help.split("Exit codes: ").nth(1).unwrap_or_default();
        let in_help: Vec<_> = codes.split(|c: char| !c.is_ascii_digit()).filter(|code| !code.is_empty()).collect();
        assert_eq!(in_help, EXIT_STATUS.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }
}
