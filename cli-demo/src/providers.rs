//! Owns the sub-command `providers`: the servers that are known by name, and the options that each of them takes.

use crate::args::Providers;
use crate::run_error::RunError;
use crate::terminal::Terminal;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use device_flow_tokio::{Need, Preset};
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    providers: Vec<Provider>,
}

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    about: &'static str,
    /// The options it takes; one without a default must be given.
    takes: Vec<Taken>,
}

#[derive(Serialize)]
struct Taken {
    option: String,
    about: &'static str,
    default: Option<&'static str>,
    /// The only values that it can have; empty: any.
    choices: Vec<&'static str>,
}

pub(crate) fn list(args: &Providers, terminal: &mut Terminal) -> Result<(), RunError> {
    let presets: Vec<_> = match args.name.as_deref() {
        Some(name) => vec![Preset::find(name).ok_or_else(|| unknown(name))?],
        None => Preset::all().iter().collect(),
    };
    let providers = presets.iter().map(|preset| Provider {
        name: preset.name(),
        about: preset.about(),
        takes: preset.needs().iter().map(Taken::from).collect(),
    });
    let mut text = text(&presets);
    if args.name.is_none() {
        text += "Any other server that publishes metadata: --issuer URL\n";
    }
    terminal.result("providers", &Listed { providers: providers.collect() }, &text)
}

/// Whether this mistake on the command line is `--provider list`.
pub(crate) fn are_asked_for(error: &clap::Error) -> bool {
    let is = |kind, text| matches!(error.get(kind), Some(ContextValue::String(value)) if value == text);
    error.kind() == ErrorKind::InvalidValue
        && is(ContextKind::InvalidArg, "--provider <NAME>")
        && is(ContextKind::InvalidValue, "list")
}

fn unknown(name: &str) -> RunError {
    let names: Vec<_> = Preset::all().iter().map(Preset::name).collect();
    RunError::Usage(format!("{name:?} is no provider. There are: {}", names.join(", ")))
}

/// One paragraph each: what it is, what must be given, what may be.
fn text(presets: &[&'static Preset]) -> String {
    let mut text = String::new();
    for preset in presets {
        text += &format!("{}: {}\n", preset.name(), preset.about());
        for need in preset.needs() {
            let option = format!("--{}", need.name());
            text += &match need.default() {
                None => format!("  {option}  {}\n", need.about()),
                Some("") => format!("  [{option}]  {}\n", need.about()),
                Some(default) => format!("  [{option}]  {} (default: {default})\n", need.about()),
            };
        }
    }
    text
}

impl From<&Need> for Taken {
    fn from(need: &Need) -> Self {
        Self {
            option: format!("--{}", need.name()),
            about: need.about(),
            default: need.default(),
            choices: need.choices().iter().map(|(word, _)| *word).collect(),
        }
    }
}
