//! Owns what pnpm reads of a `tokenHelper`: one line, the whole value of the header, which every version of it understands.

use crate::args::{Global, Npm};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Purpose;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::token::{bearer_token, valid_token};
use zeroize::Zeroizing;

pub(crate) async fn npm(args: Npm, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let (_, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let valid = valid_token(&session, args.requirements, terminal).await?;
    terminal.raw(&Zeroizing::new(format!("Bearer {}\n", bearer_token(&valid)?)))
}
