//! What every public type offers: errors that `?` takes anywhere, a `Debug` that helps and shows no secret, calendar
//! time.

use crate::support::{Run, builder};
use device_flow_core::*;
use serde_json::json;
use std::error::Error;
use std::time::{Duration, SystemTime};

#[test]
fn every_error_is_an_error_that_threads_can_hand_on() {
    fn error<T: Error + Send + Sync + 'static>() {}
    fn copied<T: Error + Clone + PartialEq + Send + Sync + 'static>() {}
    // It holds a ticket, which moves.
    error::<Misuse>();
    copied::<CacheError>();
    copied::<Cause>();
    copied::<ClaimsError>();
    copied::<ConfigError>();
    copied::<Expired>();
    copied::<Failure>();
    copied::<LastError>();
    copied::<OAuthError>();
    copied::<ProtocolError>();
    copied::<ProtocolFault>();
    copied::<SignInReason>();
    copied::<SnapshotError>();
    copied::<Stopped>();
    copied::<TextFault>();
    copied::<TransportError>();
    copied::<TransportErrorKind>();
    copied::<Unshowable>();
}

#[test]
fn every_machine_and_every_value_goes_to_another_thread() {
    fn owned<T: Send + Sync + 'static>() {}
    owned::<Account>();
    owned::<Action<TokenResponse>>();
    owned::<Client>();
    owned::<ClientBuilder>();
    owned::<DeviceFlow>();
    owned::<Discovery>();
    owned::<Event>();
    owned::<Metadata>();
    owned::<Provider>();
    owned::<Refresh>();
    owned::<Revocation>();
    owned::<SignIn>();
    owned::<SignInRequest>();
    owned::<SignedIn>();
    owned::<Snapshot>();
    owned::<TokenCache>();
    owned::<TokenResponse>();
}

#[test]
fn unambiguous_errors_become_a_failure_by_question_mark() {
    fn transport(error: TransportError) -> Result<(), Failure> {
        Err(error)?;
        Ok(())
    }
    fn reason(reason: SignInReason) -> Result<(), Stopped> {
        Err(Failure::from(reason))?;
        Ok(())
    }
    let refused = TransportError::new(TransportErrorKind::Connect).with_detail("refused");
    let failure = transport(refused.clone()).unwrap_err();
    assert_eq!(failure, Failure::Transport(refused));
    // The text is there once, not again as the source of itself.
    assert_eq!(
        (failure.to_string(), failure.source().is_none()),
        ("no connection to the server: refused".into(), true)
    );
    let stopped = reason(SignInReason::NotSignedIn).unwrap_err();
    assert_eq!(stopped, Stopped::Failed(Failure::SignInNeeded(SignInReason::NotSignedIn)));
    let fault = ProtocolError::new(Endpoint::Token, ProtocolFault::InvalidJson);
    assert_eq!(Failure::from(fault.clone()), Failure::Protocol(fault));
}

#[test]
fn debug_of_a_prompt_shows_all_that_a_person_sees() {
    let change = json!({"verification_uri_complete": "https://as/x?code=WDJB-MJHT", "message": "Hello", "interval": 7});
    let run = Run::granted(json!({"device_code": "canary"}));
    assert!(!format!("{:?}", run.machine.prompt()).contains("canary"));
    let shown = format!("{:?}", Run::granted(change).machine.prompt().unwrap());
    for part in ["user_code: \"WDJB-MJHT\"", "\"https://as/x\"", "\"https://as/x?code=WDJB-MJHT\"", "\"Hello\"", "7s"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn debug_names_the_client_and_its_endpoints() {
    let builder = builder();
    let shown = format!("{builder:?}");
    for part in ["my-app", "https://as/device", "https://as/token"] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = format!("{:?}", builder.build().unwrap());
    for part in ["my-app", "openid profile", "https://as/device", "https://as/token", "issuer: None"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn unix_time_shows_as_rfc_3339() {
    let cases = [
        (0, "1970-01-01T00:00:00Z"),
        (86_399, "1970-01-01T23:59:59Z"),
        (68_169_599, "1972-02-28T23:59:59Z"),
        (68_169_600, "1972-02-29T00:00:00Z"),
        (68_256_000, "1972-03-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (978_307_199, "2000-12-31T23:59:59Z"),
        (978_307_200, "2001-01-01T00:00:00Z"),
        (1_795_850_772, "2026-11-28T07:26:12Z"),
        (2_147_483_648, "2038-01-19T03:14:08Z"),
        // 2100 is no leap year, 2400 is one.
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (13_574_563_200, "2400-02-29T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "9999-12-31T23:59:59Z"),
        (u64::MAX, "9999-12-31T23:59:59Z"),
    ];
    for (secs, shown) in cases {
        assert_eq!(UnixTime::from_secs(secs).to_string(), shown, "{secs}");
    }
}

/// One day follows the other, through all of the 400 years after which the calendar repeats itself.
#[test]
fn unix_time_counts_every_day_once() {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for days in 0..146_097_u64 {
        let shown = UnixTime::from_secs(days * 86_400).to_string();
        assert_eq!(shown, format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
        (day, month) = if day == last { (1, month + 1) } else { (day + 1, month) };
        (month, year) = if month == 13 { (1, year + 1) } else { (month, year) };
    }
    assert_eq!((year, month, day), (2370, 1, 1));
}

#[test]
fn unix_time_and_system_time_say_the_same() {
    let epoch = SystemTime::UNIX_EPOCH;
    for secs in [0, 1, 1_795_850_772, 253_402_300_799] {
        let system = epoch + Duration::from_secs(secs);
        assert_eq!(UnixTime::from(system), UnixTime::from_secs(secs));
        assert_eq!(SystemTime::from(UnixTime::from_secs(secs)), system);
    }
    // A fraction makes nothing live longer; what is before 1970 is the beginning of it; what no system can hold is cut.
    assert_eq!(UnixTime::from(epoch + Duration::from_millis(1_999)), UnixTime::from_secs(1));
    assert_eq!(UnixTime::from(epoch - Duration::from_nanos(1)), UnixTime::from_secs(0));
    assert_eq!(UnixTime::from(epoch - Duration::from_secs(1 << 40)), UnixTime::from_secs(0));
    assert_eq!(SystemTime::from(UnixTime::from_secs(u64::MAX)), epoch + Duration::from_secs(253_402_300_799));
}
