#!/usr/bin/env bash
# Runs the scripted tests of the core under Miri, which notices undefined behaviour in everything they reach (the core itself has
# no unsafe code; its dependencies have). Ends with 77 when the component cannot be had on this machine.
#
# Left out are tests that measure (footprint), and those that try thousands of inputs, which would take hours here.
set -uo pipefail
cd "$(dirname "$0")/.."
toolchain=${MIRI_TOOLCHAIN:-nightly}
export CARGO_TERM_COLOR=never MIRIFLAGS=-Zmiri-disable-isolation

rustup toolchain list | grep -q "^$toolchain" || rustup toolchain install "$toolchain" --profile minimal || exit 77
rustup component add --toolchain "$toolchain" miri rust-src || exit 77
# Its standard library, once.
cargo "+$toolchain" miri setup || exit 77

tests=()
for file in core/tests/*.rs; do
    name=$(basename "$file" .rs)
    case $name in
    footprint) ;;
    *) grep -q 'proptest!' "$file" || tests+=(--test "$name") ;;
    esac
done
[ "${#tests[@]}" -ge 10 ] || { echo "miri: only $((${#tests[@]} / 2)) files with tests were found" >&2; exit 1; }
cargo "+$toolchain" miri test -q -p device-flow-core --all-features "${tests[@]}"
