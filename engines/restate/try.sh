#!/usr/bin/env bash
# Owns the trial of the example: sign-ins on a real Restate server, whose worker is killed (kill -9) every few seconds, and
# the server itself once. Every second worker has a clock that is BEHIND seconds behind (2), where libfaketime is installed.
#
#   engines/restate/try.sh              200 sign-ins; fails when one is lost, a poll comes early, or a secret lies open
#   engines/restate/try.sh unguarded    the same without the guards; fails when no poll comes early
#
# COUNT (200), KILLS (8), BEHIND and SEED (printed) may be set. Needs cargo, curl and Node 20 with npm; installs the server,
# which is pinned, into target/restate-server. Everything listens on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-guarded} count=${COUNT:-200} kills=${KILLS:-8} behind=${BEHIND:-2} seed=${SEED:-$$}
version=1.7.12
RANDOM=$seed
[ "$mode" = guarded ] || [ "$mode" = unguarded ] || { echo "usage: engines/restate/try.sh [unguarded]" >&2; exit 2; }

mkdir -p target/restate-server
if ! grep -qs "\"version\": \"$version\"" target/restate-server/node_modules/@restatedev/restate-server/package.json; then
    # Without the scripts of packages: one of them reports installations.
    npm install --prefix target/restate-server --ignore-scripts --no-audit --no-fund --loglevel=error \
        "@restatedev/restate-server@$version"
fi
# The program itself and not its wrapper, which would outlive a kill.
restate=$(cd target/restate-server && node -p \
    'require.resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`)')
cargo build -q --locked --manifest-path engines/restate/Cargo.toml --target-dir target/restate

work=$(mktemp -d)
stub='' engine='' worker=''
finish() {
    local code=$?
    for pid in $stub $engine $worker; do kill -9 "$pid" 2>>"$work/kills" || true; done
    wait 2>>"$work/kills" || true
    if [ "$code" -eq 0 ]; then rm -rf "$work"; else echo "what they logged: $work" >&2; fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

read -r ingress admin node port < <(node -e '
    const net = require("net"), servers = [1, 2, 3, 4].map(() => net.createServer().listen(0, "127.0.0.1"));
    setTimeout(() => { console.log(...servers.map(s => s.address().port)); servers.forEach(s => s.close()); }, 100)')
# Neither telemetry, nor a look for a newer web page.
export RESTATE_DISABLE_TELEMETRY=true RESTATE_ADMIN__DISABLE_WEB_UI=true RESTATE_LISTEN_MODE=tcp
export RESTATE_INGRESS__BIND_ADDRESS=127.0.0.1:$ingress RESTATE_ADMIN__BIND_ADDRESS=127.0.0.1:$admin
export RESTATE_BIND_ADDRESS=127.0.0.1:$node RESTATE_ADVERTISED_ADDRESS=http://127.0.0.1:$node no_proxy=127.0.0.1

faketime=$(compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' | head -n 1 || true)
[ -n "$faketime" ] || echo "libfaketime is not installed: no worker has a wrong clock"

start_engine() {
    "$restate" --no-logo --node-name trial --base-dir "$work/data" >>"$work/engine" 2>&1 3>&- &
    engine=$!
    curl -fsS -o "$work/health" --retry 120 --retry-delay 1 --retry-all-errors "http://127.0.0.1:$admin/health" \
        2>>"$work/curl"
}
workers=0
start_worker() {
    workers=$((workers + 1))
    local clock=()
    if [ -n "$faketime" ] && [ $((workers % 2)) -eq 0 ]; then
        clock=("LD_PRELOAD=$faketime" "FAKETIME=-${behind}s" FAKETIME_DONT_FAKE_MONOTONIC=1)
    fi
    env "${clock[@]}" target/restate/debug/worker "$address" "$port" "${words[@]}" >>"$work/worker" 2>&1 3>&- &
    worker=$!
}
killed() { # PID
    kill -9 "$1"
    wait "$1" 2>>"$work/kills" || true
}

mkfifo "$work/stdin"
: >"$work/stub"
target/restate/debug/server <"$work/stdin" >>"$work/stub" 2>>"$work/stub.log" &
stub=$!
# The server tells what it has seen when nobody holds this open any more.
exec 3>"$work/stdin"
until address=$(head -n 1 "$work/stub") && [ -n "$address" ]; do sleep 0.1; done
words=()
[ "$mode" = guarded ] || words=(unguarded)
start_engine
start_worker
curl -fsS -o "$work/registered" --retry 60 --retry-delay 1 --retry-all-errors --json "{\"uri\": \"http://127.0.0.1:$port\"}" \
    "http://127.0.0.1:$admin/deployments" 2>>"$work/curl"

echo "$count sign-ins, $mode; $kills kills of the worker and one of the server, seed $seed"
curl -fsS --retry 5 -o "$work/sent_#1" -X POST "http://127.0.0.1:$ingress/SignIn/[1-$count]/run/send"
for ((kill = 1; kill <= kills; kill++)); do
    # A little more than an interval, so that polls are in flight: each death begins all waits again.
    sleep "$((5 + RANDOM % 4)).$((RANDOM % 10))"
    killed "$worker"
    if [ "$kill" -eq $(((kills + 1) / 2)) ]; then
        killed "$engine"
        start_engine
    fi
    start_worker
done

# All of them, or five minutes.
ended=0
for ((try = 0; try < 150 && ended < count; try++)); do
    sleep 2
    curl -s -w '\n%{http_code}\n' "http://127.0.0.1:$ingress/restate/workflow/SignIn/[1-$count]/output" >"$work/outcomes" || true
    ended=$(grep -cx 200 "$work/outcomes" || true)
done
exec 3>&-
wait "$stub" || true
stub=''

MODE=$mode COUNT=$count node - "$work/outcomes" "$work/stub" <<'END_OF_PROGRAM'
const fs = require("fs");
const [outcomes, stub] = process.argv.slice(2).map((name) => fs.readFileSync(name, "utf8").trim().split("\n"));
const ended = outcomes.filter((line) => line.startsWith("{\"result\"")).map((line) => JSON.parse(line));
const seen = JSON.parse(stub[1]);
const signedIn = ended.filter((outcome) => outcome.result.Ok).length;
const lost = Number(process.env.COUNT) - signedIn;
const early = seen.early + seen.early_first;
console.log(`signed in ${signedIn}, lost ${lost}`);
console.log(`polls ${seen.polls}, early ${early}; half at most ${seen.late[0]} ms late, 99 % at most ${seen.late[1]} ms`);
console.log(`polls told as lost ${ended.reduce((sum, outcome) => sum + outcome.lost_polls, 0)}, ` +
    `tokens redeemed and not stored ${seen.after_success}`);
for (const outcome of ended.filter((outcome) => outcome.result.Err)) console.log(JSON.stringify(outcome.result.Err));
process.exit(process.env.MODE === "guarded" ? Number(lost > 0 || early > 0) : Number(early === 0));
END_OF_PROGRAM
# Each device code and token has the word canary, which base64 writes in three ways: in the engine's files, in what it and the
# worker logged, in the outcomes.
if grep -rlsE 'canary|Y2FuYXJ5|NhbmFye|jYW5hcn' "$work" >&2; then
    echo "a secret lies open in these files" >&2
    exit 1
fi
