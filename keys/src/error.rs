//! Owns `KeyError`: every way in which a key cannot be used, and what to do about it.

use std::path::PathBuf;

/// Why a key cannot be used. Each text says what is wrong and what to do; none repeats a byte of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither PEM text with a private key nor a JWK.
    #[error(
        "there is no private key in it: give PEM text with \"-----BEGIN PRIVATE KEY-----\" (a binary file becomes one by \
         `openssl pkey -inform DER -in key.der -out key.pem`), or a private JWK"
    )]
    NoKey,
    /// More than one private key.
    #[error("there are several private keys in it: put the one to use into a file of its own")]
    Several,
    /// The key is behind a password.
    #[error(
        "the private key is encrypted: decrypt it with `openssl pkey -in encrypted.pem -out key.pem`, and keep that file private"
    )]
    Encrypted,
    /// A key of OpenSSH's own format.
    #[error(
        "the private key is in OpenSSH's format: convert a copy of it with `ssh-keygen -p -m PKCS8 -f copy-of-key`"
    )]
    Openssh,
    /// A public key in place of the private one.
    #[error("this is the public key, which the server needs: give the private key that belongs to it")]
    Public,
    /// A certificate in place of a private key.
    #[error("this is a certificate: give the private key that belongs to it, which is in another file")]
    Certificate,
    /// PEM text, base64 or DER that ends early or says nothing.
    #[error("the private key is damaged: copy the file again, from its first line to its last")]
    Damaged,
    /// Not one JSON object.
    #[error("the JWK is not one well-formed JSON object with each member once, at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// A member that a private JWK must have.
    #[error("the JWK lacks the member \"{0}\" (RFC 7518 §6): export the private key again, with all its parts")]
    MissingMember(&'static str),
    /// A member that is not base64url of the right length.
    #[error("the member \"{0}\" of the JWK is damaged: it must be base64url of the right length (RFC 7518 §6)")]
    DamagedMember(&'static str),
    /// A key that must not sign, by its own `use` or `key_ops`.
    #[error(
        "the JWK is not for signatures, by its member \"{0}\": give one with \"use\":\"sig\", or without that member"
    )]
    NotForSigning(&'static str),
    /// Not RSA, EC or Ed25519.
    #[error(
        "a key of this kind ({0}) signs nothing here: take one of EC P-256 (the usual choice), P-384, RSA or Ed25519"
    )]
    Kind(Box<str>),
    /// Another curve than P-256 and P-384.
    #[error(
        "a key on this curve ({0}) signs nothing here: take one on P-256 (ES256, the usual choice) or P-384 (ES384)"
    )]
    Curve(Box<str>),
    /// A curve that is described instead of named (RFC 5480 §2.1.1).
    #[error(
        "the curve is written out instead of named: convert the key with `openssl ec -param_enc named_curve -in key.pem -out named.pem`"
    )]
    CurveInFull,
    /// An EC key without its public half, or with a compressed one.
    #[error(
        "the file lacks the public half of the key in full: add it with `openssl ec -in key.pem -pubout -conv_form uncompressed >> key.pem`"
    )]
    NoPublicHalf,
    /// Fewer than 2048 bits (RFC 7518 §3.3).
    #[error("an RSA key of {0} bits is too short: take one of 2048 or more, or an EC key on P-256")]
    TooShort(usize),
    /// A size that the library of signatures does not take.
    #[error("an RSA key of {0} bits cannot be used here: take one of 2048, 3072 or 4096, or an EC key on P-256")]
    Size(usize),
    /// A public exponent below 65537.
    #[error("the public exponent of the RSA key is too small or too large: take a key with the usual one, 65537")]
    Exponent,
    /// More than two primes.
    #[error("an RSA key of more than two primes cannot be used here: take one of two, as all programs make by default")]
    MorePrimes,
    /// An RSASSA-PSS key that restricts its own use (RFC 4055 §3.1).
    #[error("the RSA-PSS key names the hashes that it may be used with: take an RSA key without such parameters")]
    PssParameters,
    /// Parts of different keys, or a damaged part.
    #[error("the parts of the private key do not belong together: it is damaged, so take it from where it was made")]
    Mismatch,
    /// A name of no algorithm.
    #[error("{0:?} is no algorithm for signatures here: there are ES256, ES384, RS256, PS256, EdDSA and Ed25519")]
    UnknownAlgorithm(Box<str>),
    /// An algorithm for keys of another kind.
    #[error("{algorithm} needs another key: this one ({key}) signs {allowed}")]
    Algorithm {
        /// What was asked for, or what the JWK names.
        algorithm: &'static str,
        /// The kind of key.
        key: &'static str,
        /// What it can do.
        allowed: &'static str,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read: {detail}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        detail: Box<str>,
    },
    /// A file that holds no key for certain.
    #[error("{} is larger than 1 MiB, so it is no key: give the file with the private key", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The system's random numbers are not there.
    #[error(
        "the system gives no random numbers, and no key can be used without: is getrandom(2), or /dev/urandom, forbidden here?"
    )]
    NoRandom,
}
