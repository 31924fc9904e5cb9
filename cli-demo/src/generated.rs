//! Owns what is made from the definition of the words: completions for shells, and manual pages.

use crate::args::{Cli, Completions, Man};
use crate::end::End;
use crate::terminal::Terminal;
use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use std::path::{Path, PathBuf};

const NAME: &str = "device-flow";

pub(crate) fn completions(args: &Completions, terminal: &mut Terminal) -> Result<(), End> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    let script = text(script)?;
    if args.shell != Shell::Bash {
        return terminal.raw(&script);
    }
    // clap_complete 4.6 writes the hyphen of a program's name in two ways, so that bash would complete nothing after a
    // sub-command (clap-rs/clap#6421).
    terminal.raw(&script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__")))
}

pub(crate) fn man(args: &Man, terminal: &mut Terminal) -> Result<(), End> {
    // The help of the help says nothing.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &args.to else { return terminal.raw(&page(root)?.1) };
    #[derive(Serialize)]
    struct Written {
        pages: Vec<PathBuf>,
    }
    let mut written = Written { pages: Vec::new() };
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    write(root, folder, &mut written.pages)?;
    let names: String = written.pages.iter().map(|page| format!("{}\n", page.display())).collect();
    terminal.tell("man_pages", &written, &names)
}

/// The page of a command after those of its sub-commands.
fn write(command: Command, folder: &Path, written: &mut Vec<PathBuf>) -> Result<(), End> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write(inner.clone(), folder, written)?;
    }
    let (name, page) = page(command)?;
    let path = folder.join(name);
    std::fs::write(&path, page).map_err(|error| cannot_write(&path, &error))?;
    written.push(path);
    Ok(())
}

/// A page and the name of its file.
fn page(command: Command) -> Result<(String, String), End> {
    let more = command.get_after_help().map(ToString::to_string);
    let source = format!("{NAME} {}", env!("CARGO_PKG_VERSION"));
    // The generator would fill the lines of examples like those of a text.
    let man = clap_mangen::Man::new(command.after_help(Resettable::Reset)).source(source).manual("User Commands");
    let mut page = Vec::new();
    let rendered =
        man.render(&mut page).and_then(|()| more.map_or(Ok(()), |more| examples(&more).to_writer(&mut page)));
    rendered.map_err(|error| End::Internal(error.to_string()))?;
    // A date that is empty must be told as that (clap_mangen 0.3 does not), or the version would be taken for it.
    Ok((man.get_filename(), text(page)?.replacen(" 1  \"", " 1 \"\" \"", 1)))
}

/// The end of a help text: lines that are set in stay as they are, the rest is text.
fn examples(more: &str) -> Roff {
    let mut roff = Roff::new();
    let mut verbatim = false;
    if !more.starts_with("Examples:") {
        roff.control("SH", ["NOTES"]);
    }
    for line in more.lines() {
        if line.starts_with(' ') != verbatim {
            verbatim = !verbatim;
            roff.control(if verbatim { "nf" } else { "fi" }, []);
        }
        match line {
            "Examples:" => drop(roff.control("SH", ["EXAMPLES"])),
            "" => drop(roff.control("PP", [])),
            line => drop(roff.text([roman(line)])),
        }
    }
    if verbatim {
        roff.control("fi", []);
    }
    roff
}

fn text(bytes: Vec<u8>) -> Result<String, End> {
    String::from_utf8(bytes).map_err(|error| End::Internal(error.to_string()))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> End {
    End::Usage(format!("--to: {} cannot be written: {error}", path.display()))
}
