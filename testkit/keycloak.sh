#!/usr/bin/env bash
# Owns the Keycloak of the tests: its installation, its start and its end.
#
#   testkit/keycloak.sh test      both adapters and the binary on all real servers, Keycloak among them; and the table
#   testkit/keycloak.sh table     the table of docs/keys.md: real servers and what they take from a client with keys
#   testkit/keycloak.sh with COMMAND...   any command while it runs, with $DEVICE_FLOW_KEYCLOAK
#   testkit/keycloak.sh install   downloads and unpacks it
#   testkit/keycloak.sh start     returns when it answers, and it runs on; tests find it by $DEVICE_FLOW_KEYCLOAK
#   testkit/keycloak.sh stop      ends what `start` has started
#
# Keycloak comes from Maven Central at a pinned version, into target/keycloak (170 MB once). It needs Java 17, Maven,
# python3 and openssl. Its first start takes 35 s of processor time; what that has built and its database stay in that
# folder, so that later ones take half of it. Ends with 77 and the reason where it cannot be tried.
set -euo pipefail
cd "$(dirname "$0")/.."
version=26.7.3
into=$PWD/target/keycloak
home=$into/keycloak-$version

cannot() {
    echo "Keycloak is not tried: $1"
    exit 77
}

install() {
    command -v java >/dev/null && command -v mvn >/dev/null || cannot "it needs Java 17 and Maven"
    command -v openssl >/dev/null && command -v python3 >/dev/null || cannot "it needs openssl and python3"
    mkdir -p "$into"
    [ -e "$home/installed" ] && return
    rm -rf "$home" "$into/download"
    local artifact=org.keycloak:keycloak-quarkus-dist:$version:tar.gz
    timeout 900 mvn -q -B dependency:copy -Dartifact="$artifact" -DoutputDirectory="$into/download" ||
        cannot "$artifact cannot be downloaded"
    mkdir "$home"
    tar xzf "$into/download/keycloak-quarkus-dist-$version.tar.gz" -C "$home" --strip-components=1
    rm -r "$into/download"
    touch "$home/installed"
}

# An authority, a certificate for 127.0.0.1, and two clients of that authority. The names are all that differs.
certificates() {
    mkdir -p "$into/tls"
    cd "$into/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=authority" \
        -keyout authority.key -out authority.pem 2>/dev/null
    local name
    for name in server device-client another-client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$name" -keyout "$name.key" \
            -out "$name.csr" 2>/dev/null
        openssl x509 -req -in "$name.csr" -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
            -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$name.crt" 2>/dev/null
        cat "$name.crt" "$name.key" >"$name.pem"
    done
    mv device-client.pem client.pem
    cd - >/dev/null
}

# On free ports. Each test makes realms of its own; those that killed tests have left behind go first.
start() {
    install
    stop
    local port tls_port
    read -r port tls_port < <(python3 -c '
import socket
taken = [socket.socket() for _ in range(2)]
for one in taken: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in taken))')
    certificates
    export JAVA_OPTS_KC_HEAP="-Xms64m -Xmx700m" JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UseG1GC"
    export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=canary-admin
    set -m # a process group of its own: its script, and Java
    "$home/bin/kc.sh" start-dev --http-host 127.0.0.1 --http-port "$port" --https-port "$tls_port" \
        --https-certificate-file "$into/tls/server.crt" --https-certificate-key-file "$into/tls/server.key" \
        --https-client-auth request --truststore-paths "$into/tls/authority.pem" >"$into/log" 2>&1 </dev/null &
    echo $! >"$into/pid"
    set +m
    echo "http://127.0.0.1:$port" >"$into/url"
    echo "https://127.0.0.1:$tls_port" >"$into/tls-url"
    python3 - "http://127.0.0.1:$port" "$(<"$into/pid")" <<'PYTHON' || { tail -n 30 "$into/log"; stop; exit 1; }
import json, os, sys, time, urllib.parse, urllib.request

base, server = sys.argv[1], int(sys.argv[2])
browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
login = urllib.parse.urlencode(
    {"client_id": "admin-cli", "grant_type": "password", "username": "admin", "password": "canary-admin"}
).encode()

def call(method, path, body=None, headers={}):
    request = urllib.request.Request(base + path, body, headers, method=method)
    return json.load(browser.open(request, timeout=60)) if method != "DELETE" else browser.open(request, timeout=60)

deadline = time.monotonic() + 300
while True:
    try:
        token = call("POST", "/realms/master/protocol/openid-connect/token", login)["access_token"]
        break
    except (OSError, ValueError) as error:
        os.kill(server, 0)
        if time.monotonic() > deadline:
            sys.exit(f"Keycloak does not answer: {error}")
        time.sleep(0.5)
headers = {"Authorization": f"Bearer {token}"}
for realm in call("GET", "/admin/realms?briefRepresentation=true", headers=headers):
    if realm["realm"] != "master":
        call("DELETE", "/admin/realms/" + realm["realm"], headers=headers)
PYTHON
}

# By its number, and only if that is still a Keycloak of this folder.
stop() {
    [ -e "$into/pid" ] || return 0
    local group tenths
    group=$(<"$into/pid")
    for tenths in {0..200}; do
        ps -e -o pgid=,args= | grep -F "$home/" | grep -q "^ *$group " || break
        case $tenths in
        0) kill -TERM -- "-$group" || true ;;
        100) kill -KILL -- "-$group" || true ;;
        esac
        sleep 0.1
    done
    rm -f "$into/pid"
}

# Starts it for the rest of this script.
start_for_now() {
    trap stop EXIT
    start
    export DEVICE_FLOW_KEYCLOAK=$into
}

# What needs Keycloak is ignored where none runs. The whole workspace is selected, so that nothing is compiled again for
# other features: see .ci/run.
tests() { # PROGRAM... -- WORDS...
    cargo test --features device-flow-testkit/server-tests,device-flow-cli/server-tests,device-flow-keys/jose-tests "$@"
}

case ${1:-} in
test)
    start_for_now
    tests --test servers_smoke --test adapters_on_real_servers --test real_servers -- --include-ignored
    ;;
table)
    start_for_now
    tests -q --test adapters_on_real_servers -- --ignored --nocapture table_of_methods
    ;;
with)
    start_for_now
    "${@:2}"
    ;;
install) install ;;
start) start ;;
stop) stop ;;
*)
    sed -n '3,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
