//! Owns what a WebAssembly module needs beside the functions for C: memory that the host may fill with arguments, an
//! allocator, and what a panic does. No part of it is in any other build.
//!
//! A host has no pointers of its own, so it borrows memory of the module for what it passes in and for what comes out.

use crate::code::Code;
use crate::handle::array_mut;
use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;
use zeroize::Zeroize as _;

/// Aligned for every structure of the functions: 64-bit numbers are the largest that they hold.
const ALIGN: usize = 8;

/// The module has one thread, and no other allocator.
#[cfg(not(feature = "std"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// A trap: the host sees an error, and the instance must not be used again.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Borrows `len` bytes of the module's memory, aligned for every structure of the functions. Null when there is not so much,
/// or for a length of 0. Any call may make the memory grow, after which a host must look at it anew.
#[unsafe(no_mangle)]
pub extern "C" fn df_alloc(len: usize) -> *mut u8 {
    match Layout::from_size_align(len, ALIGN) {
        // SAFETY: the length is not 0.
        Ok(layout) if len > 0 => unsafe { alloc(layout) },
        Ok(_) | Err(_) => core::ptr::null_mut(),
    }
}

/// Wipes what [`df_alloc`] lent, and takes it back. `len` is the length that was asked for. Null of length 0 is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_dealloc(memory: *mut u8, len: usize) -> Code {
    let Ok(layout) = Layout::from_size_align(len, ALIGN) else { return Code::BadLength };
    // SAFETY: the caller says that so much memory is there, and that nobody else uses it.
    match unsafe { array_mut(memory, len) } {
        Ok([]) => return Code::Ok,
        Ok(bytes) => bytes.zeroize(),
        Err(code) => return code,
    }
    // SAFETY: the caller says that `df_alloc` lent it with this length, so with this layout, and the reference is gone.
    unsafe { dealloc(memory, layout) };
    Code::Ok
}
