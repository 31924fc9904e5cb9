//! The questions and the sign-in at terminals of 20, 40 and 80 columns: nothing is cut, and everything can be answered.
#![cfg(target_os = "linux")]

use crate::pty::Terminal;
use device_flow_testkit::rotating::Rotating;
use tempfile::TempDir;

const WIDTHS: [u16; 3] = [20, 40, 80];
const PASSPHRASE: &str = "correct horse canary";

/// A person without a keyring, at a narrow terminal.
struct Desk {
    home: TempDir,
    server: Rotating,
    columns: u16,
}

impl Desk {
    fn new(columns: u16) -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: Rotating::new(3_600), columns }
    }

    fn login(&self, more: &[&str]) -> Terminal {
        let url = |path| self.server.server.url(path);
        let (device, token) = (url("/device"), url("/token"));
        let words =
            [env!("CARGO_BIN_EXE_device-flow"), "login", "--device-endpoint", &device, "--token-endpoint", &token];
        let words = [&words[..], &["--client-id", "my-app", "--allow-http-loopback"], more].concat();
        // High enough that nothing scrolls away.
        Terminal::run(self.columns, 120, &words, |command| {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.home.path());
            command.env("LANG", "C.UTF-8").env("TERM", "xterm").env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
        })
    }

    /// What a person reads, whatever the breaks.
    fn words(&self, terminal: &Terminal) -> String {
        let rows: Vec<String> = terminal.screen().rows(0, self.columns).collect();
        rows.iter().flat_map(|row| row.split_whitespace()).collect::<Vec<_>>().join(" ")
    }

    /// The next question, with the cursor behind it and room for a letter.
    #[track_caller]
    fn is_asked(&self, terminal: &mut Terminal, question: &str, times: usize) {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        terminal.until(|contents| (flat(contents).matches(question).count() == times).then_some(()));
        let last = question.split(' ').next_back().unwrap().to_owned();
        let columns = self.columns;
        terminal.until(|contents| {
            let row = contents.lines().rfind(|line| !line.trim().is_empty())?;
            assert!(row.trim_end().ends_with(&last), "{row}");
            assert!(row.trim_end().chars().count() + 2 <= usize::from(columns), "no room for an answer: {row}");
            Some(())
        });
    }

    /// No word is broken but those that are wider than the terminal.
    #[track_caller]
    fn breaks_no_word(&self, terminal: &Terminal) {
        // Without what was painted over.
        let text = terminal.text().replace("\r\n", "\n");
        let text: Vec<&str> = text.split('\n').filter_map(|line| line.rsplit('\r').next()).collect();
        let text = text.join("\n");
        let whole = |word: &str| word.chars().count() <= usize::from(self.columns);
        let words: Vec<&str> = text.split_whitespace().filter(|word| !word.contains('\u{1b}') && whole(word)).collect();
        let shown = self.words(terminal);
        let shown: Vec<&str> = shown.split(' ').collect();
        for word in &words {
            assert!(shown.contains(word), "{}: {word} is broken:\n{}", self.columns, terminal.contents());
        }
        assert!(words.len() > 20, "{text}");
    }
}

#[test]
fn e06_the_questions_of_a_sign_in_can_be_read_and_answered_at_any_width() {
    for columns in WIDTHS {
        let desk = Desk::new(columns);
        let mut terminal = desk.login(&[]);
        desk.is_asked(&mut terminal, "1, 2 or 3?", 1);
        let said = "There is no keyring that can be used here. Where should the tokens be stored? 1. in a file that is encrypted with a \
            passphrase (--store age) 2. in a file that only you can read, not encrypted (--store file) 3. nowhere: they end with this \
            run (--store memory) 1, 2 or 3?";
        assert_eq!(desk.words(&terminal), said, "{columns}");
        // What belongs to a choice stands below its text.
        let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
        let first = rows.iter().position(|row| row.starts_with("  1. ")).unwrap();
        let last = rows.iter().position(|row| row.contains("memory)")).unwrap();
        for row in &rows[first..=last] {
            assert!(row.starts_with("     ") || row[2..].starts_with(|c: char| c.is_ascii_digit()), "{columns}: {row}");
        }
        terminal.press("7\n");
        desk.is_asked(&mut terminal, "1, 2 or 3?", 2);
        terminal.press("1\n");
        desk.is_asked(&mut terminal, "A passphrase for the key of your tokens:", 1);
        terminal.press(&format!("{PASSPHRASE}\n"));
        desk.is_asked(&mut terminal, "The same once more:", 1);
        terminal.press(&format!("{PASSPHRASE}\n"));
        assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
        desk.breaks_no_word(&terminal);
        assert!(!terminal.text().contains("canary"));
        // Rows that the terminal has broken by itself are one line: an address can be copied.
        assert!(terminal.contents().contains("https://as.example/device\n"), "{columns}: {}", terminal.contents());
        let words = desk.words(&terminal);
        assert!(
            words.contains("2. Enter the code WDJB-MJHT") && words.contains("profile default"),
            "{columns}: {words}"
        );

        // Whether the next profile becomes the current one.
        let mut terminal = desk.login(&["--profile", "work", "--store", "file"]);
        desk.is_asked(
            &mut terminal,
            "Profile default is still the current one. Shall work be it from now on? [y/N]",
            1,
        );
        terminal.press("y\n");
        assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
        assert!(
            desk.words(&terminal).ends_with("[y/N] y Profile work is now the current one."),
            "{}",
            terminal.contents()
        );
        desk.breaks_no_word(&terminal);
    }
}
