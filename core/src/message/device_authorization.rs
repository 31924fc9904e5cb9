//! Owns the device authorization response (RFC 8628 §3.2): members, defaults and bounds.

use super::json::{Number, Object};
use crate::prompt::{PromptTexts, RawPrompt};
use crate::{PromptWarning, ProtocolFault};
use alloc::borrow::Cow;

/// RFC 8628 §3.2: without an interval the client uses 5 seconds.
const DEFAULT_INTERVAL: u32 = 5;
/// Ten minutes when no lifetime is given, as Salesforce, Okta and Keycloak have it.
const ASSUMED_LIFETIME: u32 = 600;
/// A longer life is cut to a day, since nobody enters a code tomorrow.
const MAX_LIFETIME: u32 = 24 * 60 * 60;
const MAX_DEVICE_CODE: usize = 4_096;

/// A usable answer. Times in seconds.
pub(crate) struct DeviceAuthorization<'a> {
    pub(crate) device_code: Cow<'a, str>,
    pub(crate) texts: PromptTexts,
    pub(crate) interval: u32,
    /// From the arrival of the answer; 0 when the code has expired.
    pub(crate) lifetime: u32,
}

impl<'a> DeviceAuthorization<'a> {
    pub(crate) fn read(object: &Object<'a>, strict: bool, allow_http_loopback: bool) -> Result<Self, ProtocolFault> {
        let device_code = object.required("device_code")?;
        if device_code.len() > MAX_DEVICE_CODE || device_code.chars().any(char::is_control) {
            return Err(ProtocolFault::Invalid("device_code"));
        }
        let user_code = object.required("user_code")?;
        // Google, Trakt and the old Entra endpoint write "url"; the standard name wins.
        let standard = object.text("verification_uri")?.filter(|uri| !uri.is_empty());
        let old = object.text("verification_url").ok().flatten().filter(|uri| !uri.is_empty());
        let uri = standard.as_ref().or(old.as_ref()).ok_or(ProtocolFault::Missing("verification_uri"))?;
        let complete = ["verification_uri_complete", "verification_url_complete"];
        let complete =
            complete.into_iter().find_map(|name| object.text(name).ok().flatten().filter(|uri| !uri.is_empty()));
        let message = object.text("message").ok().flatten();

        let raw = RawPrompt {
            user_code: &user_code,
            verification_uri: uri,
            other_verification_uri: old.as_deref(),
            verification_uri_complete: complete.as_deref(),
            message: message.as_deref(),
        };
        let mut texts = PromptTexts::check(raw, allow_http_loopback).map_err(ProtocolFault::Unshowable)?;

        let lifetime = match object.number("expires_in")? {
            Some(seconds) => if_positive(seconds, seconds.floor).min(MAX_LIFETIME),
            None if strict => return Err(ProtocolFault::Missing("expires_in")),
            None => {
                texts.warn(PromptWarning::LifetimeAssumed);
                ASSUMED_LIFETIME
            }
        };
        let interval = match object.number("interval")? {
            Some(seconds) if seconds.negative => return Err(ProtocolFault::Invalid("interval")),
            // Rounded up, so that a fraction never polls early.
            Some(seconds) => if_positive(seconds, seconds.ceil),
            None => 0,
        };
        if lifetime > 0 && interval >= lifetime {
            return Err(ProtocolFault::IntervalTooLong);
        }
        let interval = if interval == 0 { DEFAULT_INTERVAL } else { interval };
        Ok(Self { device_code, texts, interval, lifetime })
    }
}

fn if_positive(number: Number, seconds: u64) -> u32 {
    if number.negative { 0 } else { u32::try_from(seconds).unwrap_or(u32::MAX) }
}
