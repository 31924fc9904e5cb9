//! Owns clients with keys: a signer that never signs the same twice, and the check that each request carries what was
//! signed for it alone, with the latest nonce.

use crate::server::{self, Asked, Endpoint, Turn};
use crate::world::{BASE, CLIENT};
use device_flow_core::{
    Client, ClientAssertion, ClientBuilder, ProofOfPossession, ProofRequest, Request, Secret, SigningError,
};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a client has a key for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Nothing: it has none.
    None,
    /// To say who it is (RFC 7523).
    Assertion,
    /// To prove that its tokens are its own (RFC 9449).
    Proof,
    /// Both.
    Both,
}

impl Key {
    /// Whether it proves possession, so that it can answer a challenge.
    pub const fn proves_possession(self) -> bool {
        matches!(self, Self::Proof | Self::Both)
    }

    const fn asserts(self) -> bool {
        matches!(self, Self::Assertion | Self::Both)
    }
}

/// Signs as `canary.N.what`, where N never comes twice, and remembers what became of it.
#[derive(Debug, Default)]
pub struct Signer(Mutex<Signed>);

#[derive(Debug, Default)]
struct Signed {
    count: u64,
    /// What no request has carried yet, each with the nonce that it was signed with.
    unsent: Vec<(String, String)>,
    nonces: Vec<String>,
}

impl Signer {
    /// A client that uses it for this.
    pub fn client(self: &Arc<Self>, key: Key, mut client: ClientBuilder) -> ClientBuilder {
        if key.asserts() {
            client = client.client_assertion(self.clone());
        }
        if key.proves_possession() {
            client = client.proof_of_possession(self.clone());
        }
        client
    }

    /// The nonces that it was told, the latest last.
    pub fn nonces(&self) -> Vec<String> {
        self.signed().nonces.clone()
    }

    /// A request is sent that carries this. With which nonce it was signed; `None` for what was never signed, or was sent
    /// before.
    pub fn sent(&self, jwt: &str) -> Option<String> {
        let mut signed = self.signed();
        let place = signed.unsent.iter().position(|(known, _)| known == jwt)?;
        Some(signed.unsent.remove(place).1)
    }

    /// Whether something was signed that no request has carried.
    pub fn has_unsent(&self) -> bool {
        !self.signed().unsent.is_empty()
    }

    fn signed(&self) -> MutexGuard<'_, Signed> {
        self.0.lock().unwrap()
    }

    fn sign(&self, what: &str) -> Secret {
        let mut signed = self.signed();
        signed.count += 1;
        let jwt = format!("canary.{}.{what}", signed.count);
        let nonce = signed.nonces.last().cloned().unwrap_or_default();
        signed.unsent.push((jwt.clone(), nonce));
        Secret::from(jwt)
    }
}

impl ClientAssertion for Signer {
    fn algorithm(&self) -> &str {
        "ES256"
    }

    fn assertion(&self, _: &str, _: &str) -> Result<Secret, SigningError> {
        Ok(self.sign("assertion"))
    }
}

impl ProofOfPossession for Signer {
    fn algorithm(&self) -> &str {
        "ES256"
    }

    fn thumbprint(&self) -> &str {
        "thumbprint"
    }

    fn proof(&self, _: &ProofRequest<'_>) -> Result<Secret, SigningError> {
        Ok(self.sign("proof"))
    }

    fn remember_nonce(&self, _: &str, nonce: &str) {
        self.signed().nonces.push(nonce.to_owned());
    }
}

/// The client of a world, with or without a key.
pub(crate) struct Holder {
    pub(crate) client: Arc<Client>,
    key: Key,
    signer: Arc<Signer>,
    /// How many nonces the server has made.
    nonces: u32,
    /// The latest that has reached a flow.
    latest: Option<u32>,
}

impl Holder {
    pub(crate) fn new(key: Key) -> Self {
        let signer = Arc::<Signer>::default();
        let client = match key {
            Key::None => CLIENT.with(Arc::clone),
            Key::Assertion | Key::Proof | Key::Both => {
                Arc::new(signer.client(key, server::client(BASE)).build().unwrap())
            }
        };
        Self { client, key, signer, nonces: 0, latest: None }
    }

    pub(crate) fn proves_possession(&self) -> bool {
        self.key.proves_possession()
    }

    /// The same answer; if it has a nonce, one that was never there.
    pub(crate) fn with_new_nonce(&mut self, mut turn: Turn) -> Turn {
        if let Some(nonce) = &mut turn.nonce {
            self.nonces += 1;
            *nonce = self.nonces;
        }
        turn
    }

    /// This answer has reached a flow that waited for it.
    pub(crate) fn answered(&mut self, endpoint: Endpoint, turn: &Turn) {
        if endpoint == Endpoint::Token {
            self.latest = turn.nonce.or(self.latest);
        }
    }

    /// The endpoint of a request that is sent, if the request has the form that it must have, and what was signed for it
    /// and for no other.
    ///
    /// # Errors
    /// A sentence for the report of the test.
    pub(crate) fn endpoint(&self, request: &Request) -> Result<Endpoint, String> {
        let mut asked = Asked::of(request, BASE);
        let assertion = if self.key.asserts() { Some(take_assertion(&mut asked)?) } else { None };
        let endpoint = asked.endpoint()?;
        if let Some(assertion) = assertion
            && self.signer.sent(&assertion).is_none()
        {
            return Err(format!("a request to {endpoint} with the assertion of another: {assertion}"));
        }
        let proof = request.headers().find(|(name, _)| *name == "dpop").map(|(_, value)| value);
        let nonce = proof.map(|proof| self.signer.sent(proof).ok_or(format!("a proof of another request: {proof}")));
        let latest = self.latest.map(server::nonce).unwrap_or_default();
        match nonce.transpose()? {
            Some(nonce) if !self.proves_possession() || endpoint != Endpoint::Token => {
                Err(format!("a request to {endpoint} with a proof, with the nonce {nonce:?}"))
            }
            None if self.proves_possession() && endpoint == Endpoint::Token => Err("a poll without a proof".to_owned()),
            Some(nonce) if nonce != latest => {
                Err(format!("a proof with the nonce {nonce:?}: {latest:?} is the latest"))
            }
            _ if self.signer.has_unsent() => Err(format!("more was signed than is in a request to {endpoint}")),
            Some(_) | None => Ok(endpoint),
        }
    }
}

/// Takes out what a client with an assertion has in its form beyond others.
fn take_assertion(asked: &mut Asked) -> Result<String, String> {
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let form = form_urlencoded::parse(asked.body.as_bytes()).into_owned();
    let (mut signed, others): (Vec<_>, Vec<_>) = form.partition(|(name, _)| name.starts_with("client_assertion"));
    asked.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish();
    signed.sort();
    match &*signed {
        [(name, assertion), (of, is)] if name == "client_assertion" && (&**of, &**is) == kind => Ok(assertion.clone()),
        other => Err(format!("not one assertion and its type: {other:?}")),
    }
}
