//! Owns the words and the HTML of the demo server's pages. No scripts, no inline styles; maud escapes all that is put in.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::state::{Ask, CodeProblem, Decision};

/// The one person this server knows.
pub(super) const PERSON: &str = "Ada Demo";
/// Where she gets mail.
pub(super) const EMAIL: &str = "ada@example.com";

/// The scopes this server can explain.
pub(super) const SCOPES: [(&str, &str); 4] = [
    ("openid", "Know who you are"),
    ("profile", "See your name"),
    ("email", "See your email address"),
    ("offline_access", "Stay signed in until you sign out"),
];

pub(super) const NO_CODE: &str = "Enter the code first. Your device or terminal shows it.";
pub(super) const BAD_FORM: &str = "That did not arrive whole. Enter the code again.";
pub(super) const FOREIGN_FORM: &str =
    "That did not come from this page, or your browser keeps no cookies. Enter the code again.";

/// Drawings, hidden from screen readers: the words beside them say it all.
const DEVICES: &str = r#"<svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M3 5h13v4M3 5v9h8M7 18h4m5-6h5v8h-5zM9 14v4"/></svg>"#;
const TICK: &str = r#"<svg class="sign yes" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="m6 12.5 4 4 8-9"/></svg>"#;
const CROSS: &str = r#"<svg class="sign no" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="m7 7 10 10M17 7 7 17"/></svg>"#;

/// The front door.
pub(super) fn home(base_url: &str) -> Markup {
    page(
        "Demo authorization server",
        html! {
            h1 { "A sign-in server to try things with" }
            p {
                "This is a small, real authorization server for the OAuth 2.0 Device Authorization Grant (RFC 8628). \
                It runs on your own computer and forgets everything when it stops."
            }
            p { a.button.primary href="/device" { "Enter a code" } }
            h2 { "For clients" }
            p { "Everything a client needs to know is at" }
            p.address { a href="/.well-known/oauth-authorization-server" { (base_url) "/.well-known/oauth-authorization-server" } }
        },
    )
}

/// The form for the code; `problem` says why it is shown again.
pub(super) fn enter_code(form_token: &str, typed: &str, problem: Option<&str>) -> Markup {
    let title = if problem.is_some() { "Try again" } else { "Connect a device" };
    page(
        title,
        html! {
            h1 { "Connect a device" }
            p { label for="user_code" { "Enter the code that your device or terminal shows." } }
            @if let Some(problem) = problem {
                p.problem #problem role="alert" { (problem) }
            }
            form method="post" action="/device" {
                (hidden("form_token", form_token))
                // A code is nobody's name or password: managers and correctors keep away. Focus, because the page is for this alone.
                input.code #user_code name="user_code" type="text" value=(typed) placeholder="XXXX-XXXX" maxlength="32"
                    autocomplete="off" autocapitalize="characters" autocorrect="off" spellcheck="false" enterkeyhint="next"
                    aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")] required autofocus;
                button.primary type="submit" { "Continue" }
            }
            p.quiet { "Upper or lower case, with or without the dash." }
        },
    )
}

/// The question: who asks, for what, and is it really you (RFC 8628 §3.3, §5.4).
pub(super) fn confirm(form_token: &str, ask: &Ask, user_code: &str) -> Markup {
    page(
        "Approve this sign-in?",
        html! {
            h1 { "Let " span.client { (ask.client_id) } " use your account?" }
            p.account {
                span.avatar aria-hidden="true" { "A" }
                span { "Signed in as " strong { (PERSON) } br; span.quiet { (EMAIL) } }
            }
            div.ticket {
                p #check { "Check that your device shows the same code" }
                p.code aria-describedby="check" { (user_code) }
            }
            h2 { "It will be able to" }
            ul.scopes {
                @for scope in ask.scope.split(' ').filter(|scope| !scope.is_empty()) { li { (explained(scope)) } }
                @if ask.scope.is_empty() { li { "See your name, and nothing else" } }
            }
            p.warning { strong { "Only approve if you started this sign-in yourself." } " If someone sent you the code, deny." }
            form.decide method="post" action="/device/decide" {
                (hidden("form_token", form_token))
                (hidden("user_code", user_code))
                button.primary type="submit" name="decision" value="approve" { "Approve" }
                button type="submit" name="decision" value="deny" { "Deny" }
            }
        },
    )
}

/// After the decision.
pub(super) fn decided(decision: Decision, client_id: &str) -> Markup {
    let (sign, title, words) = match decision {
        Decision::Approve => (TICK, "Approved", " is signed in. You can close this page and go back to your device."),
        Decision::Deny => (CROSS, "Denied", " gets nothing. You can close this page."),
    };
    page(
        title,
        html! {
            div.result {
                (PreEscaped(sign))
                h1 { (title) }
                p { span.client { (client_id) } (words) }
            }
        },
    )
}

/// No such address.
pub(super) fn not_found() -> Markup {
    page(
        "Not found",
        html! {
            h1 { "There is no such page" }
            p { a href="/device" { "Enter a code" } " or " a href="/" { "start at the front door" } "." }
        },
    )
}

/// What to tell a person about a code that leads nowhere.
pub(super) fn explanation(problem: CodeProblem) -> &'static str {
    match problem {
        CodeProblem::Unknown => "No sign-in has this code. Compare it with your device, letter by letter.",
        CodeProblem::Expired => "This code has expired. Start again on your device to get a new one.",
        CodeProblem::AlreadyUsed => "This code was already used. Start again on your device to get a new one.",
        CodeProblem::TooManyWrong => "Too many wrong codes. Wait a minute, then try again.",
    }
}

fn explained(scope: &str) -> Markup {
    match SCOPES.iter().find(|(known, _)| *known == scope) {
        Some((_, words)) => html! { (words) " " span.scope { (scope) } },
        None => html! { span.scope { (scope) } " (not explained)" },
    }
}

fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " – device-flow demo" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { a href="/" { (PreEscaped(DEVICES)) "device-flow" } span { "demo" } }
                main { (content) }
                footer { "A demo on this computer. No real account is involved." }
            }
        }
    }
}
