//! Owns what clients of Kubernetes read from a credential plugin: an `ExecCredential` of client.authentication.k8s.io.

use crate::args::{Global, Kubernetes};
use crate::end::End;
use crate::session::{Chosen, Purpose, Session};
use crate::settings::Settings;
use crate::terminal::{Terminal, when};
use crate::token::fresh;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use zeroize::Zeroizing;

/// Both versions have the same fields, as far as a plugin fills them.
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
    /// The client asks again after it. Without one it uses the token until a server rejects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<String>,
}

pub(crate) async fn kubernetes(
    args: Kubernetes,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), End> {
    let api_version = wanted(std::env::var_os("KUBERNETES_EXEC_INFO"))?;
    let chosen = Chosen::new(global, flags, Purpose::UseTokens)?;
    let session = Session::open(&chosen, Purpose::UseTokens, terminal).await?;
    let fresh = fresh(&session, args.life, terminal).await?;
    // Exposed to be printed: that is what was asked for.
    let status = Status { token: fresh.token.expose(), expiration_timestamp: fresh.expires_on.map(when) };
    let credential = ExecCredential { api_version, kind: "ExecCredential", status };
    let text = serde_json::to_string(&credential).map_err(|error| End::Internal(error.to_string()))?;
    terminal.raw(&Zeroizing::new(text + "\n"))
}

/// The version that the client names; a plugin that answers in another is refused by it. Somebody who tries the plugin by hand
/// names none.
fn wanted(info: Option<OsString>) -> Result<&'static str, End> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        api_version: String,
    }
    let Some(info) = info.filter(|info| !info.is_empty()) else { return Ok(VERSIONS[0]) };
    let wrong = |what: &str| {
        End::Usage(format!(
            "KUBERNETES_EXEC_INFO {what}; write one of these into the kubeconfig: {}, {}",
            VERSIONS[0], VERSIONS[1]
        ))
    };
    let info = info.to_str().and_then(|info| serde_json::from_str::<Info>(info).ok());
    let asked = info.ok_or_else(|| wrong("does not tell an apiVersion"))?.api_version;
    VERSIONS.into_iter().find(|version| *version == asked).ok_or_else(|| wrong(&format!("asks for {asked:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_client_names() {
        let version = |info: &str| wanted(Some(info.into())).map_err(|end| end.to_string());
        assert_eq!(wanted(None).ok(), Some(VERSIONS[0]));
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
