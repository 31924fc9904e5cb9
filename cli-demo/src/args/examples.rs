//! Owns the examples at the end of each help text. tests/help_examples.rs runs them all.
//!
//! In each line the command ends at the first two spaces; what it does follows.

pub(super) const LOGIN: &str = "\
Examples:
  device-flow login github --client-id Iv1.0123456789abcdef --scope read:user  the same as --provider github
  device-flow login https://login.example.com --client-id my-app --scope openid  the same as --issuer
  device-flow login --provider entra --tenant contoso.com --client-id my-app --scope User.Read
  device-flow login --provider entra --cloud us-gov --client-id my-app --scope User.Read  or entra-us-gov, entra-china
  device-flow login --provider github --host octo.ghe.com --client-id my-app  GitHub Enterprise, in the cloud or your own
  device-flow login --provider gitlab --host gitlab.example.com --client-id my-app --scope \"openid read_repository\"
  device-flow login --provider keycloak --host sso.example.com --realm staff --client-id my-app --scope openid
  device-flow login --issuer https://login.example.com --client-id my-app --scope \"openid offline_access\"
  device-flow login --profile work --issuer https://login.example.com --client-id my-app --store file
  device-flow login --issuer https://login.example.com --client-id my-app --dpop  tokens that only this computer can use
  device-flow login --force  show a code although you are signed in";

pub(super) const TOKEN: &str = "\
Examples:
  device-flow token
  curl -H \"$(device-flow token --format header)\" https://api.example.com/me
  device-flow token --profile work --min-ttl 30m  valid long enough for a long job
  eval \"$(device-flow token --format env)\"  ACCESS_TOKEN for the programs of this shell
  device-flow token --format json  with all that is known about it
  device-flow token --format header --url https://api.example.com/me | curl -H @- https://api.example.com/me  bound tokens, too
  device-flow token --no-refresh  only a stored one, else exit 4";

pub(super) const RUN: &str = "\
Examples:
  device-flow run -- sh -c 'curl -H \"Authorization: Bearer $ACCESS_TOKEN\" https://api.example.com/me'
  device-flow run --env GH_TOKEN -- env  the variable that the command reads
  device-flow run --refresh -- sh -c 'cat \"$ACCESS_TOKEN_FILE\"'  for what runs longer than a token lives

Exit codes: that of the command, 128 and the number of the signal that ended it, 127 if there is no such command, 126 if it
cannot be started; else as everywhere.";

pub(super) const INSPECT: &str = "\
Examples:
  device-flow inspect --id-token
  device-flow inspect --id-token --json | jq -r .claims.sub
  device-flow token --id-token | device-flow inspect -";

pub(super) const WHOAMI: &str = "\
Examples:
  device-flow whoami
  device-flow whoami --json | jq -r .claims.sub";

pub(super) const STATUS: &str = "\
Examples:
  device-flow status
  device-flow status --profile work --json
  device-flow status >/dev/null 2>&1 || device-flow login  sign in only if needed";

pub(super) const REFRESH: &str = "\
Examples:
  device-flow refresh
  device-flow refresh --profile work";

pub(super) const LOGOUT: &str = "\
Examples:
  device-flow logout
  device-flow logout --profile work --no-revoke
  device-flow logout --all";

pub(super) const LIST: &str = "\
Examples:
  device-flow list
  device-flow list --json";

pub(super) const PROVIDERS: &str = "\
Examples:
  device-flow providers
  device-flow providers keycloak
  device-flow providers --json | jq -r '.providers[].name'";

pub(super) const USE: &str = "\
Examples:
  device-flow use work";

pub(super) const PROFILE_LIST: &str = "\
Examples:
  device-flow profile list";

pub(super) const PROFILE_SHOW: &str = "\
Examples:
  device-flow profile show
  device-flow profile show work --json";

pub(super) const PROFILE_RENAME: &str = "\
Examples:
  device-flow profile rename work job";

pub(super) const PROFILE_REMOVE: &str = "\
Examples:
  device-flow logout --profile work && device-flow profile remove work";

