//! Owns what may be shared between threads: of the standard library, or of `portable-atomic`, whose user says how a
//! processor without compare-and-swap does without.

#[cfg(not(feature = "portable-atomic"))]
pub(crate) use alloc::sync::Arc;
#[cfg(not(feature = "portable-atomic"))]
pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "portable-atomic")]
pub(crate) use portable_atomic::{AtomicUsize, Ordering};
#[cfg(feature = "portable-atomic")]
pub(crate) use portable_atomic_util::Arc;
