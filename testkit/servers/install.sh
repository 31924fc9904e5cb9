#!/usr/bin/env bash
# Owns the installation of the three authorization servers, from the package registries, at the pinned versions.
#
# usage: install.sh          into $DEVICE_FLOW_SERVERS, by default <workspace>/target/servers
# needs: node with npm, python3 (3.10 or newer) with venv
#
# Leaves there node_modules/, venv/, signing-key.pem and django.sqlite3. Does nothing when they are up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sources=$PWD
into=${DEVICE_FLOW_SERVERS:-$sources/../../target/servers}
mkdir -p "$into"
cd "$into"

# Several test programs may ask at once. Where there is no flock (macOS), run this script once before them.
if command -v flock >/dev/null; then
  exec 9>lock
  flock 9
fi

# What an installation depends on: a virtual environment also dies with its Python and when its folder moves.
stamp=$(python3 -I - "$PWD" "$sources"/{install.sh,package.json,package-lock.json,requirements.txt,clients.json,django_server.py} <<'PYTHON'
import hashlib, sys
assert sys.version_info >= (3, 10), f"python3 must be 3.10 or newer, this is {sys.version}"
digest = hashlib.sha256(f"{sys.version} {sys.executable} {sys.argv[1]}".encode())
for name in sys.argv[2:]:
    digest.update(open(name, "rb").read())
print(digest.hexdigest())
PYTHON
)
[[ -f stamp && $(<stamp) == "$stamp" ]] && exit
rm -rf stamp node_modules venv signing-key.pem django.sqlite3

cp "$sources"/package.json "$sources"/package-lock.json .
npm ci --no-audit --no-fund --ignore-scripts

python3 -m venv venv
venv/bin/python -m pip install --quiet --no-deps --requirement "$sources/requirements.txt"
venv/bin/python -m pip check

(umask 077 && venv/bin/python - >signing-key.pem <<'PYTHON'
from joserfc.jwk import RSAKey
print(RSAKey.generate_key(2048).as_pem(private=True).decode(), end="")
PYTHON
)
INSTALLED=$PWD DATABASE=$PWD/django.sqlite3 PYTHONDONTWRITEBYTECODE=1 venv/bin/python "$sources/django_server.py"

printf '%s\n' "$stamp" >stamp
