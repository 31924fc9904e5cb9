//! Owns what a sign-in that is killed at any of its system calls leaves once its code is approved: a sign-in that can be
//! resumed, or its tokens.

use crate::points::{Count, at_each};
use crate::site::Site;
use crate::tracer::{Call, is_allowed};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// How long ago the sign-in was begun, in milliseconds: so long that the first poll is due.
const AGO: u64 = 10_000;

/// A sign-in that was begun, and left.
#[derive(Clone)]
pub(crate) struct Begun {
    id: String,
    text: String,
}

impl Begun {
    /// The same one each time, as if nothing else had happened here.
    fn on(site: &Site) -> Self {
        let begun = site.begun.get_or_init(|| Self::new(site)).clone();
        site.forget_everything();
        let folder = site.folder().join("pending");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap();
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(begun.file(site)).unwrap();
        file.write_all(begun.text.as_bytes()).unwrap();
        site.server.revive_code();
        begun
    }

    fn new(site: &Site) -> Self {
        let (exit, stdout, stderr) = site.types(&format!("login --no-wait --json {}", site.options()));
        assert_eq!(exit, 0, "{stderr}");
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        let id = last["resume_id"].as_str().unwrap().to_owned();
        let mut begun = Self { id, text: String::new() };
        let mut stored: Value = serde_json::from_slice(&fs::read(begun.file(site)).unwrap()).unwrap();
        for at in ["/taken/wall", "/taken/boot/up"] {
            let at = stored.pointer_mut(at).unwrap();
            *at = at.as_u64().unwrap().saturating_sub(AGO).into();
        }
        begun.text = stored.to_string();
        begun
    }

    fn file(&self, site: &Site) -> PathBuf {
        site.folder().join("pending").join(format!("{}.json", self.id))
    }
}

// The pending file is removed after the tokens are stored.
#[test]
fn f04_killed_at_any_system_call_an_approved_sign_in_can_be_resumed_or_has_its_tokens() {
    if !is_allowed() {
        return;
    }
    let [resumed, lost, stored, no_profile] = [(); 4].map(|()| Count::default());
    let points = at_each(Signal::SIGKILL, Site::new, Call::is_connect, |site, shot, case| {
        let begun = Begun::on(site);
        let resume = format!("login --resume {}", begun.id);
        let run = site.types_and_is_shot(&resume, shot);
        let expected = if run.hit.is_some() { Err(Signal::SIGKILL) } else { Ok(0) };
        assert_eq!(run.end, expected, "{case}: {}", run.stderr);
        site.check_files(case);
        let (live, token, is_pending) = (site.server.live(), site.refresh_token(), begun.file(site).exists());
        assert!(token.is_none() || token == live, "{case}: {token:?} is stored");
        assert!(is_pending || token.is_some(), "{case}: neither the sign-in is left nor its tokens");
        assert!(token.is_some() || !run.stdout.contains("Signed in"), "{case}: {}", run.stdout);
        let next = match (&live, &token) {
            (None, _) => resume,
            // The tokens are found, and no code is needed: nobody polls.
            (Some(_), Some(_)) => format!("login {}", site.options()),
            (Some(_), None) => {
                let (exit, _, stderr) = site.types(&resume);
                assert!(exit != 0 && !begun.file(site).exists(), "{case}: {exit} {stderr}");
                format!("login {}", site.options())
            }
        };
        no_profile.when(token.is_some() && !site.has_profile());
        let codes = site.server.codes();
        if live.is_none() || token.is_some() {
            let (exit, _, stderr) = site.types(&next);
            assert_eq!(exit, 0, "{case}: {stderr}");
            assert_eq!(site.server.codes(), codes, "{case}: another code was needed");
            assert_eq!(site.types("token").0, 0, "{case}");
            assert_eq!(site.server.reuses(), 0, "{case}");
            assert_eq!(site.refresh_token(), site.server.live(), "{case}");
            site.check_files(case);
            assert!(!site.names().iter().any(|name| name.contains("tmp")), "{case}: {:?}", site.names());
        }
        resumed.when(live.is_none());
        lost.when(live.is_some() && token.is_none());
        stored.when(token.is_some());
        run
    });
    println!(
        "login: {points}; {resumed} times resumed, {lost} times lost between the token's issue and the rename, {stored} times \
         stored, {no_profile} of them with options to be repeated"
    );
}
