# Owns what every script here needs: a temporary folder, pinned packages in it, servers on loopback, and the comparison
# of what was seen with what the head comment of the script says. Sourced, never run.
set -euo pipefail

common=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
work=$(mktemp -d)
mkdir "$work/tmp"
started=()
export TMPDIR=$work/tmp PYTHONPATH=$common PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 no_proxy=127.0.0.1

finish() {
  local code=$? pid
  for pid in "${started[@]}"; do kill "$pid" 2>"$work/kill.log" || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>"$work/kill.log" || true; done
  chmod -R u+w "$work"
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Installs Python packages, each pinned, into a virtual environment; `python` then runs them.
python_packages() {
  python3 -m venv "$work/venv"
  quietly 300 "$work/venv/bin/pip" install "$@"
}
python() { timeout 120 "$work/venv/bin/python" "$@"; }

# Installs npm packages, each pinned; scripts written to $work find them.
node_packages() {
  printf '{"private":true,"type":"module"}' >"$work/package.json"
  (cd "$work" && quietly 300 npm install --no-audit --no-fund --loglevel=error "$@")
}

# Starts a Go module in the temporary folder with the given modules, each pinned; `main.go` is expected there.
go_modules() {
  export GOFLAGS=-mod=mod GOTOOLCHAIN=local
  cd "$work"
  quietly 60 go mod init finding
  quietly 300 go get "$@"
  quietly 400 go build -o main .
}

# The version of an installed package, as the package itself tells it.
python_version_of() {
  python -c 'import importlib.metadata as m, sys; print(sys.argv[1], m.version(sys.argv[1]))' "$1"
}
node_version_of() {
  local told="JSON.parse(require('fs').readFileSync(process.argv[1])).version"
  echo "$1 $(node -p "$told" "$work/node_modules/$1/package.json")"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts a server in the background and waits until its port takes connections, 60 s or `patience`:
# `serve PORT COMMAND...`
serve() {
  local port=$1 log="$work/server-$1.log" try
  shift
  "$@" >"$log" 2>&1 &
  started+=($!)
  for try in $(seq $((${patience:-60} * 10))); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>"$work/connect.log"; then return; fi
    kill -0 "${started[-1]}" 2>"$work/kill.log" || break
    sleep 0.1
  done
  tail -20 "$log" >&2
  echo "the server did not start" >&2
  exit 2
}

# Runs a command with a limit in seconds; its output appears only when it fails.
quietly() {
  local seconds=$1
  shift
  timeout "$seconds" "$@" >"$work/quiet.log" 2>&1 || { tail -20 "$work/quiet.log" >&2; echo "failed: $*" >&2; exit 2; }
}

# Reads what was seen from standard input and compares it with the lines that begin with "#> " in the script:
# 0 when they are the same, 1 when the behaviour is no longer as stated, 2 when nothing was seen at all.
as_stated() {
  cat >"$work/seen"
  [ -s "$work/seen" ] || { echo "nothing was seen" >&2; exit 2; }
  sed -n 's/^#> \{0,1\}//p' "$script" >"$work/stated"
  cat "$work/seen"
  if diff -u --label stated --label seen "$work/stated" "$work/seen" >"$work/difference"; then
    echo "as stated: $(basename "$script" .sh)"
  else
    cat "$work/difference"
    echo "NO LONGER AS STATED: $(basename "$script" .sh)"
    exit 1
  fi
}

# Fetches Java packages (group:artifact:version each) with what they need; `java -cp "$work/lib/*" File.java` then runs
# a program on them.
java_packages() {
  local package group artifact version
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>finding</artifactId>'
    echo '<version>1</version><dependencies>'
    for package in "$@"; do
      IFS=: read -r group artifact version <<<"$package"
      echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>"
      echo "<version>$version</version></dependency>"
    done
    echo '</dependencies></project>'
  } >"$work/pom.xml"
  cd "$work"
  quietly 600 mvn -q -B dependency:copy-dependencies -DoutputDirectory="$work/lib" -DincludeScope=runtime
}
