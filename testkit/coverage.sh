#!/usr/bin/env bash
# Measures how much of core/src is covered by the tests of the core, prints every file and the lines without coverage,
# and fails below 98 % of the lines. No line is excluded. Installs what it needs: the component llvm-tools and
# cargo-llvm-cov.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

rustup component add llvm-tools || exit 1
command -v cargo-llvm-cov >/dev/null || cargo install -q --locked --debug cargo-llvm-cov || exit 1
cargo llvm-cov test -q -p device-flow-core --all-features --tests --show-missing-lines --fail-under-lines 98
