//! Owns every raw pointer that C hands in: handles, texts, arrays and places for results, each checked as far as a pointer
//! can be.
//!
//! What cannot be checked is the contract of the first page: a pointer that is neither null nor unaligned points to as
//! much memory as its length says, which nobody else writes to during the call; a handle was made here, and in a build
//! that keeps no list of the live ones it was not freed.

use crate::code::{Code, Refused};
use alloc::boxed::Box;
use core::ffi::{c_char, c_void};
use core::mem::MaybeUninit;
use core::ptr;

/// A text that came from here. Not ended by a zero byte.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Its first byte; never null, but in a request that is none.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

impl Str {
    pub(crate) const NULL: Self = Self { data: ptr::null(), len: 0 };

    pub(crate) fn of(text: &str) -> Self {
        Self::bytes(text.as_bytes())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), len: bytes.len() }
    }
}

/// A header of a request or an answer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The name, in any letter case.
    pub name: *const c_char,
    /// The number of bytes of the name.
    pub name_len: usize,
    /// The value, any bytes.
    pub value: *const c_char,
    /// The number of bytes of the value.
    pub value_len: usize,
}

impl Header {
    pub(crate) fn of(name: &str, value: &str) -> Self {
        let (name, value) = (Str::of(name), Str::of(value));
        Self { name: name.data, name_len: name.len, value: value.data, value_len: value.len }
    }
}

/// A kind of handle.
pub(crate) trait Handle {
    /// What it stands for.
    type Inside;
    /// No other kind has it, and no memory that is all zeros or all ones.
    const KIND: u32;
}

/// What all handles begin with, so that their kind can be read before it is known.
#[repr(C)]
pub(crate) struct Head {
    kind: u32,
    free: unsafe fn(*mut c_void),
    /// The last error of a call with this handle.
    last: Option<Refused>,
}

/// What a handle points to.
#[repr(C)]
struct Slot<T> {
    head: Head,
    inside: T,
}

/// A new handle.
pub(crate) fn give<H: Handle>(inside: H::Inside) -> *mut H {
    let head = Head { kind: H::KIND, free: free_as::<H>, last: None };
    let handle = Box::into_raw(Box::new(Slot { head, inside }));
    live::add(handle.cast());
    handle.cast()
}

/// # Safety
/// The pointer came from [`give`] for this kind of handle, and is used no more.
unsafe fn free_as<H: Handle>(handle: *mut c_void) {
    // SAFETY: `give` made it of such a box.
    drop(unsafe { Box::from_raw(handle.cast::<Slot<H::Inside>>()) });
}

/// # Safety
/// The contract of this file.
unsafe fn head<'a>(handle: *mut c_void) -> Result<&'a mut Head, Code> {
    let head = handle.cast::<Head>();
    if head.is_null() || !head.is_aligned() {
        return Err(Code::BadPointer);
    }
    if !live::has(handle) {
        return Err(Code::BadHandle);
    }
    // SAFETY: a handle points to a slot, which begins with its head.
    Ok(unsafe { &mut *head })
}

/// Calls `act` with what the handle stands for, and keeps the reason of a refusal in the handle.
///
/// # Safety
/// The contract of this file.
pub(crate) unsafe fn with<H: Handle>(handle: *mut H, act: impl FnOnce(&mut H::Inside) -> Result<(), Refused>) -> Code {
    // SAFETY: as the caller says. No other reference into the slot is alive: those that functions hand out are pointers.
    match unsafe { head(handle.cast()) } {
        Ok(head) if head.kind == H::KIND => {}
        Ok(_) => return Code::BadHandle,
        Err(code) => return code,
    }
    // SAFETY: the kind says that it is such a slot.
    let slot = unsafe { &mut *handle.cast::<Slot<H::Inside>>() };
    match act(&mut slot.inside) {
        Ok(()) => Code::Ok,
        Err(refused) => {
            let code = refused.code;
            if code != Code::None {
                slot.head.last = Some(refused);
            }
            code
        }
    }
}

/// A place for a result.
///
/// # Safety
/// The contract of this file.
pub(crate) unsafe fn out<'a, T>(place: *mut T) -> Result<&'a mut MaybeUninit<T>, Code> {
    let place = place.cast::<MaybeUninit<T>>();
    if place.is_null() || !place.is_aligned() {
        return Err(Code::BadPointer);
    }
    // SAFETY: the caller says that there is room for a value, which need not be one yet.
    Ok(unsafe { &mut *place })
}

