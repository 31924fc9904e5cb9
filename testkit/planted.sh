#!/usr/bin/env bash
# Plants the bugs of testkit/planted/, one at a time, in a copy of the tree, and demands that at least two of four kinds
# of test notice each: every path of small worlds, random worlds, the seeds of the fuzz targets, both adapters compared
# with the core.
#
#   testkit/planted.sh [NAME...]    all of them, or those whose names contain one of these words
set -uo pipefail
cd "$(dirname "$0")/.."
work=$PWD/target/planted tree=$PWD/target/planted/tree
# The crates of other people are compiled once for all steps that use this profile.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_TERM_COLOR=never RUST_BACKTRACE=0 PROPTEST_CASES=1000
# The tests run at half the speed, and are built in half the time.
export CARGO_PROFILE_PROOF_OPT_LEVEL=1 CARGO_PROFILE_PROOF_DEBUG=0 CARGO_INCREMENTAL=1

rm -rf "$tree" && mkdir -p "$tree" || exit 1
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -m -C "$tree" || exit 1
cd "$tree" || exit 1

# Before anything is compiled.
for patch in testkit/planted/*.patch; do
    patch -s -p1 --dry-run <"$patch" || { echo "planted: $(basename "$patch" .patch) no longer applies to the code: make it again"; exit 1; }
done

names=(paths random seeds adapters)
export DEVICE_FLOW_PATHS=small
tests=(every_path properties corpus differential)
targets=(--profile proof -p device-flow-core -p device-flow-fuzz -p device-flow-testkit
    --test every_path --test properties --test corpus --test differential)

# Which of the four notice: for each its word in `names`, or a dash.
noticed() {
    cargo test -q "${targets[@]}" --no-run >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; return 1; }
    local index runs=()
    # At once, since one of them waits most of the time.
    for index in "${!tests[@]}"; do
        # A test that hangs has noticed, too: each ends within seconds otherwise.
        timeout 300 cargo test -q "${targets[@]:0:8}" --test "${tests[index]}" >"$work/${names[index]}.log" 2>&1 &
        runs+=($!)
    done
    for index in "${!tests[@]}"; do
        if wait "${runs[index]}"; then printf -- '- '; else printf '%s ' "${names[index]}"; fi
    done
}

clean=$(noticed) || exit 1
[ "$clean" = "- - - - " ] || { echo "planted: without any bug these fail: $clean, see $work/*.log"; exit 1; }
failed=0 planted=0
printf 'planted: %-36s noticed by\n' bug
for patch in testkit/planted/*.patch; do
    name=$(basename "$patch" .patch)
    [ $# -eq 0 ] || grep -qF -e "$(printf "%s\n" "$@")" <<<"$name" || continue
    patch -s -p1 --no-backup-if-mismatch <"$patch" || exit 1
    by=$(noticed) || { echo "planted: $name does not compile"; exit 1; }
    patch -s -R -p1 --no-backup-if-mismatch <"$patch" || exit 1
    count=$(tr ' ' '\n' <<<"$by" | grep -c '[a-z]')
    verdict=
    [ "$count" -ge 2 ] || { verdict="  TOO FEW" failed=1; }
    printf 'planted: %-36s %s%s\n' "$name" "$by" "$verdict"
    planted=$((planted + 1))
done
echo "planted: $planted bugs"
[ "$failed" -eq 0 ] && [ "$planted" -gt 0 ]
