//! Owns the person at a browser: who they are, what they decide, and that they are sent to a page.

use super::{installed, python, sources};
use std::path::Path;

/// Somebody with a browser of their own, in which they are not signed in.
pub(super) struct Person<'a> {
    /// Their user name.
    pub(super) name: &'a str,
    /// `approve` or `deny`.
    pub(super) decision: &'a str,
}

impl Person<'_> {
    /// The user that every server has. She approves.
    pub(super) fn alice() -> Self {
        Self { name: "alice", decision: "approve" }
    }

    /// The password of somebody of this name.
    pub(super) fn password(name: &str) -> String {
        format!("{name}-pw")
    }

    /// They decide about these codes at this page, one after the other in one browser. An error is what they saw when
    /// the server did not confirm it. `roots`: a file with what they trust in place of the system's root certificates.
    pub(super) fn at(&self, verification_uri: &str, user_codes: &[&str], roots: Option<&Path>) -> Result<(), String> {
        let person = python(installed())
            .envs(roots.map(|roots| ("SSL_CERT_FILE", roots)))
            // Isolated and without site-packages: it needs the standard library alone, and starts faster.
            .args(["-I", "-S"])
            .arg(sources().join("person.py"))
            .args([self.decision, self.name, &Self::password(self.name), verification_uri])
            .args(user_codes)
            .output()
            .expect("python runs");
        let said = [&*person.stdout, &*person.stderr].map(String::from_utf8_lossy).concat();
        if person.status.success() { Ok(()) } else { Err(said) }
    }
}
