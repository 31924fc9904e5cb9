#!/usr/bin/env bash
# Prints every figure that this project promises, each beside its limit. Counted, not timed, where that is possible.
# Ends with 1 when a counted figure is over its limit; the CPU ratios are aims, not limits.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

limit() { # NAME VALUE LIMIT UNIT
    local verdict=ok
    if [ "$2" -gt "$3" ]; then verdict="OVER"; failed=1; fi
    printf '%-58s %9s %s (at most %s) %s\n' "$1" "$2" "$4" "$3" "$verdict"
}

echo "== sizes and allocations (core/tests/footprint.rs holds the limits)"
cargo test -q -p device-flow-core --test footprint -- --nocapture --test-threads=1 | grep -oE 'one (waiting flow|pending poll):.*' | sort -u

echo "== instructions (callgrind)"
cargo bench -q -p device-flow-core --bench poll_cost | grep -vE '^$|running|test result'

echo "== weight"
limit "crates in the normal tree of the core" \
    "$(cargo tree -p device-flow-core -e normal --prefix none | sed 's/ (\*)$//' | sort -u | wc -l)" 60 crates
cargo build -q --release -p device-flow-cli --bin device-flow
binary="${CARGO_TARGET_DIR:-target}/release/device-flow"
limit "release binary, stripped" "$(wc -c <"$binary")" $((6 * 1024 * 1024)) bytes

echo "== CPU time of a poll beside oauth2-rs, same HTTP client, same run (aim: at most 1.00)"
cargo bench -q -p device-flow-blocking --bench poll_cost | grep -vE '^$|running|test result'
cargo bench -q -p device-flow-tokio --bench poll_cost | grep -vE '^$|running|test result'
exit "$failed"
