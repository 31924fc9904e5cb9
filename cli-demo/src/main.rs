//! The binary `device-flow`.

fn main() -> std::process::ExitCode {
    device_flow_cli::main()
}
