//! The client side of the OAuth 2.0 Device Authorization Grant (RFC 8628) for C and every language that can call C: the
//! machines of `device-flow-core` behind plain functions. No sockets, clocks, threads, files, callbacks or random numbers:
//! the caller sends the requests, waits, and tells the machine what happened. `include/device_flow.h` is made of this.
//!
//! # The contract of every function
//!
//! - **Handles** (`df_config`, `df_client`, `df_machine`) are made by a `…_new` function or [`df_resume`], and freed by
//!   [`df_free`]. A handle may move between threads, but only one thread at a time may use it. A client may be freed
//!   while its machines live.
//! - **Texts** are a pointer and a length, never ended by a zero byte. What is passed in is copied before the function
//!   returns, and must be UTF-8. A null pointer of length 0 is an empty text.
//! - **What comes out** belongs to the handle: see [`df_read_text`] for how long it stays.
//! - **Every function returns a [`Code`]**: `DF_CODE_OK`, `DF_CODE_NONE` (there is none), or an error, whose text is
//!   [`df_error_text`]; [`df_detail`] says more. After an error nothing has changed.
//! - **Misuse is an error, not a crash**: a null or unaligned pointer, a handle of another kind, a wrong or spent ticket, an
//!   impossible length, text that is not UTF-8. A freed handle is noticed in a debug build, until its memory serves another
//!   handle. What cannot be noticed is undefined, as everywhere in C: a pointer to memory that is not there, a length
//!   beyond its end, two threads in one handle at once.
//! - **Nothing unwinds** into the caller. The functions do not panic; were one to, the process would abort, as it does when
//!   memory runs out.
//! - **Secrets** (tokens, codes, the client's secret) are wiped when their handle is freed, and are in no error text.
#![no_std]
#![allow(clippy::missing_safety_doc, reason = "the contract above is that of every function")]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "calls")]
pub mod calls;
mod code;
mod config;
mod handle;
mod machine;
mod start;
mod text;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use code::{Code, df_error_text};
pub use config::{
    Client, Config, Setting, df_client_new, df_config_discovered, df_config_new, df_config_set, df_config_set_pair,
};
pub use handle::{Header, Str, df_detail, df_free};
pub use machine::{
    Action, ActionKind, Machine, Request, TransportError, WaitReason, df_cancel, df_next_action, df_response,
    df_snapshot, df_transport_failed,
};
pub use start::{df_discovery_new, df_flow_new, df_refresh_new, df_resume, df_revocation_new};
pub use text::{FailureKind, Number, Text, df_read_number, df_read_text};
#[cfg(target_arch = "wasm32")]
pub use wasm::{df_alloc, df_dealloc};
