//! Owns what a function returns: the codes, their texts, and the detail that a handle keeps of its last error.

use crate::handle::{Str, out};
use alloc::boxed::Box;
use alloc::string::ToString;

/// What became of a call. 0 and above is no error.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// There is no such text, number or snapshot now.
    None = 1,
    /// A pointer that is null, or not aligned for what it points to.
    BadPointer = -1,
    /// A handle that is not one of this kind, or that was freed.
    BadHandle = -2,
    /// A length that no memory can have, or entropy that is not 32 bytes long.
    BadLength = -3,
    /// A text that is not UTF-8.
    BadText = -4,
    /// A ticket that the machine does not wait for. The machine is unchanged.
    BadTicket = -5,
    /// A status that is not from 100 to 999. The machine is unchanged, and still waits for the answer.
    BadStatus = -6,
    /// A number that stands for nothing here: a setting, a kind of failure, a text.
    BadArgument = -7,
    /// A configuration that cannot work. `df_detail` says what to change.
    BadConfig = -8,
    /// A stored sign-in that cannot be resumed. `df_detail` says why.
    BadSnapshot = -9,
}

impl Code {
    pub(crate) const ALL: [Self; 11] = [
        Self::Ok,
        Self::None,
        Self::BadPointer,
        Self::BadHandle,
        Self::BadLength,
        Self::BadText,
        Self::BadTicket,
        Self::BadStatus,
        Self::BadArgument,
        Self::BadConfig,
        Self::BadSnapshot,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::None => "there is none",
            Self::BadPointer => "a pointer is null or not aligned",
            Self::BadHandle => "this is not a handle of the kind that is needed here, or it was freed",
            Self::BadLength => "this length is impossible here",
            Self::BadText => "this text is not UTF-8",
            Self::BadTicket => {
                "this ticket is not the one that this machine waits for: hand every answer to the machine that asked, once"
            }
            Self::BadStatus => "this is not an HTTP status: without an answer, call df_transport_failed",
            Self::BadArgument => "this number stands for nothing here",
            Self::BadConfig => "this configuration cannot work",
            Self::BadSnapshot => "this stored sign-in cannot be resumed",
        }
    }
}

/// Why a call was refused.
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// Safe to print; empty where the code says all.
    pub(crate) detail: Box<str>,
}

impl Refused {
    pub(crate) fn new(code: Code, detail: &impl ToString) -> Self {
        Self { code, detail: detail.to_string().into_boxed_str() }
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { code, detail: Box::default() }
    }
}

impl From<device_flow_core::ConfigError> for Refused {
    fn from(error: device_flow_core::ConfigError) -> Self {
        Self::new(Code::BadConfig, &error)
    }
}

/// The text of a code, for a person who writes programs. It lives forever. `DF_CODE_BAD_ARGUMENT` for a number that is
/// no code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_error_text(code: i32, text: *mut Str) -> Code {
    // SAFETY: the caller keeps the contract.
    let text = match unsafe { out(text) } {
        Ok(text) => text,
        Err(code) => return code,
    };
    match Code::ALL.into_iter().find(|known| *known as i32 == code) {
        Some(known) => {
            text.write(Str::of(known.text()));
            Code::Ok
        }
        None => Code::BadArgument,
    }
}
