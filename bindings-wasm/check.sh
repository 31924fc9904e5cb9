#!/usr/bin/env bash
# Everything about the WebAssembly module: its size, whole sign-ins from Node on the demo server, scripts in virtual time, the
# example of its README, and a page in Chromium. Exit status 77: the target cannot be had here.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never
target=${CARGO_TARGET_DIR:-$PWD/target}
export DEVICE_FLOW_WASM=$target/wasm DEVICE_FLOW=$target/debug/device-flow
server=
ended() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    # Of all that ran here; a file, because a subshell has times of its own.
    times >"$target/wasm/times" && awk 'NR == 2 { print "WebAssembly: processor time of all steps, user and system: " $1 " " $2 }' "$target/wasm/times"
}
trap ended EXIT

. testkit/need.sh
need node nodejs
need chromium chromium

echo "== the module"
bindings-wasm/build.sh
cargo build -q --bin device-flow

echo "== the example of the README, with Node $(node --version)"
awk '/^```js/ { inside = 1; next } /^```/ { inside = 0 } inside' bindings-wasm/README.md >"$target/wasm/example.js"
"$DEVICE_FLOW" demo --serve --decide approve --interval 1s --json >"$target/wasm/demo.out" &
server=$!
issuer=
for _ in $(seq 100); do
    issuer=$(sed -n 's/.*"base_url":"\([^"]*\)".*/\1/p' "$target/wasm/demo.out")
    [ -z "$issuer" ] || break
    sleep 0.1
done
[ -n "$issuer" ] || { echo "the demo server did not start"; exit 1; }
said=$(timeout 60 node "$target/wasm/example.js" "$issuer" example)
echo "$said"
grep -q '^Signed in: a token of [0-9]* characters for 3600 s, scope openid profile$' <<<"$said"

echo "== Node's test runner, with a page in Chromium"
timeout 300 node --test bindings-wasm/tests/*.test.js
