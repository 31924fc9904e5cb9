#!/usr/bin/env bash
# Runs the scripted tests of the core and those of the functions for C under Miri, which notices undefined behaviour in
# everything that they reach (the core has no unsafe code, but its dependencies have). Ends with 77 when the component is not available for this
# machine.
set -uo pipefail
cd "$(dirname "$0")/.."
toolchain=${MIRI_TOOLCHAIN:-nightly}
export CARGO_TERM_COLOR=never MIRIFLAGS=-Zmiri-disable-isolation

rustup toolchain list | grep -q "^$toolchain" || rustup toolchain install "$toolchain" --profile minimal || exit 77
rustup component add --toolchain "$toolchain" miri rust-src || exit 77
# Builds its standard library, once.
cargo "+$toolchain" miri setup || exit 77

# The scripts of whole sign-ins. The other files try sizes and thousands of inputs, which would take hours under Miri.
# Miri has one thread, so some run beside the others.
miri() { cargo "+$toolchain" miri test -q -p "device-flow-$1" "${@:2}"; }
core=(core --all-features --test core_tests) bindings=(c --features calls --test c_tests)
miri "${core[@]}" --no-run && miri "${bindings[@]}" --no-run || exit 1
miri "${core[@]}" -- polling_law:: & one=$!
miri "${bindings[@]}" || failed=1
miri "${core[@]}" -- machine:: snapshot:: error_text:: || failed=1
wait "$one" && [ -z "${failed:-}" ]
