//! Owns the start of the firmware and its memory: the heap, the stack, and what happens in a panic.
#![no_std]
#![no_main]

mod board;

use board::Uart;
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::{AtomicUsize, Ordering};
use device_flow_chip::{Line as _, Memory, sign_in};
use embedded_alloc::LlffHeap;

/// Little more than the most that a sign-in takes.
const HEAP_SIZE: usize = 4 * 1_024;
static mut HEAP: [MaybeUninit<u8>; HEAP_SIZE] = [MaybeUninit::uninit(); HEAP_SIZE];

#[global_allocator]
static ALLOCATOR: Counted = Counted { heap: LlffHeap::empty(), most: AtomicUsize::new(0) };

/// A heap that remembers the most that was in use.
struct Counted {
    heap: LlffHeap,
    most: AtomicUsize,
}

// SAFETY: all memory is that of the heap inside.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract, which is the same.
        let block = unsafe { self.heap.alloc(layout) };
        // Not `fetch_max`, which a Cortex-M0 lacks. Nothing interrupts: no interrupt is enabled.
        self.most.store(self.heap.used().max(self.most.load(Ordering::Relaxed)), Ordering::Relaxed);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { self.heap.dealloc(block, layout) }
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: once, before anything is allocated, and nothing else uses this memory.
    unsafe { ALLOCATOR.heap.init(addr_of_mut!(HEAP) as usize, HEAP_SIZE) }
    sign_in(Uart::start(), || Memory {
        heap: ALLOCATOR.heap.used(),
        most_heap: ALLOCATOR.most.load(Ordering::Relaxed),
        most_stack: most_stack(),
    });
    loop {
        cortex_m::asm::wfi();
    }
}

/// The stack grows down over memory that was painted before `main`: the lowest word that is not is its end.
fn most_stack() -> usize {
    unsafe extern "C" {
        // Of the link script: the addresses are what they say, there is nothing there.
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, mut word) = (addr_of!(_stack_start), addr_of!(_stack_end));
    // SAFETY: these are addresses of RAM, and every word below the stack was written.
    while word < top && unsafe { word.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    top as usize - word as usize
}

/// Says where, and stops. A full heap ends here as well. The text would bring in all that formats one.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut uart = Uart::start();
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    b"panicked in ".iter().chain(file.as_bytes()).chain(b" ").for_each(|byte| uart.write(*byte));
    (0..6).rev().for_each(|digit| uart.write(b'0' + (line / 10_u32.pow(digit) % 10) as u8));
    uart.write(b'\n');
    loop {
        cortex_m::asm::wfi();
    }
}
