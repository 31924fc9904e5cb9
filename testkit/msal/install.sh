#!/usr/bin/env bash
# Owns the installation of MSAL for Python and for Node with their extensions, from the package registries, at the
# pinned versions.
#
# usage: install.sh          into $DEVICE_FLOW_MSAL, by default <workspace>/target/msal
# needs: node (20 or newer) with npm, python3 (3.9 or newer) with venv
#
# Leaves there node_modules/ and venv/. Does nothing when they are up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sources=$PWD
into=${DEVICE_FLOW_MSAL:-$sources/../../target/msal}
. ../installation.sh

begin 9 "$sources"/{install.sh,package.json,package-lock.json,requirements.txt}
node -e 'if (parseInt(process.versions.node) < 20) { console.error(`node must be 20 or newer, this is ${process.version}`); process.exit(1); }'
packages
finish
