#!/usr/bin/env bash
# Owns the installation of MSAL for Python and for Node with their extensions, from the package registries, at the pinned versions.
#
# usage: install.sh          into $DEVICE_FLOW_MSAL, by default <workspace>/target/msal
# needs: node (20 or newer) with npm, python3 (3.9 or newer) with venv
#
# Leaves there node_modules/ and venv/. Does nothing when they are up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sources=$PWD
into=${DEVICE_FLOW_MSAL:-$sources/../../target/msal}
mkdir -p "$into"
cd "$into"

# Several test programs may ask at once. Where there is no flock (macOS), run this script once before them.
if command -v flock >/dev/null; then
  exec 9>lock
  flock 9
fi

# What an installation depends on: a virtual environment also dies with its Python and when its folder moves.
stamp=$(python3 -I - "$PWD" "$sources"/{install.sh,package.json,package-lock.json,requirements.txt} <<'PYTHON'
import hashlib, sys
assert sys.version_info >= (3, 9), f"python3 must be 3.9 or newer, this is {sys.version}"
digest = hashlib.sha256(f"{sys.version} {sys.executable} {sys.argv[1]}".encode())
for name in sys.argv[2:]:
    digest.update(open(name, "rb").read())
print(digest.hexdigest())
PYTHON
)
[[ -f stamp && $(<stamp) == "$stamp" ]] && exit
node -e 'if (parseInt(process.versions.node) < 20) { console.error(`node must be 20 or newer, this is ${process.version}`); process.exit(1); }'
rm -rf stamp node_modules venv

# The scripts of the packages fetch binaries for keyrings and brokers, which are not used here.
cp "$sources"/package.json "$sources"/package-lock.json .
npm ci --no-audit --no-fund --ignore-scripts

python3 -m venv venv
venv/bin/python -m pip install --quiet --no-deps --requirement "$sources/requirements.txt"
venv/bin/python -m pip check

printf '%s\n' "$stamp" >stamp
