//! The prompt (RFC 8628 §3.3): what may reach a person's terminal or browser, what is refused, what is left out.

use crate::support::*;
use core::time::Duration;
use device_flow_core::{DeviceFlow, Failure, Prompt, PromptWarning, ProtocolFault, TextFault, Timestamp, Unshowable};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::borrow::Cow;

fn flow(change: Value, allow_http_loopback: bool) -> Run<DeviceFlow> {
    let client = if allow_http_loopback { builder().allow_http_loopback() } else { builder() };
    let mut run = Run::new(client.build().unwrap());
    run.go();
    run.answer(200, &device_answer(change));
    run
}

#[track_caller]
fn shown_when(change: Value, allow_http_loopback: bool) -> Prompt {
    let mut run = flow(change, allow_http_loopback);
    run.poll();
    assert_eq!(run.prompts.len(), 1);
    assert_eq!(run.machine.prompt().as_ref(), run.prompts.first());
    run.prompts.remove(0)
}

#[track_caller]
fn shown(change: Value) -> Prompt {
    shown_when(change, false)
}

#[track_caller]
fn refused_when(change: Value, allow_http_loopback: bool) -> Unshowable {
    let mut run = flow(change, allow_http_loopback);
    let Failure::Protocol(error) = run.failure() else { panic!("a protocol error was expected") };
    // No raw control characters in any message.
    assert!(!format!("{error} {error:?}").contains(is_hostile), "{error}");
    assert!(run.prompts.is_empty());
    let ProtocolFault::Unshowable(why) = error.fault else { panic!("{error}") };
    why
}

#[track_caller]
fn refused(change: Value) -> Unshowable {
    refused_when(change, false)
}

fn warnings(prompt: &Prompt) -> Vec<PromptWarning> {
    prompt.warnings().collect()
}

/// What must never be printed raw, stated independently of the implementation: controls, Default_Ignorable_Code_Point
/// of Unicode 16, Bidi_Control, line and paragraph separators, interlinear annotation, noncharacters, and white space
/// other than the plain space.
fn is_hostile(c: char) -> bool {
    const DEFAULT_IGNORABLE: [(u32, u32); 17] = [
        (0x00ad, 0x00ad),
        (0x034f, 0x034f),
        (0x061c, 0x061c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x202a, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff),
    ];
    const BIDI_CONTROL: [(u32, u32); 4] = [(0x061c, 0x061c), (0x200e, 0x200f), (0x202a, 0x202e), (0x2066, 0x2069)];
    const BREAKS_AND_ANNOTATION: [(u32, u32); 2] = [(0x2028, 0x2029), (0xfff9, 0xfffb)];
    let code = u32::from(c);
    let noncharacter = code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code);
    let listed = DEFAULT_IGNORABLE.iter().chain(&BIDI_CONTROL).chain(&BREAKS_AND_ANNOTATION);
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || noncharacter
        || listed.into_iter().any(|(from, to)| (*from..=*to).contains(&code))
}

// R8628-3.3-1, R8628-3.3.1-1, R8628-3.3.1-2, R8628-3.3.1-3, R8628-6.2-1, RFC 8628 §3.2: everything, as data.
#[test]
fn rfc8628_3_3_the_prompt_holds_all_there_is_to_show() {
    let prompt = shown(json!({
        "verification_uri": "https://as/x?code=WDJB-MJHT", "verification_uri_complete": "https://AS/y?user_code=WDJB-MJHT#z",
        "message": "Enter the code."
    }));
    assert_eq!(prompt.user_code(), "WDJB-MJHT");
    assert_eq!(prompt.verification_uri(), "https://as/x?code=WDJB-MJHT");
    assert_eq!(prompt.verification_uri_complete(), Some("https://AS/y?user_code=WDJB-MJHT#z"));
    assert_eq!(prompt.message(), Some("Enter the code."));
    assert_eq!((prompt.interval(), warnings(&prompt)), (Duration::from_secs(5), vec![]));
    let bare = shown(json!({}));
    assert_eq!((bare.verification_uri_complete(), bare.message()), (None, None));
}

