#!/usr/bin/env bash
# Owns the trial of other clients on the demo server: their installation, at pinned versions, and the matrix of what
# each does when it is approved, denied, slowed down, cut off, and left alone.
#
#   testkit/other_clients.sh           prints the matrix, and fails when docs/other-clients.md has another one
#   testkit/other_clients.sh --print   only prints it
#
# openid-client (npm), golang.org/x/oauth2 (Go modules) and oauth2-rs (crates.io) are installed into target/; Authlib is
# that of testkit/servers. Most of its minute and a half is waiting. Ends with 77 and the reason where a toolchain is
# missing.
set -euo pipefail
cd "$(dirname "$0")/.."
into=${CARGO_TARGET_DIR:-$PWD/target}/other_clients
servers=${DEVICE_FLOW_SERVERS:-$PWD/target/servers}

cannot() {
    echo "other clients are not tried: $1"
    exit 77
}

command -v node >/dev/null && command -v npm >/dev/null || cannot "openid-client needs node and npm"
command -v python3 >/dev/null || cannot "Authlib needs python3"
command -v go >/dev/null || cannot "golang.org/x/oauth2 needs Go"
needs=$(sed -n 's/^go //p' testkit/other_clients/go/go.mod)
has=$(GOTOOLCHAIN=local go env GOVERSION)
printf '%s\n' "$needs" "${has#go}" | sort --check=quiet --version-sort ||
    cannot "golang.org/x/oauth2 needs Go $needs, this is ${has#go}"

testkit/servers/install.sh
mkdir -p "$into"
cp testkit/other_clients/{package.json,package-lock.json,openid_client.mjs} "$into"
(cd "$into" && npm ci --silent --no-audit --no-fund --ignore-scripts)
(cd testkit/other_clients/go &&
    GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$into/go-oauth2" .)
cargo build -q --bin device-flow --example oauth2_rs

debug=${CARGO_TARGET_DIR:-$PWD/target}/debug
python3 testkit/other_clients/run.py "$debug/device-flow" "$debug/examples/oauth2_rs" "$into" "$servers/venv" \
    "$into/go-oauth2" "$@"
