//! Owns what the server has issued: codes, refresh tokens, and which of them are still valid.

use super::errors::OAuthError;
use super::{Decision, FAMILY, Person, Script};
use std::collections::HashMap;

/// The state of a refresh token that is sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// The newest of its chain.
    Newest,
    /// It was exchanged for a newer one.
    Replaced,
    /// The person or an administrator has revoked it.
    Revoked,
    /// The server has not issued it.
    Unknown,
}

#[derive(Default)]
pub(super) struct Tokens {
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Refresh>,
    /// How many secrets were issued, so that no two are the same.
    issued: usize,
}

struct Code {
    person: Person,
    client: String,
    scope: String,
    pending: usize,
    decision: Decision,
    redeemed: bool,
}

struct Refresh {
    person: Person,
    client: String,
    scope: String,
    state: TokenState,
}

/// What a token answer reports.
pub(super) struct Grant {
    pub(super) person: Person,
    pub(super) client: String,
    /// Without `offline_access`, which is never listed.
    pub(super) scope: String,
    pub(super) access: String,
    pub(super) refresh: Option<String>,
}

impl Tokens {
    fn next(&mut self) -> usize {
        self.issued += 1;
        self.issued
    }

    pub(super) fn code(&mut self, script: &Script, client: &str, scope: &str) -> (String, String) {
        let number = self.next();
        let (device, user) = (format!("DC-canary-{number}"), format!("CNRY{number:05}"));
        let &Script { person, pending, decision, .. } = script;
        let code =
            Code { person, client: client.to_owned(), scope: scope.to_owned(), pending, decision, redeemed: false };
        self.codes.insert(device.clone(), code);
        (device, user)
    }

    pub(super) fn poll(&mut self, device: &str, client: &str) -> Result<Grant, OAuthError> {
        let code = self.codes.get_mut(device).filter(|code| code.client == client).ok_or(OAuthError::BAD_CODE)?;
        if code.pending > 0 {
            code.pending -= 1;
            return Err(OAuthError::PENDING);
        }
        match code.decision {
            Decision::Denied => return Err(OAuthError::DECLINED),
            Decision::Expired => return Err(OAuthError::EXPIRED),
            Decision::Approved if code.redeemed => return Err(OAuthError::REDEEMED),
            Decision::Approved => code.redeemed = true,
        }
        let (person, scope) = (code.person, code.scope.clone());
        Ok(self.grant(person, client, scope))
    }

    pub(super) fn state(&self, token: &str) -> TokenState {
        self.refresh.get(token).map_or(TokenState::Unknown, |known| known.state)
    }

    pub(super) fn refresh(
        &mut self,
        script: &Script,
        token: &str,
        client: &str,
        scope: Option<&str>,
    ) -> Result<Grant, OAuthError> {
        let known = self.refresh.get_mut(token).ok_or(OAuthError::BAD_TOKEN)?;
        if known.client != client && !(is_family(&known.client) && is_family(client)) {
            return Err(OAuthError::OTHER_CLIENT);
        }
        match known.state {
            TokenState::Revoked => return Err(OAuthError::REVOKED),
            TokenState::Replaced if !script.tolerates_reuse => return Err(OAuthError::BAD_TOKEN),
            TokenState::Newest | TokenState::Replaced | TokenState::Unknown => {}
        }
        if let Some(claims) = script.challenge {
            return Err(OAuthError::CHALLENGE.claims(claims));
        }
        known.state = TokenState::Replaced;
        let person = known.person;
        let mut scope = scope.filter(|scope| !scope.is_empty()).unwrap_or(&known.scope).to_owned();
        // A refresh always brings a new refresh token.
        scope.push_str(" offline_access");
        Ok(self.grant(person, client, scope))
    }

    fn grant(&mut self, person: Person, client: &str, scope: String) -> Grant {
        let number = self.next();
        let offline = scope.split(' ').any(|scope| scope == "offline_access");
        let refresh = offline.then(|| format!("1.RT-canary-{number}"));
        let scopes: Vec<&str> = scope.split(' ').filter(|scope| *scope != "offline_access").collect();
        let client = client.to_owned();
        if let Some(token) = &refresh {
            let scope = scopes.join(" ");
            let known = Refresh { person, client: client.clone(), scope, state: TokenState::Newest };
            self.refresh.insert(token.clone(), known);
        }
        Grant { person, client, scope: scopes.join(" "), access: format!("AT-canary-{number}"), refresh }
    }

    pub(super) fn revoke(&mut self) {
        self.refresh.values_mut().for_each(|token| token.state = TokenState::Revoked);
    }
}

pub(super) fn is_family(client: &str) -> bool {
    FAMILY.contains(&client)
}