// RFC 8628 §3.2, R10027-6.1.2-1: the remaining life of the code, which is not shown after it.
#[test]
fn rfc8628_3_2_the_prompt_says_how_long_the_code_lives() {
    let prompt = shown(json!({"expires_in": 60}));
    let at = |seconds: u64| prompt.expires_in(Timestamp::from_millis(START + seconds * 1_000));
    assert_eq!(prompt.expires_at(), Timestamp::from_millis(START + 60_000));
    assert_eq!(
        (at(0), at(59), at(60), at(61)),
        (Duration::from_secs(60), Duration::from_secs(1), Duration::ZERO, Duration::ZERO)
    );
    let mut run = Run::granted(json!({}));
    assert!(run.machine.prompt().is_some());
    run.now = START + 900_000;
    run.failure();
    assert!(run.machine.prompt().is_none() && run.prompts.is_empty());
}

// A13, A16, RFC 8628 §6.1, §5.1: a code of any letters and length, byte for byte.
#[test]
fn rfc8628_6_1_the_user_code_is_shown_unchanged() {
    for code in [
        "WDJB-MJHT",
        "wdjb-mjht",
        "019-450-730",
        "0047",
        "047291835",
        "a b",
        " padded ",
        "F7KQ2XRTN",
        "0O1lI",
        "Żółć",
        "Код-Ω",
        "日本語コード",
        "קוד",
        "رمز",
        "कोड",
        "รหัส",
        "코드",
        "e\u{301}",
        "🙂",
        "\\u{1b}",
        "$(calc)",
        "|&;<>'\"`",
        "null",
        "x",
    ] {
        assert_eq!(shown(json!({"user_code": code})).user_code(), code);
    }
    for unit in ["x", "é", "🙂"] {
        assert_eq!(shown(json!({"user_code": unit.repeat(256)})).user_code(), unit.repeat(256));
        assert_eq!(refused(json!({"user_code": unit.repeat(257)})), Unshowable::UserCode(TextFault::TooLong));
    }
}

// A14, A15, A22, P43, R6749-10.14-1: the attacks that were seen.
#[test]
fn a_user_code_that_could_change_the_terminal_is_refused() {
    for code in [
        "\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}",
        "U\u{1b}]0;x\u{7}",
        "\u{1b}[2K\u{1b}[1AEVIL",
        "A\rB",
        "A\nB",
        "A\tB",
        "\u{202e}A",
        "A\u{200b}B",
        "A\u{9b}31m",
        "A\u{0}",
        "\u{7f}",
        "A\u{a0}B",
        "A\u{2028}B",
        "\u{feff}A",
        "A\u{e0041}",
        "A\u{fe0f}",
    ] {
        assert_eq!(refused(json!({"user_code": code})), Unshowable::UserCode(TextFault::Unprintable), "{code:?}");
        let uri = format!("https://as/{code}");
        assert_eq!(refused(json!({"verification_uri": uri})), Unshowable::VerificationUri(TextFault::Unprintable));
        let prompt = shown(json!({"verification_uri_complete": uri}));
        assert_eq!(
            (prompt.verification_uri_complete(), warnings(&prompt)),
            (None, vec![PromptWarning::CompleteUriIgnored])
        );
    }
}

// A15, R6749-10.14-1: every character of Unicode, against an independent statement of which ones are hostile.
#[test]
fn every_character_of_unicode_is_shown_or_refused() {
    let (hostile, good): (Vec<char>, Vec<char>) =
        ('\0'..=char::MAX).filter(|c| *c != ' ').partition(|c| is_hostile(*c));
    for some in good.chunks(256) {
        let code: String = some.iter().collect();
        let prompt = shown(json!({"user_code": code, "message": code}));
        assert_eq!((prompt.user_code(), prompt.message()), (&*code, Some(&*code)));
    }
    for c in hostile {
        let why = refused(json!({"user_code": format!("a{c}b")}));
        assert_eq!(why, Unshowable::UserCode(TextFault::Unprintable), "U+{:04X}", u32::from(c));
    }
}

// A cache has thousands of texts.
#[test]
fn a_text_that_is_safe_is_not_copied() {
    for text in ["plain", "Zażółć 日本語", ""] {
        assert!(matches!(device_flow_core::harmless(text), Cow::Borrowed(same) if same == text), "{text}");
    }
}

// R6749-10.14-1: a message is never refused, and never shown raw; line breaks become spaces.
#[test]
fn every_hostile_character_in_a_message_is_escaped() {
    for c in ('\0'..=char::MAX).filter(|c| is_hostile(*c)) {
        let prompt = shown(json!({"message": format!("a{c}b")}));
        let message = prompt.message().unwrap();
        let breaks = matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        assert_eq!(message, if breaks { "a b".to_owned() } else { format!("a{}b", c.escape_unicode()) });
    }
    assert_eq!(shown(json!({"message": "\r\n  one\r\n\ttwo \n"})).message(), Some("one two"));
    for absent in [json!(""), json!(" \n"), json!(5), json!(["x"]), json!({"a": "b"})] {
        assert_eq!(shown(json!({"message": absent})).message(), None, "{absent}");
    }
    assert_eq!(shown(json!({"message": "é".repeat(1_000)})).message(), Some(&*"é".repeat(1_000)));
    let cut = shown(json!({"message": "é".repeat(1_001)}));
    assert_eq!(cut.message(), Some(&*("é".repeat(999) + "…")));
}

