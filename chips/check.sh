#!/usr/bin/env bash
# Builds the firmware and has it sign in under QEMU (drive.py), where what it needs of flash and RAM is held to limits; for
# RISC-V it is compiled. With `largest` it also prints what is largest in it. Ends with 77 when rustup cannot bring the
# targets.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
target=thumbv6m-none-eabi
firmware=$CARGO_TARGET_DIR/$target/release/device-flow-chip

rustup target add "$target" riscv32imc-unknown-none-elf || exit 77
cargo fmt --check
cargo build -q --locked --release --target "$target"
[ "${1:-}" != largest ] || nm --print-size --size-sort --reverse-sort --demangle "$firmware" | sed -n 1,60p
cargo build -q --locked --release --target riscv32imc-unknown-none-elf --lib
cargo build -q --manifest-path ../Cargo.toml --bin device-flow
./drive.py "$firmware" "$CARGO_TARGET_DIR/debug/device-flow"
