//! Owns the userinfo response (OpenID Connect Core §5.3.2): claims about a person.

use super::json::{Object, text};
use crate::ProtocolFault;
use crate::prompt::harmless;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// What a server says about a person (OpenID Connect Core §5.3.2): claims by name, as JSON.
///
/// They are personal, so `Debug` shows how many there are.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInfoResponse(Box<[(Box<str>, Box<str>)]>);

impl UserInfoResponse {
    pub(crate) fn read(object: &Object<'_>, subject: Option<&str>) -> Result<Self, ProtocolFault> {
        if let Some(subject) = subject
            && object.required("sub")? != subject
        {
            return Err(ProtocolFault::Invalid("sub"));
        }
        Ok(Self(object.others(&[]).map(|(name, json)| (Box::from(name), Box::from(&*json))).collect()))
    }

    /// The claims in the server's order, names and JSON as it wrote them: not safe to print.
    pub fn raw_claims(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, json)| (&**name, &**json))
    }

    /// A claim that is a text, such as `sub`, `preferred_username`, `name` or `email` (OpenID Connect Core §5.1), safe to
    /// print; `None` when it is not there, empty or of another type.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let (_, json) = self.0.iter().find(|(known, _)| &**known == name)?;
        let text = text::unescaped(json).filter(|text| !text.is_empty())?;
        Some(harmless(&text).into_owned())
    }
}

impl fmt::Debug for UserInfoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserInfoResponse({} claims)", self.0.len())
    }
}