// A19, A21, P43: schemes, user information, and texts that are not URIs.
#[test]
fn a_verification_uri_that_is_no_https_address_is_refused() {
    use TextFault::{NotAUri, Scheme, TooLong, UserInfo};
    for (uri, fault) in [
        ("javascript:alert(1)", Scheme),
        ("JavaScript:alert(1)//https://as/", Scheme),
        ("file:///etc/passwd", Scheme),
        ("data:text/html,x", Scheme),
        ("vscode://x", Scheme),
        ("ms-msdt:/id", Scheme),
        ("smb://h/", Scheme),
        ("ftp://as/", Scheme),
        ("ws://as/", Scheme),
        ("httpss://as/", Scheme),
        ("blob:https://as/x", Scheme),
        ("view-source:https://as/x", Scheme),
        ("--help", NotAUri),
        ("\\\\h\\s", NotAUri),
        ("//as/x", NotAUri),
        ("/device", NotAUri),
        ("as/device", NotAUri),
        ("as.example", NotAUri),
        ("https://", NotAUri),
        ("https://?x", NotAUri),
        ("https://as:99999/", NotAUri),
        ("https://a b/", TextFault::Unprintable),
        ("https://[::1", NotAUri),
        ("https://user:pw@as/", UserInfo),
        ("https://user@as/", UserInfo),
        ("https://:pw@as/", UserInfo),
        ("https://good.example\u{ff0f}@as/", UserInfo),
        ("http://as/", Scheme),
        ("http://127.0.0.1.evil.example/", Scheme),
        ("http://localhost.evil.example/", Scheme),
        (" ", TextFault::Empty),
        (&format!("https://as/{}", "x".repeat(2_048 - 10)), TooLong),
    ] {
        for allow_http_loopback in [false, true] {
            let why = refused_when(json!({"verification_uri": uri}), allow_http_loopback);
            assert_eq!(why, Unshowable::VerificationUri(fault), "{uri}");
        }
    }
}

// A25, A26, RFC 8628 §3.3: a good one is shown byte for byte, whatever a shell would make of it.
#[test]
fn a_verification_uri_is_shown_unchanged() {
    for uri in [
        "https://as",
        "https://as/|calc.exe",
        "https://as/$(calc)",
        "https://as/?a=1&calc",
        "https://as/'\"`<>{}^",
        "HTTPS://AS.Example:8443/Device/../x?y#z",
        "https://as:443/%7Euser/%0a",
        "https://192.0.2.1/x",
        "https://[2001:db8::1]:8/x",
        "https://as./",
        &format!("https://as/{}", "x".repeat(2_048 - 11)),
    ] {
        let prompt = shown(json!({"verification_uri": uri}));
        assert_eq!((prompt.verification_uri(), warnings(&prompt)), (uri, vec![]));
    }
    assert_eq!(shown(json!({"verification_uri": " https://as/x "})).verification_uri(), "https://as/x");
}

// A19, A23: where the URL standard forgives something in scheme or host, the text is not shown as it was written,
// because a reader may see another host.
#[test]
fn a_verification_uri_that_disguises_its_host_is_shown_as_it_is_understood() {
    for (disguised, plain, warned) in [
        ("https:\\\\as\\x", "https://as/x", false),
        ("https:as/x", "https://as/x", false),
        ("https:/as/x", "https://as/x", false),
        ("https:////as/x", "https://as/x", false),
        ("https://good.example\\@evil.example/", "https://good.example/@evil.example/", false),
        ("https://good.example:443\\@evil.example/", "https://good.example/@evil.example/", false),
        ("https://@as/x", "https://as/x", false),
        ("https://%61s/x", "https://as/x", false),
        ("https://0x7f.1/x", "https://127.0.0.1/x", false),
        ("https://2130706433/x", "https://127.0.0.1/x", false),
        // Cyrillic, as letters, as escapes, and in its ASCII form.
        ("https://аpple.com/", "https://xn--pple-43d.com/", true),
        ("https://%D0%B0pple.com/", "https://xn--pple-43d.com/", true),
        ("https://xn--pple-43d.com/", "https://xn--pple-43d.com/", true),
        ("https://bücher.example/ü?ü#ü", "https://xn--bcher-kva.example/%C3%BC?%C3%BC#%C3%BC", true),
        ("https://ａｓ/x", "https://as/x", false),
        // Such letters only in the path are no reason to warn.
        ("https://as/gerät", "https://as/ger%C3%A4t", false),
    ] {
        let prompt = shown(json!({"verification_uri": disguised}));
        let expected = if warned { vec![PromptWarning::InternationalHost] } else { vec![] };
        assert_eq!((prompt.verification_uri(), warnings(&prompt)), (plain, expected), "{disguised}");
    }
    // The limit holds for what is shown.
    let long = format!("https://as/{}", "ü".repeat(400));
    assert_eq!(refused(json!({"verification_uri": long})), Unshowable::VerificationUri(TextFault::TooLong));
}

