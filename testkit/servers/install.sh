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
. ../installation.sh

begin 10 "$sources"/{install.sh,package.json,package-lock.json,requirements.txt,clients.json,django_server.py}
rm -f signing-key.pem django.sqlite3
packages
(umask 077 && venv/bin/python - >signing-key.pem <<'PYTHON'
from joserfc.jwk import RSAKey
print(RSAKey.generate_key(2048).as_pem(private=True).decode(), end="")
PYTHON
)
INSTALLED=$PWD DATABASE=$PWD/django.sqlite3 PYTHONDONTWRITEBYTECODE=1 venv/bin/python "$sources/django_server.py"
finish
