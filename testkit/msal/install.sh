#!/usr/bin/env bash
# Owns the installation of MSAL for Python, Node, Java and Go with their extensions, from the package registries, at the
# pinned versions.
#
# usage: install.sh          into $DEVICE_FLOW_MSAL, by default <workspace>/target/msal
# needs: node (20 or newer) with npm, python3 (3.9 or newer) with venv, java (11 or newer) with javac and mvn, go (1.18
#        or newer)
#
# Leaves there node_modules/, venv/, java/ and go/. Does nothing when they are up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sources=$PWD
into=${DEVICE_FLOW_MSAL:-$sources/../../target/msal}
. ../installation.sh

tool() { # COMMAND WHAT-IT-IS-IN
  command -v "$1" >/dev/null || { echo "$1 is missing: install $2"; exit 1; }
}

# The classes, and the packages that they need.
java_driver() {
  cp -R "$sources/java" .
  mvn --quiet --batch-mode --file java/pom.xml compile dependency:copy-dependencies
}

# No other version of Go is fetched, and no C compiler is needed.
go_driver() {
  (cd "$sources/go" && GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$OLDPWD/go/" .)
}

begin 9 "$sources"/{install.sh,package.json,package-lock.json,requirements.txt} \
  "$sources"/java/{pom.xml,src/main/java/*} "$sources"/go/*
rm -rf java go
node -e 'if (parseInt(process.versions.node) < 20) { console.error(`node must be 20 or newer, this is ${process.version}`); process.exit(1); }'
tool javac "a JDK, 11 or newer (Debian: default-jdk-headless)"
tool java "a JDK, 11 or newer (Debian: default-jdk-headless)"
tool mvn "Apache Maven (Debian: maven)"
tool go "Go, 1.18 or newer (Debian: golang-go)"
packages
java_driver
mkdir go
go_driver
finish
