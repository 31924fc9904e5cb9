//! Owns what a server must know of clients with keys: their public keys, whether their tokens must be bound, and which
//! nonces it asks for.

use serde_json::{Value, json};

/// A client that a server is started with.
#[derive(Clone, Copy, Debug)]
pub struct KeyClient<'a> {
    /// Its id.
    pub id: &'a str,
    /// The public key that its assertions are checked with (`private_key_jwt`), as a JWK; `None`: a public client.
    pub public_jwk: Option<&'a str>,
    /// The one algorithm that it may sign them with; `None`: any that the server takes.
    pub algorithm: Option<&'a str>,
    /// Whether its tokens must be bound to a key (DPoP).
    pub bound: bool,
}

/// The clients with keys of a server.
#[derive(Clone, Copy, Debug)]
pub struct KeyClients<'a> {
    /// Who they are.
    pub clients: &'a [KeyClient<'a>],
    /// The nonces that proofs must have.
    pub nonces: Nonces,
}

/// Which nonces oidc-provider wants in a proof of possession (RFC 9449 §8); no other server here knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonces {
    /// None.
    None,
    /// One that the server has sent within the last three minutes.
    Required,
    /// The one of the answer before: three minutes pass for this server with each request for tokens, so use it for one
    /// client at a time.
    ForOneRequest,
}

impl KeyClients<'_> {
    /// As the programs of the servers read it.
    pub(super) fn to_json(self) -> String {
        let client = |client: &KeyClient<'_>| {
            let jwk = client.public_jwk.map(|jwk| serde_json::from_str::<Value>(jwk).expect("a JWK"));
            json!({"id": client.id, "jwk": jwk, "algorithm": client.algorithm, "bound": client.bound})
        };
        let nonces = match self.nonces {
            Nonces::None => "none",
            Nonces::Required => "required",
            Nonces::ForOneRequest => "for one request",
        };
        json!({"clients": self.clients.iter().map(client).collect::<Vec<_>>(), "nonces": nonces}).to_string()
    }
}
