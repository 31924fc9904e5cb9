//! Owns the proof that the core and the functions for C need no std: a whole sign-in in a program that has none.
#![no_std]
#![forbid(unsafe_code)]

use device_flow_c as _;
use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider, Response, Timestamp};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Firmware would send the requests and wait; here it is enough that all of it links.
pub fn sign_in(answer: &[u8], entropy: [u8; 32]) -> bool {
    let Ok(client) = Client::builder(Provider::github(), "firmware").build() else { return false };
    let mut flow = DeviceFlow::new(client, entropy);
    let mut now = Timestamp::ZERO;
    loop {
        match flow.next_action(now) {
            Action::SendRequest(outgoing) => {
                if flow.response(outgoing.ticket, Response::new(200, answer), now).is_err() {
                    return false;
                }
            }
            Action::Wait { until, .. } => now = until,
            Action::ShowCode(_) | Action::AwaitResponse => {}
            Action::Done(outcome) => return outcome.is_ok() && flow.snapshot(now).is_none(),
            Action::Ended => return false,
        }
    }
}