// A21: plain http reaches loopback only, and only when it was allowed.
#[test]
fn http_is_for_loopback_when_allowed() {
    for uri in [
        "http://127.0.0.1:8/",
        "http://127.1.2.3/x",
        "http://127.255.255.255",
        "http://[::1]:8/",
        "http://localhost:8080/x",
        "HTTP://LOCALHOST/",
    ] {
        assert_eq!(shown_when(json!({"verification_uri": uri}), true).verification_uri(), uri);
        assert_eq!(refused(json!({"verification_uri": uri})), Unshowable::VerificationUri(TextFault::Scheme));
    }
    for uri in [
        "http://as/",
        "http://128.0.0.1/",
        "http://126.255.255.255/",
        "http://[::2]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://foo.localhost/",
        "http://localhost./",
        "http://192.168.0.1/",
    ] {
        let why = refused_when(json!({"verification_uri": uri}), true);
        assert_eq!(why, Unshowable::VerificationUri(TextFault::Scheme), "{uri}");
    }
}

// A17, A18, P34, P44: both spellings.
#[test]
fn the_old_spelling_of_the_address_is_read_and_the_standard_one_wins() {
    let old = shown(json!({"verification_uri": null, "verification_url": "https://as/old"}));
    assert_eq!((old.verification_uri(), warnings(&old)), ("https://as/old", vec![]));
    let empty = shown(json!({"verification_uri": "", "verification_url": "https://as/old"}));
    assert_eq!(empty.verification_uri(), "https://as/old");
    let same = shown(json!({"verification_url": "https://as/x"}));
    assert_eq!((same.verification_uri(), warnings(&same)), ("https://as/x", vec![]));
    for other in ["https://as/other", "javascript:alert(1)", "\u{1b}[2J"] {
        let both = shown(json!({"verification_url": other}));
        assert_eq!(
            (both.verification_uri(), warnings(&both)),
            ("https://as/x", vec![PromptWarning::TwoVerificationUris])
        );
    }
    for nothing in [json!(5), json!([]), json!("")] {
        assert_eq!(warnings(&shown(json!({"verification_url": nothing}))), []);
    }
    let complete = json!({"verification_url_complete": "https://as/old?c=1"});
    assert_eq!(shown(complete).verification_uri_complete(), Some("https://as/old?c=1"));
    // A bad URI under the standard name is not replaced by the other.
    let bad = refused(json!({"verification_uri": "http://as/", "verification_url": "https://as/"}));
    assert_eq!(bad, Unshowable::VerificationUri(TextFault::Scheme));
}

// A26, A27, P44: the complete URI is used when it is safe and on the same host, else left out with a warning.
#[test]
fn the_complete_uri_is_used_on_the_same_host_only() {
    let long = format!("https://as/{}", "x".repeat(4_096 - 11));
    for good in ["https://as/y?c=1", "https://AS:8443/", "https://as", &long, "https://as/'$(calc)|"] {
        let prompt = shown(json!({"verification_uri_complete": good}));
        assert_eq!((prompt.verification_uri_complete(), warnings(&prompt)), (Some(good), vec![]), "{good}");
    }
    for bad in [
        "https://evil/y",
        "https://as.evil/y",
        "https://evil\\@as/",
        "https://user@as/y",
        "http://as/y",
        "javascript:alert(1)",
        "https://аs/y",
        "/y",
        "WDJB-MJHT",
        &format!("{long}x"),
    ] {
        let prompt = shown(json!({"verification_uri_complete": bad}));
        assert_eq!(
            (prompt.verification_uri_complete(), warnings(&prompt)),
            (None, vec![PromptWarning::CompleteUriIgnored]),
            "{bad}"
        );
        assert_eq!(prompt.verification_uri(), "https://as/x");
    }
    for absent in [json!(""), json!(5), json!([])] {
        let prompt = shown(json!({"verification_uri_complete": absent}));
        assert_eq!((prompt.verification_uri_complete(), warnings(&prompt)), (None, vec![]), "{absent}");
    }
    let disguised = shown(json!({"verification_uri_complete": "https://as\\@evil/"}));
    assert_eq!(disguised.verification_uri_complete(), Some("https://as/@evil/"));
}

