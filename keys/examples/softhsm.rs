//! A key that never leaves its token signs the assertions of a client: PKCS#11, here by the program `pkcs11-tool` of OpenSC
//! on a token of SoftHSM. `apt-get install softhsm2 opensc`, then `cargo run -p device-flow-keys --example softhsm`.
//!
//! It makes the token in a folder for temporary files, and verifies what it gets. A program that signs often would keep a
//! session open, with the crate `cryptoki`, in place of a process for each signature.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "an example panics to report")]

use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{Client, ClientAssertion, DeviceFlow, Provider, Secret, SigningError, UnixTime};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::json;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "canary-1234";

/// A key on P-256 in a token.
#[derive(Debug)]
struct TokenKey {
    configuration: PathBuf,
}

impl TokenKey {
    fn tool(&self, arguments: &[&str], input: &[u8]) -> io::Result<Vec<u8>> {
        let mut child = Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--login", "--pin", "env:PIN", "--id", "01"])
            .args(arguments)
            .env("SOFTHSM2_CONF", &self.configuration)
            .env("PIN", PIN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().expect("a pipe").write_all(input)?;
        let done = child.wait_with_output()?;
        if done.status.success() {
            Ok(done.stdout)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
        }
    }

    fn jwt(&self, client_id: &str, audience: &str) -> io::Result<Secret> {
        let mut jti = [0; 16];
        SystemRandom::new().fill(&mut jti).map_err(|_| io::Error::other("no random numbers"))?;
        let now = UnixTime::from(SystemTime::now());
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": Base64UrlUnpadded::encode_string(&jti),
            "iat": now.as_secs(), "exp": now.saturating_add(Duration::from_secs(60)).as_secs()
        });
        let part = |json: serde_json::Value| Base64UrlUnpadded::encode_string(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
        // Both numbers in a row, as a JWS has them (RFC 7518 §3.4).
        let arguments = ["--sign", "--mechanism", "ECDSA", "--signature-format", "rs"];
        let signature = self.tool(&arguments, digest(&SHA256, signed.as_bytes()).as_ref())?;
        Ok(Secret::from(format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))))
    }
}

impl ClientAssertion for TokenKey {
    fn algorithm(&self) -> &str {
        "ES256"
    }

    fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret, SigningError> {
        self.jwt(client_id, audience).map_err(|error| SigningError::new(&format!("the token does not sign: {error}")))
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}/tokens\n", folder.path().display())).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "clients", "--pin", PIN, "--so-pin", PIN])
        .env("SOFTHSM2_CONF", &configuration)
        .output();
    if !made.is_ok_and(|made| made.status.success()) || Command::new("pkcs11-tool").output().is_err() {
        println!("SKIPPED: softhsm2-util or pkcs11-tool is not installed");
        return;
    }
    let key = TokenKey { configuration };
    key.tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "my-app"], b"").unwrap();

    let jwt = key.assertion("my-app", "https://login.example.com").unwrap();
    let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
    let public = key.tool(&["--read-object", "--type", "pubkey"], b"").unwrap();
    // In DER the point comes last.
    let point = public.last_chunk::<65>().unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
    println!("the token has signed an assertion, and the signature is right");

    let provider = Provider::endpoints("https://login.example.com/device", "https://login.example.com/token");
    let client = Client::builder(provider, "my-app").client_assertion(Arc::new(key)).build().unwrap();
    let _flow = DeviceFlow::new(client, [7; 32]);
}
