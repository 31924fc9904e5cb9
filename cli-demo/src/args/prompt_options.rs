//! Owns the options about how the code is presented: a QR code, the clipboard, a browser.

use clap::Args;
use clap::builder::FalseyValueParser;

/// How the code is presented.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct PromptOptions {
    /// Draw the address as a QR code, for the camera of a phone.
    #[arg(long, env = "DEVICE_FLOW_QR", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) qr: bool,
    /// Copy the code to the clipboard (over SSH, to that of the terminal: OSC 52).
    #[arg(long, env = "DEVICE_FLOW_COPY", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) copy: bool,
    /// Offer to open a browser here (with Enter) even if it looks as if nobody would see it.
    #[arg(long, overrides_with = "no_open")]
    pub(crate) open: bool,
    /// Never offer to open a browser here.
    #[arg(long, overrides_with = "open")]
    pub(crate) no_open: bool,
}
