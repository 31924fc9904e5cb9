#!/usr/bin/env bash
# Lets the real tools into servers on loopback with the token that the credential helpers give them: skopeo of Debian, pip and uv
# from PyPI, two versions of pnpm from npm, and crane from the Go proxy where there is a Go that is new enough. (git, kubectl
# and cargo are among the tests of the command line.)
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
[ -x "$tools/newest/node_modules/.bin/pnpm" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools/newest" pnpm@12.21.0
# Debian 12 has Go 1.19.
crane=v0.22.1 needs=1.25.0
has=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || has=none
if [ ! -x "$tools/crane" ]; then
    if [ "$has" != none ] && printf '%s\n' "$needs" "${has#go}" | sort --check=quiet --version-sort; then
        GOTOOLCHAIN=local GOBIN=$tools CGO_ENABLED=0 go install -trimpath \
            "github.com/google/go-containerregistry/cmd/crane@$crane"
    else
        echo "SKIPPED: crane $crane needs Go $needs, here is $has"
    fi
fi
cargo build -q --bin device-flow
python3 testkit/helpers.py "${CARGO_TARGET_DIR:-target}/debug" "$tools"
