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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test reports")]
mod tests {
    use super::*;

    // Thirty-two bytes that are the same twice come once in 2²⁵⁶ times, and those of one value once in 2²⁴⁸.
    #[test]
    fn no_two_flows_get_the_same_bytes() {
        let (one, other) = (entropy().unwrap(), entropy().unwrap());
        assert_ne!(one, other);
        assert!(one.iter().any(|byte| Some(byte) != one.first()), "{one:?}");
    }
}
