#!/usr/bin/env bash
# Tries what is not the platform of whoever runs the tests: a static binary of the command line for Linux (musl) is built
# and signs in where there is nothing but itself, and every published crate is compiled for Windows and macOS, where
# nobody runs it. Ends with 77 when rustup cannot bring the standard library of a target.
#
#   testkit/targets.sh            needs musl-gcc for the C code of ring (Debian: musl-tools), and readelf (binutils)
set -uo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target} musl=x86_64-unknown-linux-musl
compiled=(x86_64-pc-windows-gnu x86_64-apple-darwin)
failed='' missing=''

fail() {
    echo "targets: $*" >&2
    failed=1
}

# Whether the standard library of a target is there, or can be brought.
have() { # TARGET
    rustup target list --installed 2>/dev/null | grep -qx "$1" || rustup target add "$1" >/dev/null 2>&1 || {
        echo "targets: there is no standard library for $1: rustup cannot bring it"
        missing=1
        return 1
    }
}

# A command, and the processor time that it took.
measured() { # NAME COMMAND...
    local TIMEFORMAT="targets: $1: processor time %U s (user) + %S s (system)"
    shift
    time "$@"
}

# In a folder that holds the binary alone, as a user who is in no list of users, with no environment: no certificates, no
# /proc, no /dev, no /tmp, no time zone, no home. Only root may do that; anybody else has the usual file system around it.
alone() { # WORD...
    if [ "$(id -u)" -eq 0 ]; then
        env -i "$(command -v chroot)" --userspec=12345:12345 "$room" /device-flow "$@"
    else
        env -i "$room/device-flow" "$@"
    fi
}

static_binary() {
    # Not optimised: that takes half the time, and shows the same.
    measured "the static binary is built" cargo build -q -p device-flow-cli --bin device-flow --target "$musl" || return
    room=$(mktemp -d) && chmod 755 "$room" && cp "$target/$musl/debug/device-flow" "$room" || return
    trap 'rm -rf "$room"' EXIT
    local said
    said=$(readelf --program-headers --dynamic --wide "$room/device-flow") || return
    ! grep -E 'INTERP|NEEDED' <<<"$said" || fail "it is not static"
    said=$(alone --version) && [[ $said == "device-flow 0."* ]] || fail "it does not start: $said"
    said=$(alone demo --yes 2>&1) && [[ $said == *"Ada Demo"* ]] || fail "it does not sign in: $said"
    if [ "$(id -u)" -eq 0 ]; then
        # A server out there needs certificates: that is told, and what to do.
        said=$(alone login github --client-id x --store memory 2>&1)
        [ $? -eq 2 ] && [[ $said == *"--ca-file FILE"* ]] || fail "it does not ask for certificates: $said"
    fi
    [ "$(ls -A "$room")" = device-flow ] || fail "it leaves something behind: $(ls -A "$room")"
    [ -n "$failed" ] || echo "targets: static, and it signs in$([ "$(id -u)" -ne 0 ] || echo ' where there is nothing but itself')"
}

# Nothing is linked, so nobody looks at what ring's build script has made of its C code: a compiler that makes nothing of
# it saves a mingw and an SDK of Apple's.
elsewhere() {
    local words=()
    for name in "$@"; do
        words+=(--target "$name")
        export "CC_${name//-/_}=true" "AR_${name//-/_}=true"
    done
    RUSTFLAGS="-D warnings" measured "compiled for $*" cargo check -q "${words[@]}" -p device-flow-core -p device-flow-adapter \
        -p device-flow-store -p device-flow-tokio -p device-flow-blocking -p device-flow-keys -p device-flow-nats -p device-flow-cli
}

! have "$musl" || static_binary || fail "no static binary"
found=()
for name in "${compiled[@]}"; do
    ! have "$name" || found+=("$name")
done
[ "${#found[@]}" -eq 0 ] || elsewhere "${found[@]}" || fail "a published crate does not compile"
[ -z "$failed" ] || exit 1
[ -z "$missing" ] || exit 77
