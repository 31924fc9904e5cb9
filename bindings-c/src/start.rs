//! Owns how machines are made: a sign-in, new or stored, a refresh, a revocation, a discovery.

use crate::code::{Code, Refused};
use crate::config::{Client, Config};
use crate::handle::{array, give, out_handle, text, with};
use crate::machine::{Driven, Machine, Protocol};
use alloc::boxed::Box;
use core::ffi::c_char;
use core::time::Duration;
use device_flow_core::{Away, DeviceFlow, Refresh, Revocation, Secret, Snapshot, Timestamp};

/// A new sign-in. Start one only when a person asked for it (RFC 8628 §3.1). `entropy` is 32 fresh bytes from the system's
/// random source, never used twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_flow_new(
    client: *mut Client,
    entropy: *const u8,
    entropy_len: usize,
    machine: *mut *mut Machine,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(client, |client| {
            let machine = out_handle(machine)?;
            let entropy: [u8; 32] = array(entropy, entropy_len)?.try_into().map_err(|_| Code::BadLength)?;
            place(machine, Protocol::Flow(DeviceFlow::new(client.clone(), entropy)));
            Ok(())
        })
    }
}

/// New tokens for a refresh token (RFC 6749 §6). `scope` is some of the granted scopes, separated by spaces; empty for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_refresh_new(
    client: *mut Client,
    refresh_token: *const c_char,
    refresh_token_len: usize,
    scope: *const c_char,
    scope_len: usize,
    machine: *mut *mut Machine,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(client, |client| {
            let machine = out_handle(machine)?;
            let token = Secret::from(text(refresh_token, refresh_token_len)?);
            let refresh = Refresh::new(client.clone(), token).scope(text(scope, scope_len)?)?;
            place(machine, Protocol::Refresh(Box::new(refresh)));
            Ok(())
        })
    }
}

/// The end of a token (RFC 7009): a refresh token, best.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_revocation_new(
    client: *mut Client,
    token: *const c_char,
    token_len: usize,
    machine: *mut *mut Machine,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(client, |client| {
            let machine = out_handle(machine)?;
            let revocation = Revocation::new(client.clone(), Secret::from(text(token, token_len)?))?;
            place(machine, Protocol::Revocation(Box::new(revocation)));
            Ok(())
        })
    }
}

/// Asks the issuer of the configuration for its endpoints (RFC 8414); `df_config_discovered` takes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_discovery_new(config: *mut Config, machine: *mut *mut Machine) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(config, |config| {
            let machine = out_handle(machine)?;
            place(machine, Protocol::Discovery(Box::new(config.discovery()?)));
            Ok(())
        })
    }
}

/// Goes on with a stored sign-in, perhaps in another process: the code is shown again, then the rest of the wait is kept.
/// The client must be the same. `away_at_least_ms` and `away_at_most_ms` say how long it was stored; both are the same where
/// that is known exactly. On `DF_CODE_BAD_SNAPSHOT`, `df_detail` of the client says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_resume(
    client: *mut Client,
    snapshot: *const c_char,
    snapshot_len: usize,
    away_at_least_ms: u64,
    away_at_most_ms: u64,
    now_ms: u64,
    machine: *mut *mut Machine,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(client, |client| {
            let machine = out_handle(machine)?;
            let json = text(snapshot, snapshot_len)?;
            // What serde says of it may repeat a part of it, which holds a secret.
            let stored: Snapshot = serde_json::from_str(json)
                .map_err(|_| Refused::new(Code::BadSnapshot, &"this is no stored sign-in: start a new one"))?;
            let ms = Duration::from_millis;
            let away = Away::between(ms(away_at_least_ms), ms(away_at_most_ms));
            let flow = DeviceFlow::resume(client.clone(), stored, away, Timestamp::from_millis(now_ms))
                .map_err(|error| Refused::new(Code::BadSnapshot, &error))?;
            place(machine, Protocol::Flow(flow));
            Ok(())
        })
    }
}

fn place(machine: &mut *mut Machine, protocol: Protocol) {
    *machine = give(Driven::new(protocol));
}
