//! Invariant: an ID token is accepted exactly when its payload is one JSON object, without duplicate members, with an
//! issuer, a subject, an audience and an expiry; the claims are exactly its members; and the checks of OpenID Connect
//! Core §3.1.3.7 pass exactly when issuer, audience and time match.

use crate::body::{Member, Members, Seconds};
use crate::judge;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{ClaimsError, IdTokenClaims, Secret, UnixTime};

/// The bytes are the payload; and, where they are text, the token as a whole.
pub fn check(data: &[u8]) {
    if let Ok(token) = std::str::from_utf8(data) {
        let read = IdTokenClaims::read(&Secret::from(token));
        assert!(token.matches('.').count() == 2 || read.is_err(), "a token without three parts");
    }
    let token = format!("e30.{}.", Base64UrlUnpadded::encode_string(data));
    let read = IdTokenClaims::read(&Secret::from(&*token));
    // A byte order mark belongs to a file, not to a token.
    let members = Members::read(data).filter(|members| !members.has_duplicates() && !data.starts_with(b"\xef\xbb\xbf"));
    let Some(members) = members else {
        return assert_eq!(read, Err(ClaimsError::Unreadable), "claims from an invalid token");
    };
    let text = |name| members.get(name).text().map(str::to_owned);
    let end = match members.get("exp").seconds() {
        Seconds::Some { floor, .. } => Some(u64::try_from(floor).unwrap_or(u64::MAX)),
        Seconds::Absent | Seconds::Nonsense | Seconds::Negative => None,
    };
    let missing = [
        ("iss", text("iss").is_none()),
        ("sub", text("sub").is_none()),
        ("aud", audience(&members).is_none()),
        ("exp", end.is_none()),
    ];
    if let Some((name, _)) = missing.into_iter().find(|(_, missing)| *missing) {
        return assert_eq!(read, Err(ClaimsError::Claim(name)));
    }
    let claims = read.expect("all that must be there is there");
    let (audience, end) = (audience(&members).unwrap(), end.unwrap());
    assert_eq!(Some(claims.raw_issuer()), text("iss").as_deref());
    assert_eq!(Some(claims.raw_subject()), text("sub").as_deref());
    assert!(claims.raw_audience().eq(audience.iter().map(String::as_str)));
    assert_eq!(claims.expires().as_secs(), end);
    assert_eq!((claims.raw_object_id(), claims.raw_tenant()), (text("oid").as_deref(), text("tid").as_deref()));
    assert_eq!(claims.raw_name(), text("name").as_deref());
    let username = ["preferred_username", "upn", "email"].into_iter().find_map(text);
    assert_eq!(claims.raw_username(), username.as_deref());
    let shown = [claims.object_id(), claims.tenant(), claims.name(), claims.username()].into_iter().flatten();
    shown.chain([claims.issuer(), claims.subject()]).chain(claims.audience()).for_each(judge::safe);
    meant_for(&claims, &audience, text("azp").as_deref(), end);
}

/// The checks pass for the right issuer, client and time, and for no others.
fn meant_for(claims: &IdTokenClaims, audience: &[String], party: Option<&str>, end: u64) {
    let last = end.saturating_add(299);
    let first = audience.first().map_or("nobody", String::as_str);
    for (issuer, right) in [(claims.raw_issuer(), true), ("https://elsewhere.example", false)] {
        let right = right || claims.raw_issuer() == issuer;
        for client in [first, "somebody else"] {
            let named = audience.iter().any(|known| known == client);
            let alone = party.map_or(audience.len() == 1, |party| party == client);
            for now in [0, last, last.saturating_add(1), u64::MAX] {
                let alive = end.saturating_add(300) > now;
                let checked = claims.check(issuer, client, UnixTime::from_secs(now));
                // In the configured issuer this is the placeholder for the tenant.
                if issuer.contains("{tenantid}") && claims.tenant().is_some() {
                    continue;
                }
                assert_eq!(checked.is_ok(), right && named && alone && alive, "{issuer} {client} {now}: {checked:?}");
                if let Err(error) = checked {
                    judge::safe(&error.to_string());
                }
            }
        }
    }
}

/// A list of texts, or a single one.
fn audience(members: &Members<'_>) -> Option<Vec<String>> {
    if let Member::Text(text) = members.get("aud") {
        return Some(vec![text]);
    }
    let (_, written) = members.iter().find(|(name, _)| *name == "aud")?;
    serde_json::from_str(written).ok()
}
