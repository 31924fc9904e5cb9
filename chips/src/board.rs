//! Owns the serial port of each board that QEMU has, from the manuals of the nRF51 (§29) and of Arm's PL011 (§3).

use device_flow_chip::Line;

/// The first serial port. Register by register, since a whole support package of the chip would be larger than this.
pub struct Uart(());

#[cfg(feature = "microbit")]
mod registers {
    pub const START_RECEIVING: usize = 0x4000_2000;
    pub const START_SENDING: usize = 0x4000_2008;
    pub const RECEIVED: usize = 0x4000_2108;
    pub const SENT: usize = 0x4000_211c;
    pub const ENABLE: usize = 0x4000_2500;
    pub const RECEIVE: usize = 0x4000_2518;
    pub const SEND: usize = 0x4000_251c;
}

#[cfg(feature = "microbit")]
impl Uart {
    pub fn start() -> Self {
        set(registers::ENABLE, 4);
        set(registers::START_RECEIVING, 1);
        set(registers::START_SENDING, 1);
        Self(())
    }
}

#[cfg(feature = "microbit")]
impl Line for Uart {
    fn write(&mut self, byte: u8) {
        set(registers::SENT, 0);
        set(registers::SEND, byte.into());
        while get(registers::SENT) == 0 {}
    }

    fn read(&mut self) -> u8 {
        while get(registers::RECEIVED) == 0 {}
        // Before the byte is taken, which lets in the next one.
        set(registers::RECEIVED, 0);
        get(registers::RECEIVE) as u8
    }
}

#[cfg(feature = "lm3s6965evb")]
mod registers {
    pub const DATA: usize = 0x4000_c000;
    pub const FLAGS: usize = 0x4000_c018;
    pub const NOTHING_RECEIVED: u32 = 1 << 4;
    pub const NO_ROOM_TO_SEND: u32 = 1 << 5;
}

#[cfg(feature = "lm3s6965evb")]
impl Uart {
    /// QEMU starts it with the port enabled.
    pub fn start() -> Self {
        Self(())
    }
}

#[cfg(feature = "lm3s6965evb")]
impl Line for Uart {
    fn write(&mut self, byte: u8) {
        while get(registers::FLAGS) & registers::NO_ROOM_TO_SEND != 0 {}
        set(registers::DATA, byte.into());
    }

    fn read(&mut self) -> u8 {
        while get(registers::FLAGS) & registers::NOTHING_RECEIVED != 0 {}
        get(registers::DATA) as u8
    }
}

fn get(register: usize) -> u32 {
    // SAFETY: an aligned register of this board, which is always there.
    unsafe { (register as *const u32).read_volatile() }
}

fn set(register: usize, value: u32) {
    // SAFETY: an aligned register of this board, which is always there.
    unsafe { (register as *mut u32).write_volatile(value) }
}
