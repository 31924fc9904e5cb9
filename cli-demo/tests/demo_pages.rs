//! The pages of the demo server in a real browser: headless Chromium with chromedriver (feature `browser-tests`).
//!
//! With `DEMO_SCREENSHOTS=folder` it also saves screenshots there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to report"
)]

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "support/stage.rs"]
mod stage;
#[allow(dead_code, reason = "each test program uses its part")]
mod support;
#[path = "support/window.rs"]
mod window;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::actions::{InputSource as _, MouseActions, PointerAction};
use serde_json::json;
use stage::{Adapter, ClientEvent, Stage};
use window::{DARK, ENTER, PATIENCE, Setup, TAB, Window};

#[tokio::test]
async fn a_person_enters_the_code_and_approves() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.enter(&code.to_lowercase().replace('-', " ")).await;
        window.confirm_page().await;
        assert_eq!(window.text(".ticket .code").await, code);
        assert!(window.text(".account").await.contains("Signed in as Ada Demo"));
        assert!(window.text(".warning").await.starts_with("Only approve if you started this sign-in yourself."));
        let scopes = window.text(".scopes").await;
        assert!(scopes.contains("See your name") && scopes.contains("photos:read"), "{scopes}");
        window.screenshot("confirm-light.png").await;
        window.press_button("Approve").await;
        window.heading("Approved").await;
        window.screenshot("approved-light.png").await;
        assert!(window.server.approve(&code) && !window.server.deny(&code));
        window.open("/").await;
        window.screenshot("home-light.png").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_person_opens_the_complete_address_and_denies() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.confirm_page().await;
        window.press_button("Deny").await;
        window.heading("Denied").await;
        window.screenshot("denied-light.png").await;
        assert!(window.server.deny(&code) && !window.server.approve(&code));
    };
    Setup::default().run(test).await;
}

