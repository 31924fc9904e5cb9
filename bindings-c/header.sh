#!/usr/bin/env bash
# Makes include/device_flow.h of the sources. With --check it only says whether the header is what would be made.
# cbindgen 0.29.4: `cargo install --locked cbindgen@0.29.4`.
set -euo pipefail
cd "$(dirname "$0")"
made=$(mktemp)
trap 'rm -f "$made"' EXIT
# It says which private constants it leaves out.
cbindgen --quiet --config cbindgen.toml --crate device-flow-c --output "$made" .
if [ "${1:-}" = --check ]; then
    diff -u include/device_flow.h "$made" || { echo "the header is not that of the sources: run bindings-c/header.sh"; exit 1; }
else
    mkdir -p include
    cp "$made" include/device_flow.h
    chmod 644 include/device_flow.h
fi
