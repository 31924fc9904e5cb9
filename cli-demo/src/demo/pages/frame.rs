//! Owns what all pages share: the frame around them, and the page for an unknown address. There are no inline scripts
//! or styles; maud escapes all values.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Hidden from screen readers, since the text beside it says the same.
const DEVICES: &str = r#"<svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M3 5h13v4M3 5v9h8M7 18h4m5-6h5v8h-5zM9 14v4"/></svg>"#;

/// How a page keeps itself up to date.
pub(super) struct Refresh<'a> {
    /// The URL of its events, for browsers that run our script.
    pub(super) events: &'a str,
    /// For those that do not: reload after so many seconds, or never.
    pub(super) seconds: Option<u8>,
}

/// A narrow page with one task.
pub(super) fn page(title: &str, content: Markup) -> Markup {
    whole(title, None, content)
}

/// A wide page that updates itself.
pub(super) fn live_page(title: &str, refresh: &Refresh<'_>, content: Markup) -> Markup {
    whole(title, Some(refresh), content)
}

/// The page for an unknown address.
pub(in crate::demo) fn not_found() -> Markup {
    page(
        "Not found",
        html! {
            h1 { "There is no such page" }
            p { a href="/device" { "Enter a code" } " or " a href="/" { "go to the start page" } "." }
        },
    )
}

pub(super) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

fn whole(title: &str, refresh: Option<&Refresh<'_>>, content: Markup) -> Markup {
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
                @if let Some(refresh) = refresh {
                    link rel="stylesheet" href="/live.css";
                    script src="/live.js" defer {}
                    @if let Some(seconds) = refresh.seconds {
                        noscript { meta http-equiv="refresh" content=(seconds); }
                    }
                }
            }
            body.wide[refresh.is_some()] data-events=[refresh.map(|refresh| refresh.events)] {
                header { a href="/" { (PreEscaped(DEVICES)) "device-flow" } span { "demo" } }
                main { (content) }
                footer { "A demo on this computer. No real account is involved." }
            }
        }
    }
}
