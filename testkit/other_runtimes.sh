#!/usr/bin/env bash
# Runs the examples on other runtimes: a thousand sign-ins in a loop that is stepped by hand, and one on smol, which the demo
# server judges.
set -euo pipefail
cd "$(dirname "$0")/.."
built=${CARGO_TARGET_DIR:-target}/debug
cargo build -q --bin device-flow --example game_loop --example smol

"$built/examples/game_loop"
exec 3< <(exec "$built/device-flow" demo --serve --judge --decide approve --interval 1s --json)
server=$!
trap 'kill "$server" 2>/dev/null || :' EXIT
read -r url <&3
url=${url#*\"base_url\":\"}
timeout 60 "$built/examples/smol" "${url%%\"*}"
# It judges a sign-in that is over when it is told to end.
kill "$server"
verdict=$(grep '"event":"verdict"' <&3)
[[ $verdict == *'"end":"signed_in"'* && $verdict == *'"kept"'* && $verdict != *'"broken"'* ]] || { echo "$verdict"; exit 1; }
echo "the demo server judges that smol's sign-in broke no rule"
