#!/usr/bin/env bash
# Breaks the code in every small way that cargo-mutants knows and demands that a test notices. Every mutant that
# survives must be listed in testkit/mutants-accepted.txt with the reason why it may; and at least 97 % of those that
# compile must be caught.
#
#   testkit/mutation.sh whole          the core and the adapters' http.rs
#   testkit/mutation.sh changed BASE   only the lines changed since that commit
#
# MUTATION_TESTS names the packages whose tests must notice a mutant of the core, MUTATION_FILES a pattern in place of
# core/src, MUTATION_MOST the number of mutants of a part that are tried at most (an even sample; a line says so when
# there are more).
set -uo pipefail
cd "$(dirname "$0")/.."
usage="usage: testkit/mutation.sh whole | changed BASE"
accepted=testkit/mutants-accepted.txt
reports=$PWD/target/mutation
tests=${MUTATION_TESTS:-device-flow-core}
# cargo-mutants copies the tree and builds the copy; a shared target folder would be polluted by mutants.
unset CARGO_TARGET_DIR
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never

fail() {
    echo "mutation: $*" >&2
    exit 1
}

# A mutant without its line and column, which change with every edit.
without_place() { sed -E 's/^([^:]+):[0-9]+:[0-9]+:/\1:/'; }

# The accepted mutants: every line that is neither empty, a comment, nor an indented reason.
listed() { grep -vE '^(#|[[:space:]]|$)' "$accepted"; }

# Every accepted mutant has a reason below it.
awk '/^[^#[:space:]]/ { if (waiting) exit 1; waiting = 1 } /^[[:space:]]+[^[:space:]]/ { waiting = 0 } END { exit waiting }' \
    "$accepted" || fail "a mutant in $accepted has no reason below it"

command -v cargo-mutants >/dev/null || cargo install -q --locked cargo-mutants || exit 1
mode=${1:-} since=()
case $mode in
whole) ;;
changed)
    base=${2:-}
    git rev-parse -q --verify "$base^{commit}" >/dev/null || fail "$usage (no commit: $base)"
    mkdir -p "$reports"
    git diff "$base" -- core/src adapter-tokio/src/http.rs adapter-blocking/src/http.rs >"$reports/changes.diff" ||
        fail "no difference to $base can be had"
    [ -s "$reports/changes.diff" ] || { echo "mutation: nothing in reach has changed since $base"; exit 0; }
    since=(--in-diff "$reports/changes.diff")
    ;;
*) fail "$usage" ;;
esac

all=() # The reports of the parts.
part() { # NAME PACKAGE FILES TESTS [FEATURES]
    local report=$reports/$1 what=(-p "$2" -f "$3" "${since[@]}")
    rm -rf "$report" && mkdir -p "$report" || exit 1
    cargo mutants --list --colors never "${what[@]}" >"$report/expected" || fail "the mutants of $1 cannot be listed"
    cargo mutants --list --colors never -p "$2" -f "$3" | without_place >"$report/possible" || fail "the mutants of $1 cannot be listed"
    all+=("$report")
    [ -s "$report/expected" ] || { : >"$report/none"; return; }
    local count shards sample=()
    count=$(wc -l <"$report/expected")
    shards=$(((count + ${MUTATION_MOST:-$count} - 1) / ${MUTATION_MOST:-$count}))
    if [ "$shards" -gt 1 ]; then
        sample=(--shard "0/$shards" --sharding round-robin)
        echo "mutation: of $count mutants in $1 one in $shards is tried; the rest is SKIPPED to save time"
        cargo mutants --list --colors never "${what[@]}" "${sample[@]}" >"$report/expected" || fail "the mutants of $1 cannot be listed"
    fi
    echo "mutation: $(wc -l <"$report/expected") mutants in $1"
    cargo mutants --colors never --no-times -j "${MUTATION_JOBS:-1}" --timeout "${MUTATION_TIMEOUT:-120}" -o "$report" "${what[@]}" "${sample[@]}" \
        --test-package "$4" ${5:+--features "$5"} -- --tests
    case $? in
    0 | 2 | 3) ;; # all caught, some missed, some ran out of time
    *) fail "$1 could not be tested" ;;
    esac
}
part core device-flow-core "${MUTATION_FILES:-core/src/**/*.rs}" "$tests" device-flow-core/serde
if [ -z "${MUTATION_FILES:-}" ]; then
    for adapter in tokio blocking; do
        part "adapter-$adapter" "device-flow-$adapter" "adapter-$adapter/src/http.rs" "device-flow-$adapter,device-flow-testkit"
    done
fi

# The verdict, if the reports are complete.
caught=0 missed=0 strangers=""
for report in "${all[@]}"; do
    [ -e "$report/none" ] && continue
    out=$report/mutants.out
    for list in caught missed timeout unviable; do
        [ -e "$out/$list.txt" ] || fail "$out/$list.txt is missing"
    done
    judged=$(cat "$out"/{caught,missed,timeout,unviable}.txt | wc -l)
    [ "$judged" -eq "$(wc -l <"$report/expected")" ] || fail "$out has only $judged mutants"
    # A mutant that runs out of time was noticed too.
    caught=$((caught + $(cat "$out"/{caught,timeout}.txt | wc -l)))
    missed=$((missed + $(wc -l <"$out/missed.txt")))
    strangers+=$(without_place <"$out/missed.txt" | grep -vxF -f <(listed))
done
[ -z "$strangers" ] || fail "these survive and are not in $accepted:
$strangers"
if [ "$mode" = whole ] && [ -z "${MUTATION_FILES:-}" ]; then
    gone=$(listed | grep -vxF -f <(cat "${all[@]/%//possible}"))
    [ -z "$gone" ] || fail "these are in $accepted and are no longer mutants:
$gone"
    needless=$(listed | grep -vxF -f <(cat "${all[@]/%//mutants.out/missed.txt}" | without_place))
    [ -z "$needless" ] || fail "these are in $accepted and are caught now:
$needless"
    [ $((caught + missed)) -ge 500 ] || fail "only $((caught + missed)) mutants compile, which is implausible"
fi
[ $((missed * 100)) -le $(((caught + missed) * 3)) ] || [ "$mode" = changed ] || fail "$missed of $((caught + missed)) survive"
echo "mutation: $caught of $((caught + missed)) that compile are caught, the other $missed are accepted for a reason"