// All texts at their longest, with every warning.
#[test]
fn the_texts_keep_apart_at_their_limits() {
    let (code, uri) = ("🙂".repeat(256), format!("https://xn--pple-43d.com/{}", "x".repeat(2_048 - 25)));
    let complete = format!("https://xn--pple-43d.com/{}", "y".repeat(4_096 - 25));
    let prompt = shown(json!({
        "user_code": code, "verification_uri": uri, "verification_url": "https://other/", "verification_uri_complete": complete,
        "message": "🙂".repeat(1_000), "expires_in": null
    }));
    assert_eq!((prompt.user_code(), prompt.verification_uri()), (&*code, &*uri));
    assert_eq!((prompt.verification_uri_complete(), prompt.message()), (Some(&*complete), Some(&*"🙂".repeat(1_000))));
    assert_eq!(
        warnings(&prompt),
        [PromptWarning::TwoVerificationUris, PromptWarning::InternationalHost, PromptWarning::LifetimeAssumed]
    );
    assert!(prompt.warnings().all(|warning| !warning.to_string().is_empty()));
}

/// Text with many characters that cause trouble.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => "[ -~]{0,12}".prop_map(String::from),
        2 => any::<char>().prop_map(String::from),
        2 => prop::sample::select(vec![
            "https://", "http://", "as", "/", "\\", "@", ":", "?", "#", "%", "127.0.0.1", "[::1]", "localhost", "xn--", "\u{1b}[2J",
            "\u{202e}", "\u{200b}", "\r\n", "\u{9b}", "é", "а", "．", "\u{ad}", "javascript:", " ", "data:", ".", "%00", "0x7f.1",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

fn uri() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        text().prop_map(|rest| format!("https://as{rest}")),
        text().prop_map(|rest| format!("https://as/{rest}"))
    ]
}

proptest! {
    // A14 to A27, P43, R6749-10.14-1.
    #[test]
    fn no_prompt_ever_holds_a_hostile_character_or_another_scheme(
        code in text(), address in uri(), old in uri(), complete in uri(), message in text(), allow in any::<bool>()
    ) {
        let answer = json!({
            "user_code": code, "verification_uri": address, "verification_url": old, "verification_uri_complete": complete,
            "message": message
        });
        let mut run = flow(answer, allow);
        if run.go() {
            let prompt = &run.prompts[0];
            let (shown, complete) = (prompt.verification_uri(), prompt.verification_uri_complete());
            for text in [Some(prompt.user_code()), Some(shown), complete, prompt.message()].into_iter().flatten() {
                prop_assert!(!text.contains(is_hostile) && !text.is_empty(), "{:?}", text);
            }
            prop_assert_eq!(prompt.user_code(), &code);
            let host = |text: &str| {
                prop_assert!(text.is_ascii() && !text.contains(' '), "{}", text);
                let url = url::Url::parse(text).unwrap();
                let loopback = matches!(url.host_str(), Some("localhost" | "[::1]")) || url.host_str().is_some_and(|h| h.starts_with("127."));
                prop_assert!(url.scheme() == "https" || (allow && loopback && url.scheme() == "http"), "{}", text);
                prop_assert!(url.username().is_empty() && url.password().is_none(), "{}", text);
                // What a naive reader takes for the host is the host.
                let authority = text.split_once("://").unwrap().1;
                let authority = authority.split(['/', '?', '#', '\\']).next().unwrap().to_ascii_lowercase();
                let named = url.host_str().unwrap();
                prop_assert!(authority.strip_prefix(named).is_some_and(|port| port.is_empty() || port.starts_with(':')), "{}", text);
                Ok(named.to_owned())
            };
            let first = host(shown)?;
            if let Some(complete) = complete {
                prop_assert_eq!(host(complete)?, first);
            }
        } else {
            prop_assert!(matches!(run.failure(), Failure::Protocol(_)));
        }
    }
}
