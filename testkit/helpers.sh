#!/usr/bin/env bash
# Lets the real tools into servers on loopback with the token that the credential helpers give them: skopeo of Debian, pip and uv
# from PyPI, pnpm from npm. (git, kubectl and cargo are among the tests of the command line.)
#
#   testkit/helpers.sh            installs what is missing below target/helpers, then tries all
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/target/helpers
mkdir -p "$tools"
[ -x "$tools/python/bin/uv" ] || {
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install -q --disable-pip-version-check pip==26.3 uv==0.13.9
}
[ -x "$tools/node_modules/.bin/pnpm" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools" pnpm@10.34.9
cargo build -q --bin device-flow
python3 testkit/helpers.py "${CARGO_TARGET_DIR:-target}/debug" "$tools"
