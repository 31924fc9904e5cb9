#!/usr/bin/env bash
# Runs every test that needs only Rust, with every crate logging at trace level, and fails when a secret of the tests is
# in the output: each contains the word that testkit/src/secrets.rs owns. It also fails when something in the output
# could change a terminal, when there is too little output to be plausible, or when it would not find a secret.
set -uo pipefail
cd "$(dirname "$0")/.."

# At trace level ureq logs all bytes, of which the documentation of device-flow-blocking warns.
export RUST_LOG=trace,ureq=debug,ureq_proto=debug RUST_BACKTRACE=0 CARGO_TERM_COLOR=never
folder=${CARGO_TARGET_DIR:-target}/secrets
mkdir -p "$folder"

# The word as it is, in base64 after zero, one or two bytes, and in hexadecimal.
secrets_in() { grep -aniE 'canary|63616e617279' "$1" || grep -anE 'Y2FuYXJ5|NhbmFye|jYW5hcn' "$1"; }

# Control characters except line feeds, tabs and carriage returns before a line feed; C1, bidirectional and
# line-breaking ones.
terminal_in() { LC_ALL=C grep -anP '[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r.|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]' "$1"; }

fail() {
    echo "secrets: $*" >&2
    exit 1
}

# It must find a secret in each form, and the one that a test prints on purpose.
for leak in AT-canary 'xCANARYx' "$(printf canary | base64)" "$(printf :canary | base64)" "$(printf a:canary | base64)" 63616E617279; do
    printf 'before\nx %s x\nafter\n' "$leak" >"$folder/check"
    secrets_in "$folder/check" >/dev/null || fail "would not find $leak"
done
for harm in '\x1b[2J' '\x07' 'a\rb' '\xe2\x80\xae' '\xc2\x9b' '\xe2\x80\xa8'; do
    printf "before\nx $harm x\nafter\n" >"$folder/check"
    terminal_in "$folder/check" >/dev/null || fail "would not find $harm"
done
cargo test --test secrets -- --ignored --nocapture >"$folder/check" 2>&1 ||
    fail "the test that prints a secret on purpose does not run"
[ "$(secrets_in "$folder/check" | wc -l)" -ge 2 ] || fail "the test that prints and logs a secret on purpose is not noticed"

# The whole workspace, which turns on all features of the core.
cargo test -- --nocapture >"$folder/output" 2>&1 || {
    grep -aE -A3 'panicked at|^error' "$folder/output" | tail -n 20
    fail "a test failed; the output is in $folder/output"
}

tests=$(grep -aoE '^test result: ok\. [0-9]+' "$folder/output" | awk '{ sum += $4 } END { print sum + 0 }')
records=$(grep -acE '(TRACE|DEBUG) ' "$folder/output")
bytes=$(wc -c <"$folder/output")
found=$(secrets_in "$folder/output") && { echo "$found" | cut -c1-300; fail "there are secrets in the output of the tests, in $folder/output"; }
found=$(terminal_in "$folder/output") && { echo "$found" | cut -c1-300 | cat -v; fail "the output of the tests could change a terminal"; }
[ "$tests" -ge 300 ] || fail "only $tests tests ran"
[ "$records" -ge 1000 ] || fail "only $records records were logged"
echo "secrets: none in $bytes bytes of output, with $records records of logging, from $tests tests"