pub(super) const PROFILE_USE: &str = "\
Examples:
  device-flow profile use work";

pub(super) const DEMO: &str = "\
Examples:
  device-flow demo  a code to approve on a page
  device-flow demo --yes  the same, approved automatically
  device-flow demo --serve --port 8628  only the server, for other clients
  device-flow demo --serve --judge  the same, with a verdict on every client";

pub(super) const GIT: &str = "\
Examples:
  git config --global credential.https://github.com.helper '!device-flow credential git'
  git config --global credential.https://dev.azure.com.helper '!device-flow credential git --profile work --bearer'
  device-flow login --provider entra --client-id my-app --scope 499b84ac-1321-427f-aa17-267ca6975798/.default --git-host dev.azure.com
  printf 'protocol=https\\nhost=github.com\\n' | device-flow credential git get  what git would get

Git also asks the helpers that are set for all hosts, and these may store the token in a file. To use only this helper, begin the
host's list with an empty one:
  git config --global credential.https://github.com.helper ''
  git config --global --add credential.https://github.com.helper '!device-flow credential git'";

pub(super) const KUBERNETES: &str = "\
Examples:
  kubectl config set-credentials me --exec-command=device-flow --exec-arg=credential --exec-arg=kubernetes \
--exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=Never
  device-flow credential kubernetes  what kubectl would get

Add --exec-arg=--id-token for a cluster that expects the ID token (OpenID Connect), --exec-arg=--profile=NAME to choose a profile.";

pub(super) const DOCKER: &str = "\
Examples:
  ln -s \"$(command -v device-flow)\" ~/.local/bin/docker-credential-device-flow
  device-flow login https://login.example.com --client-id my-app --token-host registry.example.com
  printf registry.example.com | device-flow credential docker get --token-host registry.example.com  what docker would get

In ~/.docker/config.json, or the file that --authfile names:

    { \"credHelpers\": { \"registry.example.com\": \"device-flow\" } }

A link docker-credential-device-flow-work is for profile work, and is called device-flow-work there.";

pub(super) const CARGO: &str = "\
Examples:
  device-flow login https://login.example.com --client-id my-app --token-host crates.example.com

In ~/.cargo/config.toml:

    [registries.work]
    index = \"sparse+https://crates.example.com/index/\"
    credential-provider = [\"device-flow\", \"--profile\", \"work\"]";

pub(super) const KEYRING: &str = "\
Examples:
  mkdir -p ~/.local/lib/device-flow && ln -s \"$(command -v device-flow)\" ~/.local/lib/device-flow/keyring
  device-flow login https://login.example.com --client-id my-app --token-host pypi.example.com
  device-flow credential keyring get pypi.example.com oauth2 --token-host pypi.example.com  what uv would get

Then, with that folder first in PATH:

    pip install --keyring-provider subprocess --index-url https://pypi.example.com/simple/ my-package
    uv pip install --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ my-package";

pub(super) const NPM: &str = "\
Examples:
  ln -s \"$(command -v device-flow)\" ~/.local/bin/npm-token-device-flow
  device-flow credential npm  what pnpm would get

In ~/.npmrc, with the whole path of that link:

    //npm.example.com/:tokenHelper=/home/me/.local/bin/npm-token-device-flow

A link npm-token-device-flow-work is for profile work.";

pub(super) const SCHEMA: &str = "\
Examples:
  device-flow schema | jq -r '.[\"$defs\"] | keys[]'  the names of all events";

pub(super) const COMPLETIONS: &str = "\
Examples:
  device-flow completions bash > ~/.local/share/bash-completion/completions/device-flow
  device-flow completions zsh > ~/.zfunc/_device-flow  with fpath+=~/.zfunc before compinit in ~/.zshrc
  device-flow completions fish > ~/.config/fish/completions/device-flow.fish
  source <(device-flow completions bash)  for this shell only";

pub(super) const MAN: &str = "\
Examples:
  device-flow man | man -l -
  device-flow man --to ~/.local/share/man/man1  a page for each sub-command: man device-flow-login";
