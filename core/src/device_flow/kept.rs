//! Owns the block of memory that a flow keeps while its code lives: the texts of the prompt, and the end of every poll's
//! body.

use crate::prompt::PromptTexts;
use alloc::boxed::Box;
use zeroize::Zeroizing;

/// One block of memory, which costs less than one for each text. Its first byte says whether there is a prompt; if so, its
/// texts begin behind the [`HEAD`]. The tail is the rest.
pub(super) struct Kept(Zeroizing<Box<[u8]>>);

/// That byte, four lengths of two bytes each, and the warnings.
const HEAD: usize = 10;
/// Values of that byte.
const NO_PROMPT: u8 = 0;
const PROMPT: u8 = 1;
const PROMPT_ONCE: u8 = 2;

impl Kept {
    /// `tail`: the device code, form-encoded, and what follows it in the body of every poll.
    pub(super) fn new(prompt: Option<&PromptTexts>, tail: &[&[u8]]) -> Self {
        let Some(PromptTexts { text, ends, warnings }) = prompt else {
            return Self::of(&[&[NO_PROMPT]], tail);
        };
        // Cannot saturate: the limits of the texts add up to 7 KiB.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
        let [code, uri, complete] = ends.map(u16::to_le_bytes);
        Self::of(&[&[PROMPT], &length, &code, &uri, &complete, &[*warnings], text.as_bytes()], tail)
    }

    /// In one allocation, so that nothing is left behind.
    fn of(head: &[&[u8]], tail: &[&[u8]]) -> Self {
        Self(Zeroizing::new([head, tail].concat().concat().into_boxed_slice()))
    }

    /// The device code, form-encoded, and what follows it in the body of every poll.
    pub(super) fn tail(&self) -> &[u8] {
        let start = match **self.0 {
            [PROMPT | PROMPT_ONCE, low, high, ..] => HEAD.saturating_add(u16::from_le_bytes([low, high]).into()),
            _ => 1,
        };
        self.0.get(start..).unwrap_or_default()
    }

    /// The texts of the prompt, unless they are gone.
    pub(super) fn prompt(&self) -> Option<PromptTexts> {
        let ([PROMPT | PROMPT_ONCE, head @ .., warnings], rest) = self.0.split_first_chunk::<HEAD>()? else {
            return None;
        };
        let [a, b, c, d, e, f, g, h] = *head;
        let [length, code, uri, complete] = [[a, b], [c, d], [e, f], [g, h]].map(u16::from_le_bytes);
        let text = core::str::from_utf8(rest.get(..length.into())?).ok()?;
        Some(PromptTexts { text: text.into(), ends: [code, uri, complete], warnings: *warnings })
    }

    /// The prompt will be shown once.
    pub(super) fn show_once(&mut self) {
        if let [first @ PROMPT, ..] = &mut **self.0 {
            *first = PROMPT_ONCE;
        }
    }

    /// The prompt is shown. Gives back the memory of its texts if that was for the only time.
    pub(super) fn shown(&mut self) {
        if let [PROMPT_ONCE, ..] = **self.0 {
            *self = Self::new(None, &[self.tail()]);
        }
    }
}