/// The README's first command, a person in a browser, and how it ends.
#[tokio::test]
async fn the_demo_command_signs_a_person_in_or_not() {
    let test = async |window: Window| {
        for (button, heading, exit, said) in
            [("Approve", "Approved", 0, "Signed in to"), ("Deny", "Denied", 3, "denied")]
        {
            let mut demo = Command::new(env!("CARGO_BIN_EXE_device-flow"));
            let demo = demo.args(["demo", "--interval", "1s"]).stdin(Stdio::null());
            let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut told = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
            let address = told.find_map(|line| {
                line.trim().strip_prefix("or open").map(|rest| rest.split_whitespace().next().unwrap().to_owned())
            });
            window.client.goto(&address.unwrap()).await.unwrap();
            window.heading("Let device-flow-demo use your account?").await;
            window.press_button(button).await;
            window.heading(heading).await;
            let rest: Vec<String> = tokio::task::spawn_blocking(move || told.collect()).await.unwrap();
            let output = demo.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(exit), "{rest:?}");
            let everything = String::from_utf8(output.stdout).unwrap() + &rest.join("\n");
            assert!(everything.contains(said), "{everything}");
        }
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_wrong_code_is_explained_and_can_be_mended() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.enter("AAAA-AAAA").await;
        window.problem("There is no sign-in with this code").await;
        window.screenshot("wrong-light.png").await;
        let field = window.client.find(Locator::Id("user_code")).await.unwrap();
        assert_eq!(field.prop("value").await.unwrap().unwrap(), "AAAA-AAAA", "the field keeps what was typed");
        assert_eq!(field.attr("aria-describedby").await.unwrap().unwrap(), "problem");
        field.clear().await.unwrap();
        field.send_keys(&code).await.unwrap();
        window.press_button("Continue").await;
        window.confirm_page().await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_code_that_expires_on_the_open_page_is_explained() {
    let test = async |mut window: Window| {
        // On a clock that only the test moves.
        let stage = Stage::start(5);
        window.server = Arc::clone(&stage.server);
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.confirm_page().await;
        stage.advance(A_DAY);
        window.press_button("Approve").await;
        window.problem("This code has expired").await;
        drop(stage);
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn a_double_click_approves_and_a_second_thought_in_another_window_is_explained() {
    let test = async |window: Window| {
        let path = format!("/device?user_code={}", window.begin().await);
        window.open(&path).await;
        let first = window.client.window().await.unwrap();
        let second = window.client.new_window(true).await.unwrap().handle;
        window.client.switch_to_window(second.clone()).await.unwrap();
        window.open(&path).await;

        window.client.switch_to_window(first).await.unwrap();
        let approve = window.client.find(Locator::Css("[value=approve]")).await.unwrap();
        let left = fantoccini::actions::MOUSE_BUTTON_LEFT;
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement { element: approve, duration: None, x: 0.0, y: 0.0 })
            .then(PointerAction::Down { button: left })
            .then(PointerAction::Up { button: left })
            .then(PointerAction::Down { button: left })
            .then(PointerAction::Up { button: left });
        window.client.perform_actions(mouse).await.unwrap();
        window.heading("Approved").await;

        window.client.switch_to_window(second).await.unwrap();
        window.press_button("Deny").await;
        window.problem("This code was already used").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn the_keyboard_is_enough_and_its_focus_is_seen() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open("/device").await;
        for letter in code.chars() {
            window.key(letter).await;
        }
        window.key(ENTER).await;
        window.confirm_page().await;
        for stop in ["device-flow", "Approve", "Deny"] {
            window.key(TAB).await;
            assert_eq!(window.script("document.activeElement.textContent.trim()").await, stop);
            let outline = window.script("getComputedStyle(document.activeElement).outlineStyle").await;
            assert_eq!(outline, "solid", "the focus on {stop} is visible");
        }
        window.key(ENTER).await;
        window.heading("Denied").await;
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn nothing_scrolls_sideways_at_320_pixels() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.poll().await;
        let long = window.begin_as(&"W".repeat(300)).await;
        for (path, name) in [
            ("/".to_owned(), "home"),
            ("/live/1".to_owned(), "live"),
            ("/live/2".to_owned(), "live-long-name"),
            ("/device".to_owned(), "enter"),
            (format!("/device?user_code={code}"), "confirm"),
            (format!("/device?user_code={}", "W".repeat(300)), "wrong"),
            (format!("/device?user_code={long}"), "long-name"),
        ] {
            window.open(&path).await;
            assert_eq!(window.script("innerWidth").await, 320, "the phone is emulated");
            assert_eq!(window.script("document.documentElement.scrollWidth").await, 320, "{path}");
            window.screenshot(&format!("{name}-320.png")).await;
        }
        window.open("/live/1").await;
        window.client.execute("document.querySelector('.act').scrollIntoView()", vec![]).await.unwrap();
        window.screenshot("live-buttons-320.png").await;
        window.client.execute("scrollTo(0, 99999)", vec![]).await.unwrap();
        window.screenshot("live-polls-320.png").await;
        // Phones zoom in on a field with smaller text.
        window.open("/device").await;
        let size = window.script("parseFloat(getComputedStyle(document.getElementById('user_code')).fontSize)").await;
        assert!(size.as_f64().unwrap() >= 16.0, "{size}");
    };
    Setup::phone(320).run(test).await;
}

#[tokio::test]
async fn a_phone_in_light_colours() {
    let test = async |window: Window| {
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.screenshot("confirm-light-phone.png").await;
        let ground = window.script("getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(ground, "rgb(241, 243, 238)");
    };
    Setup::phone(390).run(test).await;
}

#[tokio::test]
async fn a_phone_in_dark_colours() {
    let test = async |window: Window| {
        assert_eq!(
            window.script("matchMedia('(prefers-color-scheme: dark)').matches").await,
            true,
            "dark colours are emulated"
        );
        window.open("/device").await;
        window.screenshot("enter-dark-phone.png").await;
        assert_eq!(window.script("getComputedStyle(document.body).backgroundColor").await, "rgb(16, 21, 19)");
        let code = window.begin().await;
        window.open(&format!("/device?user_code={code}")).await;
        window.screenshot("confirm-dark-phone.png").await;
        window.poll().await;
        window.open("/live").await;
        window.screenshot("live-dark-phone.png").await;
        let card = window.script("getComputedStyle(document.querySelector('.card')).backgroundColor").await;
        assert_eq!(card, "rgb(25, 32, 29)");
    };
    let mut phone = Setup::phone(390);
    phone.arguments.push(DARK);
    phone.run(test).await;
}

#[tokio::test]
async fn the_pages_work_without_javascript() {
    let test = async |window: Window| {
        window.client.goto("data:text/html,<title>off</title><script>document.title='on'</script>").await.unwrap();
        assert_eq!(window.client.title().await.unwrap(), "off", "scripts do not run");
        let code = window.begin().await;
        window.enter(&code).await;
        window.confirm_page().await;
        window.press_button("Approve").await;
        window.heading("Approved").await;

        let code = window.begin().await;
        window.open("/live").await;
        window.shows("polls", "No poll yet").await;
        window.poll().await;
        window.shows("polls", "too soon").await; // The page reloads.
        window.open("/live/2?still").await;
        window.misbehave("deny").await;
        window.shows("standing", "Denied").await;
        assert!(window.server.deny(&code) && !window.server.approve(&code));
    };
    let prefs = json!({ "profile.managed_default_content_settings.javascript": 2 });
    Setup { chrome: vec![("prefs", prefs)], ..Setup::default() }.run(test).await;
}

#[tokio::test]
async fn the_live_page_shows_each_poll_and_its_buttons_make_the_server_misbehave() {
    let test = async |mut window: Window| {
        // On a clock that stands still, a poll that comes at once is too soon, however slow the browser is.
        let stage = Stage::start(1);
        window.server = Arc::clone(&stage.server);
        window.open("/live").await;
        window.heading("No sign-in yet").await;
        let code = window.begin().await;
        window.heading("living-room-tv signs in").await; // By itself.
        assert_eq!(window.text(".person .code").await, code);
        window.script("window.same = true").await;
        window.shows("facts", "none no poll yet").await;
        stage.advance(Duration::from_secs(1));
        window.misbehave("unavailable").await;
        window.shows("ahead", "503 at the next 3 polls").await;
        assert_eq!(window.poll().await, 503);
        window.shows("polls", "503 Service unavailable.").await;
        window.shows("ahead", "503 at the next 2 polls").await;
        assert_eq!(window.poll().await, 503);
        window.shows("polls", "too soon").await;
        window.shows("polls", "It did not back off.").await;
        window.shows("facts", "1 of 2 polls").await;
        window.shows("news", "Poll 2 came after 0.").await;
        window.misbehave("expire").await;
        window.shows("standing", "Code expired The client does not know yet").await;
        window.lacks("buttons", "button[@value='deny']").await; // It is too late for that.
        window.lacks("person", "a").await;
        window.misbehave("slow_down").await; // Instead of the third 503.
        window.shows("ahead", "slow_down at the next poll").await;
        assert_eq!(window.poll().await, 400);
        window.shows("polls", "expired_token").await;
        window.shows("ahead", "This sign-in is over.").await;
        window.shows("person", "The code has expired.").await;
        window.lacks("buttons", "button").await;
        let form = window.client.find(Locator::Css(".server form")).await.unwrap();
        assert!(!form.is_displayed().await.unwrap(), "it leaves no gap");
        assert_eq!(window.script("window.same").await, true, "the page was not reloaded");
        window.open(&format!("/device?user_code={code}")).await;
        window.problem("This code has expired").await;
        drop(stage);
    };
    Setup::default().run(test).await;
}

#[tokio::test]
async fn the_keyboard_is_enough_for_the_live_page_and_keeps_its_focus() {
    let test = async |window: Window| {
        window.begin().await;
        window.open("/live").await;
        let stops = ["device-flow", "All sign-ins", "Approve or deny", "slow_down", "Retry-After", "503", "Hang up"];
        for stop in stops {
            window.key(TAB).await;
            let focused = window.script("document.activeElement.textContent.trim()").await;
            assert!(focused.as_str().unwrap().starts_with(stop), "{focused} where {stop} should be");
            let outline = window.script("getComputedStyle(document.activeElement).outlineStyle").await;
            assert_eq!(outline, "solid", "the focus on {stop} is visible");
        }
        window.key(ENTER).await;
        window.shows("ahead", "No answer at the next 3 polls").await;
        assert_eq!(window.script("document.activeElement.value").await, "hang_up", "the focus stays on the button");
        for _ in ["Expire", "Deny"] {
            window.key(TAB).await;
        }
        window.key(ENTER).await;
        window.shows("standing", "Denied").await;
    };
    Setup::default().run(test).await;
}

// A page of another site submits our form. The browser sends no cookie, and names the origin.
#[tokio::test]
async fn rfc6749_10_12_a_form_from_another_page_is_refused() {
    let test = async |window: Window| {
        let code = window.begin().await;
        let base_url = window.server.base_url();
        window.open(&format!("/device?user_code={code}")).await;
        let token = window.script("document.querySelector('[name=form_token]').value").await;
        let token = token.as_str().unwrap();
        for (action, fields, heading) in [
            (
                "/device/decide",
                format!("<input name=user_code value={code}><input name=decision value=approve>"),
                "Connect a device",
            ),
            ("/live/1/misbehave", "<input name=what value=deny>".to_owned(), "living-room-tv signs in"),
        ] {
            let form = format!(
                "data:text/html,<form method=post action={base_url}{action}><input name=form_token value={token}>{fields}\
                <button>Win a prize</button></form>"
            );
            window.client.goto(&form).await.unwrap();
            window.press_button("Win a prize").await;
            window.heading(heading).await;
            let said = window.text("[role=alert]").await;
            assert!(said.starts_with("That did not come from this page"), "{said}");
        }
        window.open("/live/1").await;
        window.shows("standing", "Waiting for the person").await;
        assert!(window.server.deny(&code), "nothing was decided");
    };
    Setup::default().run(test).await;
}

/// The page outlives the demo.
#[tokio::test]
async fn the_demo_command_names_the_live_page_and_the_page_says_when_the_server_has_stopped() {
    let test = async |window: Window| {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_device-flow"));
        let demo = demo.args(["demo", "--interval", "1s"]).stdin(Stdio::null());
        let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
        let live = told.nth(1).unwrap();
        window.client.goto(live.split_once(" at ").expect("an address in the second line").1.trim()).await.unwrap();
        window.heading("device-flow-demo signs in").await;
        window.shows("polls", "authorization_pending").await;
        let watching = window.client.window().await.unwrap();
        let door = window.script("document.querySelector('.person a').href").await;
        window.client.switch_to_window(window.client.new_window(true).await.unwrap().handle).await.unwrap();
        window.client.goto(door.as_str().unwrap()).await.unwrap();
        window.press_button("Approve").await;
        window.heading("Approved").await;
        window.client.switch_to_window(watching).await.unwrap();
        window.shows("standing", "Signed in").await;
        window.shows("polls", "tokens Signed in.").await;
        let patience = window.client.wait().at_most(PATIENCE);
        let gone = patience.for_element(Locator::Css(".gone:not([hidden])")).await.unwrap();
        assert_eq!(gone.text().await.unwrap(), "The demo server has stopped. This is its last state.");
        drop(told);
        assert_eq!(demo.wait().unwrap().code(), Some(0));
    };
    Setup::default().run(test).await;
}

/// How long the codes of a stage live.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

const DESK: &str = "--window-size=1120,1290";

/// A real client and all kinds of faults, on a clock that the test sets, as the live page shows them.
async fn story(mut window: Window, light: &str) {
    let stage = Stage::start(5);
    window.server = Arc::clone(&stage.server);
    let (pause, mut paused) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, gone_on) = std::sync::mpsc::channel::<()>();
    let story = tokio::task::spawn_blocking(move || {
        let (mut code, mut waits) = (String::new(), 0);
        let outcome = stage.sign_in(Adapter::Tokio, "living-room-tv", |told| match told {
            ClientEvent::Code(shown) => shown.clone_into(&mut code),
            ClientEvent::Wait(..) => {
                waits += 1;
                match waits {
                    3 => assert_eq!(stage.press(1, "unavailable"), 303),
                    5 => assert_eq!(stage.press(1, "slow_down"), 303),
                    8 => {
                        stage.advance(Duration::from_secs(4));
                        assert_eq!(stage.press(1, "hang_up"), 303);
                        pause.send(()).unwrap();
                        gone_on.recv().unwrap();
                        assert_eq!(stage.press(1, "slow_down"), 303);
                        assert!(stage.server.approve(&code));
                    }
                    _ => {}
                }
            }
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        stage // The server must outlive the page.
    });
    paused.recv().await.expect("seven polls");
    window.open("/live").await;
    window.shows("standing", "Waiting for the person").await;
    window.shows("facts", "7 of 7 polls").await;
    window.shows("facts", "10 s 5 s more than at the start").await;
    window.shows("polls", "It slowed down.").await;
    let marks = window.script("[...document.querySelectorAll('#timeline svg svg')].length").await;
    assert_eq!(marks, 7, "each poll has its mark on the timeline");
    window.screenshot(&format!("live-{light}.png")).await;
    go_on.send(()).unwrap();
    let stage = story.await.unwrap();
    window.shows("standing", "Signed in").await;
    window.shows("polls", "15 s").await;
    window.shows("facts", "9 of 9 polls").await;
    window.screenshot(&format!("live-over-{light}.png")).await;
    window.begin().await;
    window.open("/").await;
    for words in ["living-room-tv no. 1", "9 of 9", "Signed in", "living-room-tv no. 2", "no poll yet"] {
        window.shows("sign-ins", words).await;
    }
    window.shows("clients", "living-room-tv asked twice, signed in once").await;
    window.screenshot(&format!("home-live-{light}.png")).await;
    drop(stage);
}

#[tokio::test]
async fn the_live_page_shows_how_a_real_client_reacts() {
    let test = async |window: Window| story(window, "light").await;
    Setup { arguments: vec![DESK, "--hide-scrollbars"], ..Setup::default() }.run(test).await;
}

#[tokio::test]
async fn the_live_page_in_dark_colours() {
    let test = async |window: Window| {
        story(window.clone(), "dark").await;
        for (element, colour) in [(".card", "rgb(25, 32, 29)"), (".badge.good", "rgb(126, 211, 178)")] {
            let ground = format!("getComputedStyle(document.querySelector('{element}')).backgroundColor");
            assert_eq!(window.script(&ground).await, colour, "{element}");
        }
    };
    Setup { arguments: vec![DESK, DARK, "--hide-scrollbars"], ..Setup::default() }.run(test).await;
}
