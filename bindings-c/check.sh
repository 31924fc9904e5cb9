#!/usr/bin/env bash
# Everything about the functions for C that cargo test does not show: the header is that of the sources, and compiles as C
# and C++; an installed library is found by pkg-config, and the examples sign in with it; AddressSanitizer and
# LeakSanitizer see nothing, in C and in the Rust tests (Miri: testkit/miri.sh). What cannot be had here is said to be
# skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never
target=${CARGO_TARGET_DIR:-$PWD/target}
strict=(-Wall -Wextra -Werror -pedantic)
folder=$(mktemp -d)
servers=()
ended() {
    [ "${#servers[@]}" -eq 0 ] || kill "${servers[@]}" 2>/dev/null || true
    times >"$folder/times"
    awk 'NR == 2 { print "bindings for C: processor time of all steps " $1 " (user) + " $2 " (system)" }' "$folder/times"
    rm -rf "$folder"
}
trap ended EXIT

. testkit/need.sh
need gcc gcc
need g++ g++
need python3 python3
need pkg-config pkg-config
need curl-config libcurl4-openssl-dev
command -v cbindgen >/dev/null || cargo install -q --locked --debug cbindgen@0.29.4

echo "== the header"
bindings-c/header.sh --check
printf '#include <device_flow.h>\nint main(void) { df_free(NULL); return sizeof(df_action) == 0; }\n' >"$folder/use.c"
gcc -std=c99 "${strict[@]}" -Ibindings-c/include -c "$folder/use.c" -o "$folder/use.o"
g++ -std=c++11 "${strict[@]}" -Ibindings-c/include -x c++ -c "$folder/use.c" -o "$folder/use.o"
echo "it is that of the sources, and compiles as C99 and C++11"

echo "== installed, and found by pkg-config"
bindings-c/install.sh "$folder/prefix"
export PKG_CONFIG_PATH=$folder/prefix/lib/pkgconfig
example() { # OUTPUT FLAG...
    local output=$1
    shift
    # shellcheck disable=SC2046 # words
    gcc -std=c99 "${strict[@]}" -o "$output" bindings-c/examples/sign_in.c "$@" $(pkg-config --libs libcurl)
}
# shellcheck disable=SC2046
example "$folder/shared" $(pkg-config --cflags --libs device-flow)
# shellcheck disable=SC2046
example "$folder/static" $(pkg-config --cflags device-flow) "$folder/prefix/lib/libdevice_flow.a" \
    $(sed -n 's/^Libs.private: //p' "$PKG_CONFIG_PATH/device-flow.pc")

echo "== the examples on the demo server"
cargo build -q --bin device-flow
serve() { # DECISION: sets `issuer`
    "$target/debug/device-flow" demo --serve --decide "$1" --interval 1s --json >"$folder/demo-$1" &
    servers+=($!)
    local tries
    for tries in $(seq 100); do
        issuer=$(sed -n 's/.*"base_url":"\([^"]*\)".*/\1/p' "$folder/demo-$1")
        [ -z "$issuer" ] || return 0
        sleep 0.1
    done
    echo "the demo server did not start after $tries tries"
    return 1
}
signs_in() { # NAME COMMAND...
    local name=$1
    shift
    timeout 60 "$@" "$issuer" example >"$folder/said" 2>&1 || { cat "$folder/said"; echo "$name did not sign in"; return 1; }
    grep -q '^Signed in: a token of [0-9]* characters for 3600 s, scope openid profile' "$folder/said" || { cat "$folder/said"; return 1; }
    echo "$name signed in"
}
serve approve
approves=$issuer
export LD_LIBRARY_PATH=$folder/prefix/lib
signs_in "C, with the shared library," "$folder/shared" &
one=$!
DEVICE_FLOW_LIBRARY=$folder/prefix/lib/libdevice_flow.so.0 signs_in Python python3 bindings-c/examples/sign_in.py
wait "$one"
serve deny
status=0
timeout 60 "$folder/static" "$issuer" example >"$folder/said" || status=$?
[ "$status" -eq 1 ] && grep -q 'the sign-in was denied (access_denied' "$folder/said" || { cat "$folder/said"; echo "exit $status, not a denial"; exit 1; }
echo "C, with the static library, was denied"

echo "== AddressSanitizer and LeakSanitizer"
host=$(rustc -vV | sed -n 's/^host: //p')
if [ "$host" = x86_64-unknown-linux-gnu ]; then
    asan=(env RUSTC_BOOTSTRAP=1 "RUSTFLAGS=-Zsanitizer=address" "CARGO_TARGET_DIR=$target/asan" cargo)
    "${asan[@]}" rustc -q --target "$host" -p device-flow-c --lib --crate-type staticlib
    # shellcheck disable=SC2046
    example "$folder/asan" -g -fsanitize=address $(pkg-config --cflags device-flow) "$target/asan/$host/debug/libdevice_flow_c.a" \
        $(sed -n 's/^Libs.private: //p' "$PKG_CONFIG_PATH/device-flow.pc")
    issuer=$approves
    ASAN_OPTIONS=detect_leaks=1 signs_in "C, with sanitizers," "$folder/asan"
    ASAN_OPTIONS=detect_leaks=1 "${asan[@]}" test -q --target "$host" -p device-flow-c --features calls --test c_tests
else
    echo "SKIPPED: they are tried on x86_64-unknown-linux-gnu, this is $host"
fi
