//! Owns what is generated from the definition of the command line: completion scripts and manual pages.

use crate::args::{Cli, Completions, Man};
use crate::completing;
use crate::manual;
use crate::run_error::RunError;
use crate::terminal::Terminal;
use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use std::path::{Path, PathBuf};

const NAME: &str = "device-flow";

pub(crate) fn completions(args: &Completions, terminal: &mut Terminal) -> Result<(), RunError> {
    terminal.raw(&completing::script(&args.shell.to_string())?)
}

pub(crate) fn man(args: &Man, terminal: &mut Terminal) -> Result<(), RunError> {
    // `help` needs no page of its own.
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
    terminal.result("man_pages", &written, &names)
}

/// The pages of the sub-commands, and then the page of the command itself.
fn write(command: Command, folder: &Path, written: &mut Vec<PathBuf>) -> Result<(), RunError> {
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
fn page(command: Command) -> Result<(String, String), RunError> {
    let more = command.get_after_help().map(ToString::to_string);
    let source = format!("{NAME} {}", env!("CARGO_PKG_VERSION"));
    // The generator would fill the lines of examples like running text.
    let man = clap_mangen::Man::new(command.after_help(Resettable::Reset)).source(source).manual("User Commands");
    let mut page = Vec::new();
    let is_root = man.get_filename() == format!("{NAME}.1");
    let rendered = man
        .render(&mut page)
        .and_then(|()| if is_root { manual::sections().to_writer(&mut page) } else { Ok(()) })
        .and_then(|()| more.map_or(Ok(()), |more| examples(&more).to_writer(&mut page)));
    rendered.map_err(|error| RunError::Internal(error.to_string()))?;
    // An empty date needs quotes (clap_mangen 0.3 writes none), or the version would be in its place.
    Ok((man.get_filename(), text(page)?.replacen(" 1  \"", " 1 \"\" \"", 1)))
}

/// The end of a help text: indented lines stay as they are, the rest is running text.
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

fn text(bytes: Vec<u8>) -> Result<String, RunError> {
    String::from_utf8(bytes).map_err(|error| RunError::Internal(error.to_string()))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> RunError {
    RunError::Usage(format!("--to: {} cannot be written: {error}", path.display()))
}
