//! Owns the serial port of the board: a micro:bit, whose chip is an nRF51 with a Cortex-M0, 256 KiB of flash and 16 KiB of RAM
//! (nRF51 Series Reference Manual §29). QEMU has it, too.

use device_flow_chip::Line;

const START_RECEIVING: usize = 0x4000_2000;
const START_SENDING: usize = 0x4000_2008;
const RECEIVED: usize = 0x4000_2108;
const SENT: usize = 0x4000_211c;
const ENABLE: usize = 0x4000_2500;
const RECEIVE: usize = 0x4000_2518;
const SEND: usize = 0x4000_251c;

/// The serial port, register by register: a support package of the chip would be larger than all of this. QEMU asks for
/// neither pins nor a speed, which a real board must be told first.
pub struct Uart(());

impl Uart {
    pub fn start() -> Self {
        set(ENABLE, 4);
        set(START_RECEIVING, 1);
        set(START_SENDING, 1);
        Self(())
    }
}

impl Line for Uart {
    fn write(&mut self, byte: u8) {
        set(SENT, 0);
        set(SEND, byte.into());
        while get(SENT) == 0 {}
    }

    fn read(&mut self) -> u8 {
        while get(RECEIVED) == 0 {}
        // Before the byte is taken, which lets in the next one.
        set(RECEIVED, 0);
        get(RECEIVE).to_le_bytes()[0]
    }
}

fn get(register: usize) -> u32 {
    // SAFETY: an aligned register of this chip, which is always there.
    unsafe { (register as *const u32).read_volatile() }
}

fn set(register: usize, value: u32) {
    // SAFETY: an aligned register of this chip, which is always there.
    unsafe { (register as *mut u32).write_volatile(value) }
}
