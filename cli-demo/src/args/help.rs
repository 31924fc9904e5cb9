//! Owns how help fits a terminal: broken between words, and a command so that it can still be pasted.

use clap::Command;

/// The same command line with help for a terminal of this many columns; `None`: nobody looks at it in a terminal, and no line
/// is broken.
pub(crate) fn fitted(command: Command, columns: Option<usize>) -> Command {
    // Zero is no limit.
    let mut command = command.term_width(columns.unwrap_or(0));
    let Some(columns) = columns else { return command };
    // With all that is deferred.
    command.build();
    examples_fitted(command, columns)
}

fn examples_fitted(mut command: Command, columns: usize) -> Command {
    if let Some(text) = command.get_after_help().map(ToString::to_string) {
        let lines: Vec<_> = paragraphs(&text).iter().map(|line| example(line, columns)).collect();
        command = command.after_help(lines.join("\n"));
    }
    command.mut_subcommands(|inner| examples_fitted(inner, columns))
}

/// The lines of a text; those of one paragraph of running text are one.
fn paragraphs(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(open) if !(open.is_empty() || open.starts_with(' ') || line.is_empty() || line.starts_with(' ')) => {
                open.push(' ');
                open.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// A line of examples: two spaces, the command, and behind two spaces more what it does. Any other line is running text,
/// which clap breaks.
fn example(line: &str, columns: usize) -> String {
    let Some(rest) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ') && line.len() > columns) else {
        return line.to_owned();
    };
    let (command, about) = rest.split_once("  ").unwrap_or((rest, ""));
    let mut text = String::from(" ");
    let mut width = text.len();
    for word in options(command, columns) {
        // With room for the backslash that makes the shell go on reading.
        if width > 1 && width + 1 + word.len() + 2 > columns {
            text += " \\\n     ";
            width = 5;
        }
        text += " ";
        text += &word;
        width += 1 + word.len();
    }
    if !about.trim().is_empty() {
        text += "\n      # ";
        text += about.trim();
    }
    text
}

/// The words, each option together with its value, where there is room for both on a line.
fn options(command: &str, columns: usize) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for word in words(command) {
        match options.last_mut() {
            Some(open)
                if open.starts_with("--")
                    && !open.contains(' ')
                    && !word.starts_with('-')
                    && open.len() + word.len() + 10 < columns =>
            {
                open.push(' ');
                open.push_str(word);
            }
            _ => options.push(word.to_owned()),
        }
    }
    options
}

/// Split at the spaces outside of quotes.
fn words(command: &str) -> Vec<&str> {
    let (mut quote, mut start, mut words) = (None, 0, Vec::new());
    for (at, c) in command.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => {
                words.push(command.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(command.get(start..).unwrap_or_default());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::terminal::folded;
    use clap::CommandFactory as _;

    #[test]
    fn a_command_is_broken_so_that_it_can_be_pasted() {
        let line = "  device-flow login --scope \"a b\" --force  show a code";
        assert_eq!(example(line, 80), line);
        let broken = "  device-flow login \\\n      --scope \"a b\" \\\n      --force\n      # show a code";
        assert_eq!(example(line, 26), broken);
        let narrow =
            "  device-flow \\\n      login \\\n      --scope \\\n      \"a b\" \\\n      --force\n      # show a code";
        assert_eq!(example(line, 20), narrow);
        assert_eq!(example("Running text of any length.", 10), "Running text of any length.");
        // Both sides of the bound.
        let line = "  aaaa bbbb";
        assert_eq!(
            (example(line, line.len()), example(line, line.len() - 1)),
            (line.into(), "  aaaa \\\n      bbbb".into())
        );
    }

    #[test]
    fn a_paragraph_is_broken_as_one() {
        assert_eq!(
            paragraphs("Examples:\n  a\n  b\n\nOne\ntwo.\n\nThree:\n  c"),
            ["Examples:", "  a", "  b", "", "One two.", "", "Three:", "  c"]
        );
    }

    /// The help of a command and of those in it, as it is printed.
    fn helps(command: &mut Command, columns: usize, found: &mut Vec<String>) {
        found.push(folded(&command.render_long_help().to_string(), columns, 4));
        found.push(folded(&command.render_help().to_string(), columns, 4));
        command.get_subcommands_mut().for_each(|inner| helps(inner, columns, found));
    }

    // W11: at 80 and at 40 columns, and at any other width.
    #[test]
    fn w11_help_is_wrapped_between_words() {
        let squeezed =
            |text: &str| text.split(['\n', ' ', '\\', '#']).filter(|word| !word.is_empty()).collect::<String>();
        let mut whole = Vec::new();
        helps(&mut fitted(Cli::command(), None), usize::MAX, &mut whole);
        for columns in [40, 60, 80, 100, 200] {
            let mut narrow = Vec::new();
            let mut command = fitted(Cli::command(), Some(columns));
            command.build();
            helps(&mut command, columns, &mut narrow);
            for help in &narrow {
                for line in help.lines() {
                    let is_one_word = words(line.trim().trim_end_matches([' ', '\\'])).len() == 1;
                    assert!(line.chars().count() <= columns || is_one_word, "{columns}: {line}");
                }
            }
            assert!(narrow.len() >= whole.len() && whole.len() > 20, "{}", whole.len());
            // Nothing is lost.
            let first = |helps: &[String]| helps.first().map(|help| squeezed(help));
            assert_eq!(first(&narrow), first(&whole), "{columns}");
        }
    }
}
