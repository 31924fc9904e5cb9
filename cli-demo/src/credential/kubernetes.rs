//! Owns what Kubernetes clients read from a credential plugin: an `ExecCredential` of client.authentication.k8s.io.

use crate::args::{Global, Kubernetes};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Purpose;
use crate::settings::Settings;
use crate::terminal::{Terminal, when};
use crate::token::valid_token;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use zeroize::Zeroizing;

/// Both versions have the same fields, as far as this plugin fills them.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential<'a> {
    api_version: &'static str,
    kind: &'static str,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    token: &'a str,
    /// After it the client runs the plugin again. Without it, only when a server rejects the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<String>,
}

pub(crate) async fn kubernetes(
    args: Kubernetes,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let api_version = api_version(std::env::var_os("KUBERNETES_EXEC_INFO"))?;
    let (_, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let valid = valid_token(&session, args.requirements, terminal).await?;
    valid.require_bearer("")?;
    // Exposed to be printed, which is the purpose of the command.
    let status = Status { token: valid.token.expose(), expiration_timestamp: valid.expires_on.map(when) };
    let credential = ExecCredential { api_version, kind: "ExecCredential", status };
    let text = serde_json::to_string(&credential).map_err(|error| RunError::Internal(error.to_string()))?;
    terminal.raw(&Zeroizing::new(text + "\n"))
}

/// The version that the client names; it refuses an answer in any other. A person who tries the plugin by hand names
/// none.
fn api_version(info: Option<OsString>) -> Result<&'static str, RunError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        api_version: String,
    }
    let Some(info) = info.filter(|info| !info.is_empty()) else { return Ok(VERSIONS[0]) };
    let wrong = |what: &str| {
        RunError::Usage(format!(
            "KUBERNETES_EXEC_INFO {what}; use one of these in the kubeconfig: {}, {}",
            VERSIONS[0], VERSIONS[1]
        ))
    };
    let info = info.to_str().and_then(|info| serde_json::from_str::<Info>(info).ok());
    let asked = info.ok_or_else(|| wrong("does not name an apiVersion"))?.api_version;
    VERSIONS.into_iter().find(|version| *version == asked).ok_or_else(|| wrong(&format!("asks for {asked:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_client_names() {
        let version = |info: &str| api_version(Some(info.into())).map_err(|error| error.to_string());
        assert_eq!(api_version(None).ok(), Some(VERSIONS[0]));
        assert_eq!(version("").ok(), Some(VERSIONS[0]));
        for known in VERSIONS {
            let info = format!(r#"{{"kind":"ExecCredential","apiVersion":"{known}","spec":{{"interactive":true}}}}"#);
            assert_eq!(version(&info), Ok(known));
        }
        for info in [r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1"}"#, "{}", "v1", r#"{"apiVersion":1}"#] {
            assert!(version(info).is_err_and(|text| text.contains("client.authentication.k8s.io/v1beta1")), "{info}");
        }
    }
}
