//! Owns the text and the HTML of the pages where a person decides.

use maud::{Markup, PreEscaped, html};

use super::frame::{hidden, page};
use crate::demo::authority::CodeProblem;
use crate::demo::grant::AuthorizationRequest;
use crate::demo::options::{Decision, EMAIL, PERSON, SCOPES};

pub(in crate::demo) const NO_CODE: &str = "Enter the code first. Your device or terminal shows it.";
pub(in crate::demo) const BAD_FORM: &str = "The form could not be read. Enter the code again.";
pub(in crate::demo) const FOREIGN_FORM: &str =
    "That did not come from this page, or your browser blocks cookies. Enter the code again.";

/// Drawings, hidden from screen readers, since the text beside them says the same.
const TICK: &str = r#"<svg class="sign yes" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="m6 12.5 4 4 8-9"/></svg>"#;
const CROSS: &str = r#"<svg class="sign no" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="m7 7 10 10M17 7 7 17"/></svg>"#;

/// The form for the code; `problem` says why it is shown again.
pub(in crate::demo) fn enter_code(form_token: &str, typed: &str, problem: Option<&str>) -> Markup {
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
                // A code is no name or password, so managers and spelling correction are off. It has the focus, since
                // the page has no other purpose.
                input.code #user_code name="user_code" type="text" value=(typed) placeholder="XXXX-XXXX" maxlength="32"
                    autocomplete="off" autocapitalize="characters" autocorrect="off" spellcheck="false" enterkeyhint="next"
                    aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")] required autofocus;
                button.primary type="submit" { "Continue" }
            }
            p.quiet { "Upper or lower case, with or without the dash." }
        },
    )
}

/// The question: which client asks for what, and did you start it (RFC 8628 §3.3, §5.4).
pub(in crate::demo) fn confirm(form_token: &str, ask: &AuthorizationRequest, user_code: &str) -> Markup {
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
            p.warning { strong { "Only approve if you started this sign-in yourself." } " If someone sent you the code, choose Deny." }
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
pub(in crate::demo) fn decided(decision: Decision, client_id: &str) -> Markup {
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

/// For a client that sends a browser here to sign in.
pub(in crate::demo) fn only_devices() -> Markup {
    page(
        "Devices only",
        html! {
            h1 { "This server signs in devices only" }
            p {
                "A program that opens this page wants the authorization code grant. Here there is only the device grant: \
                the program shows a code, and you " a href="/device" { "enter it" } "."
            }
        },
    )
}

/// What is wrong with a code, for the person.
pub(in crate::demo) fn explanation(problem: CodeProblem) -> &'static str {
    match problem {
        CodeProblem::Unknown => "There is no sign-in with this code. Compare it with your device, letter by letter.",
        CodeProblem::Expired => "This code has expired. Start again on your device to get a new one.",
        CodeProblem::AlreadyUsed => "This code was already used. Start again on your device to get a new one.",
        CodeProblem::TooManyWrong => "Too many wrong codes. Wait a minute, then try again.",
    }
}

fn explained(scope: &str) -> Markup {
    match SCOPES.iter().find(|(known, _)| *known == scope) {
        Some((_, words)) => html! { (words) " " span.scope { (scope) } },
        None => html! { span.scope { (scope) } " (no description)" },
    }
}