/// A place for a handle, which holds null from now on.
///
/// # Safety
/// The contract of this file.
pub(crate) unsafe fn out_handle<'a, H>(place: *mut *mut H) -> Result<&'a mut *mut H, Code> {
    // SAFETY: as the caller says.
    unsafe { out(place) }.map(|place| place.write(ptr::null_mut()))
}

/// The elements of an array. Their pointers are not checked by this.
///
/// # Safety
/// The contract of this file.
pub(crate) unsafe fn array<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Code> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || !first.is_aligned() {
        return Err(Code::BadPointer);
    }
    // No memory is larger than isize::MAX bytes.
    if count > (usize::MAX >> 1) / size_of::<T>() {
        return Err(Code::BadLength);
    }
    // SAFETY: the caller says that so many elements are there.
    Ok(unsafe { core::slice::from_raw_parts(first, count) })
}

/// The bytes of memory that the caller lends, to be written: all of it holds values.
///
/// # Safety
/// The contract of this file.
#[cfg(target_arch = "wasm32")]
pub(crate) unsafe fn array_mut<'a>(first: *mut u8, count: usize) -> Result<&'a mut [u8], Code> {
    // SAFETY: as the caller says. This checks the pointer and the length, and its reference ends here.
    if unsafe { array(first.cast_const(), count) }?.is_empty() {
        return Ok(&mut []);
    }
    // SAFETY: as the caller says, nobody else uses it.
    Ok(unsafe { core::slice::from_raw_parts_mut(first, count) })
}

/// # Safety
/// The contract of this file.
pub(crate) unsafe fn text<'a>(data: *const c_char, len: usize) -> Result<&'a str, Code> {
    // SAFETY: as the caller says.
    core::str::from_utf8(unsafe { array(data.cast::<u8>(), len) }?).map_err(|_| Code::BadText)
}

/// What was wrong with the last call with this handle that returned an error: safe to print, for a person who writes or
/// configures programs. `DF_CODE_NONE` before the first error. It stays until the next call with the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_detail(handle: *mut c_void, detail: *mut Str) -> Code {
    // SAFETY: the caller keeps the contract.
    let (head, place) = match unsafe { (head(handle), out(detail)) } {
        (Ok(head), Ok(place)) if is_kind(head.kind) => (head, place),
        (Err(code), _) | (_, Err(code)) => return code,
        (Ok(_), Ok(_)) => return Code::BadHandle,
    };
    let Some(last) = &head.last else { return Code::None };
    place.write(Str::of(if last.detail.is_empty() { last.code.text() } else { &last.detail }));
    Code::Ok
}

/// Frees a handle of any kind, and wipes its secrets. Null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_free(handle: *mut c_void) -> Code {
    if handle.is_null() {
        return Code::Ok;
    }
    // SAFETY: the caller keeps the contract.
    let free = match unsafe { head(handle) } {
        Ok(head) if is_kind(head.kind) => {
            // What is left of it in a build without a list of live handles is no handle.
            head.kind = 0;
            head.free
        }
        Ok(_) => return Code::BadHandle,
        Err(code) => return code,
    };
    live::remove(handle);
    // SAFETY: the head says how it was made.
    unsafe { free(handle) };
    Code::Ok
}

fn is_kind(kind: u32) -> bool {
    [crate::Config::KIND, crate::Client::KIND, crate::Machine::KIND].contains(&kind)
}

/// The handles that were not freed. It costs a lock and a look-up for each call, so only a debug build has it.
#[cfg(all(feature = "std", debug_assertions))]
pub(crate) mod live {
    use core::ffi::c_void;
    use std::collections::BTreeSet;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    static LIVE: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

    fn list() -> MutexGuard<'static, BTreeSet<usize>> {
        LIVE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(handle: *mut c_void) {
        list().insert(handle.addr());
    }

    pub(crate) fn has(handle: *mut c_void) -> bool {
        list().contains(&handle.addr())
    }

    pub(crate) fn remove(handle: *mut c_void) {
        list().remove(&handle.addr());
    }
}

#[cfg(not(all(feature = "std", debug_assertions)))]
mod live {
    use core::ffi::c_void;

    pub(crate) fn add(_: *mut c_void) {}

    pub(crate) fn has(_: *mut c_void) -> bool {
        true
    }

    pub(crate) fn remove(_: *mut c_void) {}
}
