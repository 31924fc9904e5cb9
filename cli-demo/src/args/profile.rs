//! Owns the options of `profile`.

use super::{Use, examples};
use crate::completing;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

#[derive(Debug, Args)]
pub(crate) struct Profile {
    #[command(subcommand)]
    pub(crate) action: ProfileAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileAction {
    /// List the profiles, as `device-flow list` does.
    #[command(after_help = examples::PROFILE_LIST)]
    List,
    /// Show what a profile holds.
    #[command(after_help = examples::PROFILE_SHOW)]
    Show(ShowProfile),
    /// Give a profile another name. Who is signed in stays so.
    #[command(after_help = examples::PROFILE_RENAME)]
    Rename(RenameProfile),
    /// Remove a profile that nobody is signed in with.
    #[command(after_help = examples::PROFILE_REMOVE)]
    Remove(ProfileName),
    /// Choose the profile that commands use by default, as `device-flow use` does.
    #[command(after_help = examples::PROFILE_USE)]
    Use(Use),
}

#[derive(Debug, Args)]
pub(crate) struct ShowProfile {
    /// The profile [default: the current one].
    #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(completing::profiles))]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RenameProfile {
    /// The profile.
    #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(completing::profiles))]
    pub(crate) old: String,
    /// Its new name.
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileName {
    /// The profile.
    #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(completing::profiles))]
    pub(crate) name: String,
}
