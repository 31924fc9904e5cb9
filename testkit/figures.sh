#!/usr/bin/env bash
# Prints every figure that this project promises, each beside its limit. Counted, not timed, where that is possible.
# Ends with 1 when a counted figure is over its limit; all times are aims, not limits.
# Needs valgrind, strace and GNU time, and for the last table node with npm, and python3 with venv.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

limit() { # NAME VALUE LIMIT UNIT
    local verdict=ok
    if [ "$2" -gt "$3" ]; then verdict="OVER"; failed=1; fi
    printf '%-58s %9s %s (at most %s) %s\n' "$1" "$2" "$4" "$3" "$verdict"
}

echo "== sizes and allocations (core/tests/footprint.rs holds the limits)"
cargo test -q -p device-flow-core --test footprint -- --nocapture --test-threads=1 | grep -oE 'one (waiting flow|pending poll|silent hit):.*' | sort -u

cargo test -q -p device-flow-keys --test footprint -- --nocapture --test-threads=1 | grep -oE 'one (assertion|proof):.*' | sort -u

cargo test -q -p device-flow-c --test c_footprint -- --nocapture | grep -oE 'one pending poll through C:.*' | sort -u

echo "== instructions (callgrind)"
cargo bench -q -p device-flow-core --bench poll_cost | grep -vE '^$|running|test result'
cargo bench -q -p device-flow-core --bench cache
cargo bench -q -p device-flow-c --bench c_poll_cost | grep -vE '^$|running|test result'
cargo bench -q -p device-flow-keys --bench assertion_cost | grep -vE '^$|running|test result'

echo "== weight"
limit "crates in the normal tree of the core" \
    "$(cargo tree -p device-flow-core -e normal --prefix none | sed 's/ (\*)$//' | sort -u | wc -l)" 60 crates
cargo build -q --release -p device-flow-cli --bin device-flow
python3 testkit/cli_figures.py "${CARGO_TARGET_DIR:-target}/release/device-flow" || failed=1

echo "== a whole poll through each adapter, beside oauth2-rs on the same HTTP client, and a minute of waiting"
cargo bench -q -p device-flow-testkit --bench whole_poll || failed=1

echo "== one cache of a thousand accounts, written by this crate: microseconds, medians"
testkit/msal/install.sh
figures=$(mktemp -d)
trap 'rm -rf "$figures"' EXIT
cargo bench -q -p device-flow-core --bench cache -- "$figures/cache.json" >"$figures/ours"
# What the bench has put into it.
export AUTHORITY=https://login.microsoftonline.com/11111111-1111-1111-1111-1111111111bb CLIENT_ID=my-client SCOPE=User.Read
export INSTALLED="${DEVICE_FLOW_MSAL:-$PWD/target/msal}"
PYTHONDONTWRITEBYTECODE=1 "$INSTALLED/venv/bin/python" testkit/msal/figures.py "$figures/cache.json" >"$figures/python"
node testkit/msal/figures.mjs "$figures/cache.json" >"$figures/node"
awk -F '\t' '
    FNR == 1 { column++ }
    { time[$1, column] = $2 }
    column == 1 { order[++count] = $1 }
    END {
        split("silent hit,2,load,3000,save,3000,list of accounts,100", promised, ",")
        for (i = 1; i in promised; i += 2) limit[promised[i]] = promised[i + 1]
        printf "%-18s %12s %15s %17s %10s\n", "what", "ours", "MSAL Python", "msal-node", "promised"
        for (i = 1; i <= count; i++) {
            what = order[i]
            if (!((what, 2) in time && (what, 3) in time && what in limit)) { print what ": not measured everywhere"; exit 1 }
            printf "%-18s %12s %15s %17s %10s%s\n", what, time[what, 1], time[what, 2], time[what, 3], limit[what],
                (time[what, 1] + 0 > limit[what] + 0 ? " missed" : "")
        }
    }' "$figures/ours" "$figures/python" "$figures/node"
exit "$failed"
