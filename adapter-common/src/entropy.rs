//! Owns the way to the system's random bytes.

/// 32 bytes from the system's random source, for [`DeviceFlow::new`](device_flow_core::DeviceFlow::new).
///
/// # Errors
/// When the system has no random bytes to give.
pub fn entropy() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
