//! Any bytes, any status, any headers, at every endpoint: never a panic, always a next action, never a secret shown.

use crate::support::*;
use device_flow_core::{Discovery, Failure, Machine, ProtocolFault, Response, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Debug;

/// Good answers of every kind. In each the secrets come before everything that may be shown.
const SAMPLES: [&str; 6] = [
    r#"{"device_code":"DC-canary","user_code":"WDJB-MJHT","verification_uri":"https://as/x","verification_uri_complete":"https://as/x?c=1","expires_in":900,"interval":5,"message":"hello"}"#,
    r#"{"access_token":"AT-canary","refresh_token":"RT-canary","id_token":"IT-canary","secret_extra":"EX-canary","token_type":"Bearer","expires_in":3600,"scope":"openid profile"}"#,
    r#"{"error":"authorization_pending","error_description":"made-up text","error_uri":"https://as/help"}"#,
    r#"{"error":"slow_down","interval":25}"#,
    r#"{"issuer":"https://as","device_authorization_endpoint":"https://as/device","token_endpoint":"https://as/token","grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_methods_supported":["none"]}"#,
    "access_token=AT-canary&device_code=DC-canary&token_type=bearer&user_code=X&verification_uri=https%3A%2F%2Fas%2Fx",
];

#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index, usize),
    Cut(prop::sample::Index),
    Prefix(Vec<u8>),
    Append(Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let piece = prop::sample::select(vec![
        "\"",
        "\\",
        "\\u0000",
        "\\ud800",
        "\\u005f",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1e999",
        "-1",
        "18446744073709551616",
        "\u{1b}[2J",
        "\u{202e}",
        "é",
        "\u{feff}",
        "\0",
        "\n",
        "&",
        "=",
        "%",
        "%00",
        "<",
        "\"x\":1,",
        "x",
    ]);
    let piece = || prop_oneof![3 => piece.clone().prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop_oneof![
        (at(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (at(), piece()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        at().prop_map(Change::Cut),
        piece().prop_map(Change::Prefix),
        piece().prop_map(Change::Append),
    ]
}

/// A good answer that was damaged. Its first byte stays, so that no secret ends up alone in the body.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(SAMPLES.to_vec()), prop::collection::vec(change(), 0..5)).prop_map(|(sample, changes)| {
        changes.into_iter().fold(sample.as_bytes().to_vec(), |mut body, change| {
            let at = |index: prop::sample::Index| 1 + index.index(body.len().max(2) - 1).min(body.len() - 1);
            match change {
                Change::Flip(index, bits) => {
                    let at = at(index).min(body.len() - 1);
                    body[at] ^= bits;
                }
                Change::Insert(index, piece) => {
                    let at = at(index);
                    body.splice(at..at, piece);
                }
                Change::Delete(index, length) => {
                    let at = at(index);
                    let end = (at + length).min(body.len());
                    body.drain(at..end);
                }
                Change::Cut(index) => body.truncate(at(index)),
                Change::Prefix(piece) => body.splice(..0, piece).for_each(drop),
                Change::Append(piece) => body.extend(piece),
            }
            body
        })
    })
}

/// An object with members by chance: known names and unknown ones, escaped or not, often twice, few or many, deeply
/// nested.
fn object() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "access_token",
        "access\\u005ftoken",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "id_token",
        "error",
        "error_description",
        "error_uri",
        "error_code",
        "message",
        "interval",
        "device_code",
        "user_code",
        "verification_uri",
        "verification_url",
        "verification_uri_complete",
        "issuer",
        "token_endpoint",
        "device_authorization_endpoint",
        "grant_types_supported",
        "",
        "\\ud800",
    ]);
    let name = prop_oneof![2 => name.prop_map(String::from), 3 => (0..40_u8).prop_map(|n| format!("x{n}"))];
    let value = prop_oneof![
        4 => prop::sample::select(vec![
            "null", "true", "0", "-0", "-1", "5", "900", "5.5", "1e400", "-1e400", "18446744073709551616", "\"\"", "\"5\"", "\" 900 \"", "\"abc\"",
            "\"Bearer\"", "\"https://as/x\"", "\"https://as\"", "\"authorization_pending\"", "\"slow_down\"", "\"invalid_grant\"", "[]", "{}",
            "[\"a\",\"b\"]", "{\"error\":\"slow_down\"}", "\"\\ud800\"", "\"\\u001b[2J\"", "\"a\\nb\"",
        ]).prop_map(String::from),
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => (1..2_000_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
    ];
    prop::collection::vec((name, value), 0..30).prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => mutated(), 3 => object(), 1 => prop::collection::vec(any::<u8>(), 0..300), 1 => any::<String>().prop_map(String::into_bytes)]
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        prop::sample::select(vec!["Content-Type", "content-type", "Retry-After", "Date", "Location", ""])
            .prop_map(String::from),
        any::<String>()
    ];
    let value = prop_oneof![
        prop::sample::select(vec![
            "application/json",
            "application/x-www-form-urlencoded",
            "text/html",
            "5",
            "99999999999999999999",
            "Sun, 06 Nov 1994 08:49:37 GMT"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec((name, value), 0..4)
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(200_u16), 3 => Just(400), 1 => Just(401), 1 => Just(429), 1 => Just(503), 2 => 100..=999_u16]
}

fn response<'a>(status: u16, headers: &'a [(String, Vec<u8>)], body: &'a [u8]) -> Response<'a> {
    headers.iter().fold(Response::new(status, body), |response, (name, value)| response.header(name, value))
}

/// Goes on as far as the machine wants (`Run` checks the law at each step); nothing that it shows holds a secret or a
/// control.
fn survive<M: Machine>(mut run: Run<M>, answer: Response<'_>, shown: impl Fn(&Run<M>) -> String) -> Run<M>
where
    M::Output: Debug,
{
    let mut text = format!("{answer:?}");
    for _ in 0..400 {
        if !run.go() {
            break;
        }
        run.respond(answer);
        text += &shown(&run);
    }
    assert!(!run.go(), "an end was expected");
    text += &format!("{} {:?} {:?}", shown(&run), run.prompts, run.outcome);
    if let Some(Err(failure)) = &run.outcome {
        let failure = failure.to_string();
        assert!(!failure.contains(char::is_control), "{failure:?}");
        text += &failure;
    }
    // The beginning of a markup page is shown.
    assert!(!text.contains("canary") || text.contains("excerpt: \"<"), "{text}");
    run
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    // A01 to A38, R6749-10.14-1, G11, G14.
    #[test]
    fn any_answer_to_the_device_request(status in status(), headers in headers(), body in body(), strict in any::<bool>()) {
        let client = if strict { builder().strict() } else { builder() };
        let mut run = Run::new(client.build().unwrap());
        run.go();
        run.respond(response(status, &headers, &body));
        let run = survive(run, Response::new(200, TOKEN.as_bytes()), |run| format!("{:?} {}", run.machine, run.machine.trail()));
        prop_assert!(run.outcome.is_some());
        prop_assert!(run.requests.len() <= 5);
    }

    // B01 to B26, R6749-10.14-1, G11, G14.
    #[test]
    fn any_answer_to_a_poll(status in status(), headers in headers(), body in body(), strict in any::<bool>()) {
        let client = if strict { builder().strict() } else { builder() };
        let mut run = Run::new(client.build().unwrap());
        run.go();
        run.answer(200, &device_answer(json!({"device_code": "DC-canary"})));
        let answer = response(status, &headers, &body);
        let run = survive(run, answer, |run| format!("{:?} {}", run.machine, run.machine.trail()));
        let outcome = run.outcome.unwrap();
        if let Ok(token) = outcome {
            let visible = |secret: &device_flow_core::Secret| secret.expose().bytes().all(|b| matches!(b, 0x20..=0x7e));
            prop_assert!(visible(token.access_token()) && !token.access_token().expose().is_empty());
            prop_assert!(token.refresh_token().is_none_or(visible));
            prop_assert!((200..300).contains(&status));
        }
    }

    // C21, R8414-3.3-2, R8414-6.2-2, OIDD-4.3-1, G11, G14.
    #[test]
    fn any_answer_to_discovery(status in status(), headers in headers(), body in body()) {
        let run = Run::of(Discovery::new("https://as").unwrap());
        let run = survive(run, response(status, &headers, &body), |run| format!("{:?}", run.machine));
        prop_assert!(run.requests.iter().all(|sent| sent.method == "GET" && sent.url.starts_with("https://as/.well-known/")));
        if let Ok(metadata) = run.outcome.unwrap() {
            prop_assert_eq!(metadata.issuer(), "https://as");
            for endpoint in [Some(metadata.token_endpoint()), metadata.device_authorization_endpoint()].into_iter().flatten() {
                prop_assert!(endpoint.starts_with("https://") || endpoint.starts_with("HTTPS://"), "{}", endpoint);
            }
        }
    }

    // R6749-5.1-9, R6749-5.1-10, A10: unknown members and the order of members change nothing.
    #[test]
    fn order_and_unknown_members_change_nothing(
        keys in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
        extra in prop::collection::vec(("[a-z]{8,12}", "[ -!#-\\[\\]-~]{0,9}"), 0..20),
    ) {
        let known = [
            r#""device_code":"d""#, r#""user_code":"WDJB-MJHT""#, r#""verification_uri":"https://as/x""#, r#""expires_in":900"#, r#""interval":7"#,
        ];
        let extra: std::collections::BTreeMap<_, _> = extra.into_iter().collect();
        let mut members: Vec<String> = keys.into_iter().map(|key| known[key].to_owned()).collect();
        for (index, (name, value)) in extra.iter().enumerate() {
            members.insert(index % members.len(), format!(r#""x-{name}":["{value}",{{"a":null}}]"#));
        }
        let mut run = Run::with_answer(200, &format!("{{{}}}", members.join(",")));
        assert_gap(run.poll(), 7, 7);
        prop_assert_eq!(run.prompts[0].user_code(), "WDJB-MJHT");
        prop_assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(START + 900_000));
    }
}

// A02, C06: nesting as deep as the limit allows does not recurse.
#[test]
fn deep_nesting_is_survived() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = (64 * 1024 - 200) / (open.len() + close.len());
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let mut run = Run::granted(json!({}));
        run.poll();
        run.answer(200, &TOKEN.replace('}', &format!(",\"deep\":{deep}}}")));
        assert_eq!(token(run.outcome()).extra("deep").unwrap().expose(), deep);
        let mut run = Run::granted(json!({}));
        run.poll();
        run.answer(200, &deep);
        // One that begins as an array is a page.
        let ended = if open == "[" { Run::with_answer(200, &deep).failure() } else { run.failure() };
        assert!(matches!(ended, Failure::Protocol(_)));
    }
}

// B26, R6749-3.2-5: a member that is there twice is found at any pair of places, among few members and among many.
#[test]
fn a_repeated_member_is_found_anywhere() {
    for count in [2_usize, 3, 7, 8, 9, 12, 13, 14, 40] {
        for first in 0..count {
            for second in first + 1..count {
                let members: Vec<_> = (0..count).map(|n| if n == second { first } else { n }).collect();
                let members: Vec<_> = members.iter().map(|n| format!("\"x{n}\":{n}")).collect();
                let mut run = Run::granted(json!({}));
                run.poll();
                run.answer(200, &TOKEN.replace('}', &format!(",{}}}", members.join(","))));
                let expected = ProtocolFault::DuplicateMember(format!("x{first}").into());
                assert!(
                    matches!(run.failure(), Failure::Protocol(e) if e.fault == expected),
                    "{count} {first} {second}"
                );
            }
        }
        let members: Vec<_> = (0..count).map(|n| format!("\"x{n}\":{n}")).collect();
        let mut run = Run::granted(json!({}));
        run.poll();
        run.answer(200, &TOKEN.replace('}', &format!(",{}}}", members.join(","))));
        assert_eq!(token(run.outcome()).extra_names().count(), count);
    }
}
