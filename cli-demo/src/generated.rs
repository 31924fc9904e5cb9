//! Owns what is made from the definition of the words: completions for shells, and manual pages.

use crate::args::{Cli, Completions, Man};
use crate::end::End;
use crate::terminal::Terminal;
use clap::{Command, CommandFactory as _};
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use std::path::{Path, PathBuf};

const NAME: &str = "device-flow";

pub(crate) fn completions(args: &Completions, terminal: &mut Terminal) -> Result<(), End> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    terminal.raw(&text(script)?)
}

pub(crate) fn man(args: &Man, terminal: &mut Terminal) -> Result<(), End> {
    // The help of the help says nothing.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &args.to else { return terminal.raw(&text(page(root)?.1)?) };
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
fn page(command: Command) -> Result<(String, Vec<u8>), End> {
    let more = command.get_after_help().map(ToString::to_string);
    let has_inner = command.get_subcommands().any(|inner| !inner.is_hide_set());
    let source = format!("{NAME} {}", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command).source(source).manual("User Commands");
    let mut page = Vec::new();
    let render = |page: &mut Vec<u8>| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        if has_inner {
            man.render_subcommands_section(page)?;
        }
        // The generator's own section for this fills the lines of examples like those of a text.
        if let Some(more) = more {
            examples(&more).to_writer(page)?;
        }
        Ok(())
    };
    render(&mut page).map_err(|error: std::io::Error| End::Internal(error.to_string()))?;
    Ok((man.get_filename(), page))
}

/// The end of a help text: lines that are set in stay as they are, the rest is text.
fn examples(more: &str) -> Roff {
    let mut roff = Roff::new();
    let mut verbatim = false;
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
