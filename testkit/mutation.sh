#!/usr/bin/env bash
# Breaks the code in every small way that cargo-mutants knows and demands that a test notices. Every mutant that
# survives must be listed in testkit/mutants-accepted.txt with the reason why it may; and at least 97 % of those that
# compile must be caught.
#
#   testkit/mutation.sh whole          the core, what the adapters share, their http.rs, and the locks of the store
#   testkit/mutation.sh whole FILE...  only these files of them
#   testkit/mutation.sh changed BASE   only the lines of the core and of both http.rs changed since that commit
#
# `whole` takes hours and may be interrupted: it keeps the verdict on each file in testkit/mutants-judged.txt, and tries
# a file again only when it has changed, or when one of its survivors is not accepted.
#
# For `changed`: MUTATION_TESTS names the packages whose tests must notice a mutant of the core, MUTATION_FILES a pattern
# in place of core/src, MUTATION_MOST the number of mutants of a part that are tried at most (an even sample; a line says
# so when there are more), MUTATION_JOBS how many at once, MUTATION_TIMEOUT their seconds.
set -uo pipefail
cd "$(dirname "$0")/.."
usage="usage: testkit/mutation.sh whole [FILE...] | changed BASE"
accepted=testkit/mutants-accepted.txt judged=testkit/mutants-judged.txt
reports=$PWD/target/mutation tree=$PWD/target/mutation/tree
# A shared target folder would be polluted by mutants.
unset CARGO_TARGET_DIR
export CARGO_TERM_COLOR=never LC_ALL=C

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

# How cargo-mutants has ended: all caught, some missed, some ran out of time; or not at all.
done_with() { # STATUS WHAT
    case $1 in 0 | 2 | 3) ;; *) fail "$2 could not be tested" ;; esac
}

all_accepted() { # SURVIVORS
    local strangers
    strangers=$(grep -vxF -f <(listed) <<<"$1")
    [ -z "$strangers" ] || fail "these survive and are not in $accepted:
$strangers"
}

# A mutant that runs out of time was noticed too.
report() { # CAUGHT MISSED
    echo "mutation: $1 of $(($1 + $2)) that compile are caught, the other $2 are accepted for a reason"
}

### whole: file by file, in a copy of the tree that stays, so that only what a mutant changes is compiled again

# The most important first; what is named twice is judged once.
files() {
    printf '%s\n' core/src/device_flow/*.rs core/src/machine.rs core/src/cache/{owner,merge,revocations,lookup}.rs core/src/sign_in/*.rs \
        core/src/refresh.rs adapter-common/src/account_store.rs adapter-store/src/lock/{unix,author,folder}.rs \
        adapter-store/src/{lock,file,file/lease}.rs
    find core/src adapter-common/src -name '*.rs' ! -name tests.rs | sort
    printf '%s\n' adapter-{tokio,blocking}/src/http.rs adapter-store/src/os/unix/temporary.rs
}

# Of what a verdict depends on: neither comments nor where a name comes from.
hash_of() { grep -vE '^[[:space:]]*(//|$)|^(pub(\(crate\))? )?use .*;$' "$1" | git hash-object --stdin | cut -c1-12; }

package_of() { sed -E 's|^adapter-common/.*|device-flow-adapter|; s|^(adapter-)?([^/]+)/.*|device-flow-\2|' <<<"$1"; }

# Sets `tests` to those that can see a file, in words for cargo: the quick ones, which notice most mutants, those of its own
# package where some are slow, or all; and `skipped` to the slowest of the quick ones, and `seconds` to the processor time that they may take.
choose_tests() { # quick|own|all FILE
    local packages=()
    tests=(--tests) skipped=() seconds=100
    case $1:$2 in
    quick:core/*)
        packages=(core) tests=(--test=core_tests) seconds=30
        skipped=(bytes:: every_character_of_unicode every_hostile_character no_owner_ever_sees any_life_of_a_cache
            the_diagram_draws)
        ;;
    all:core/*) packages=(core) ;;
    quick:adapter-common/*) packages=(adapter blocking) tests=(--lib --test=adapter) ;;
    all:adapter-common/*) packages=(adapter blocking tokio) ;;
    quick:adapter-store/*)
        packages=(store) tests=(--lib --test=leases --test=locks --test=store_tests)
        # What waits, or kills a process at every call.
        skipped=(killed_ f10_ k11_ of_another_host fifty_processes)
        ;;
    own:adapter-store/*) packages=(store) tests=(--lib --test=leases --test=locks --test=store_tests) ;;
    own:*) return 1 ;;
    all:adapter-store/*) packages=(store blocking) ;;
    quick:adapter-blocking/*) packages=(blocking) tests=(--lib --test=adapter) ;;
    all:adapter-blocking/*) packages=(blocking testkit) ;;
    quick:adapter-tokio/*) packages=(tokio) tests=(--lib --test=adapter) ;;
    all:adapter-tokio/*) packages=(tokio testkit) ;;
    esac
    # A file may have tests of its own.
    if [[ $1:$2 == quick:core/* ]] && { [ -e "${2%.rs}/tests.rs" ] || [ -e "${2%/*}/tests.rs" ]; }; then tests+=(--lib); fi
    [[ $2 != core/* ]] || tests+=(--features=device-flow-core/serde)
    [[ $2 != adapter-common/* ]] || tests+=(--features=device-flow-adapter/serde)
    tests=("${packages[@]/#/--package=device-flow-}" "${tests[@]}")
}

# Without a mutant the tests pass.
proven=""
prove() { # TESTS...
    [[ $proven != *"[$*]"* ]] || return 0
    cargo test -q --manifest-path "$tree/Cargo.toml" --profile mutants "$@" >"$reports/unbroken.log" 2>&1 ||
        fail "these fail without any mutant: cargo test $*, see $reports/unbroken.log"
    proven+="[$*]"
}

# Tries the mutants of a file, and goes on where an interrupted run has ended; then writes the verdict.
judge() { # FILE HASH
    local began=$SECONDS folder=$reports/parts/${1//\//-}-$2 tests skipped seconds which missed late failing
    local lists=$folder/mutants.out
    local -A limit=([quick]=120 [own]=300 [all]=900)
    mkdir -p "$folder" || exit 1
    touch "$folder"/{unviable,late} || exit 1
    for which in quick own all; do
        choose_tests "$which" "$1" || continue
        prove "${tests[@]}"
        # --iterate leaves out what was caught or does not compile, and no longer says which of the two. It should leave
        # out what ran out of time, too.
        if [ -e "$lists" ]; then
            cat "$lists/unviable.txt" >>"$folder/unviable"
            tee -a "$folder/late" <"$lists/timeout.txt" >>"$lists/caught.txt"
        fi
        # A loop without end is stopped by its processor time, which is the same on a busy machine, or by its memory; what
        # waits without end, by a clock.
        (
            ulimit -t "$seconds" -v 4000000
            cargo mutants -d "$tree" -o "$folder" --in-place --iterate --baseline skip --colors never --profile mutants \
                --timeout "${limit[$which]}" -p "$(package_of "$1")" -f "$1" "${tests[@]/#/--cargo-arg=}" -- -- \
                -Z unstable-options --fail-fast "${skipped[@]/#/--skip=}"
        ) >>"$folder/log" 2>&1
        done_with $? "$1 (see $folder/log)"
        [ -s "$lists/missed.txt" ] || break
    done
    missed=$(wc -l <"$lists/missed.txt") late=$(sort -u "$folder/late" "$lists/timeout.txt" | wc -l)
    failing=$(sort -u "$folder/unviable" "$lists/unviable.txt" | wc -l)
    {
        grep -v "^$1[ :]" "$judged"
        echo "$1 $2 $(($(grep -c "^$1:" "$reports/possible") - missed - late - failing)) $missed $late $failing"
        without_place <"$lists/missed.txt"
    } | sort >"$judged.new" && mv "$judged.new" "$judged" || exit 1
    echo "mutation: $(grep "^$1 " "$judged"), in $((SECONDS - began)) s"
}

whole() { # [FILE...]
    local file hash survivors possible caught missed late failing
    # More threads than cores: most tests of adapters and stores wait.
    export CARGO_TARGET_DIR=$reports/build RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
    # The first failure is enough, as it is: not made small, without a backtrace, and no test starts after it. (That
    # option of the test harness is not stable; only the tests are told so, not the compiler.)
    export PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 RUST_BACKTRACE=0
    local host
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${host}_RUNNER=env RUSTC_BOOTSTRAP=1"
    [ -e "$judged" ] || echo "# Written by testkit/mutation.sh: file, hash of its contents, mutants caught, missed, out of time, not compiled; below it those missed" >"$judged"
    rm -rf "$tree" && mkdir -p "$tree" || exit 1
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -m -C "$tree" || exit 1
    cargo mutants --list --colors never --workspace | grep -F -f <(files | sed 's/$/:/') >"$reports/possible" ||
        fail "the mutants cannot be listed"
    for file in $(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else files | awk '!seen[$0]++'; fi); do
        grep -q "^$file:" "$reports/possible" || continue
        hash=$(hash_of "$file")
        if ! grep -q "^$file $hash " "$judged" || grep "^$file:" "$judged" | grep -qvxF -f <(listed); then
            judge "$file" "$hash"
        fi
    done

    [ $# -eq 0 ] || return 0

    # What is no longer there has no verdict.
    grep -E -f <(echo '^#'; cut -d: -f1 "$reports/possible" | sort -u | sed 's/.*/^&[ :]/') "$judged" >"$judged.new" &&
        mv "$judged.new" "$judged" || exit 1
    survivors=$(grep -E '^[^ ]+:' "$judged") possible=$(without_place <"$reports/possible")
    all_accepted "$survivors"
    gone=$(listed | grep -vxF -f <(echo "$possible")) && fail "these are in $accepted and are no longer mutants:
$gone"
    needless=$(listed | grep -vxF -f <(echo "$survivors")) && fail "these are in $accepted and are caught now:
$needless"
    read -r caught missed late failing <<<"$(awk '/^[^#:]+ / { c += $3; m += $4; l += $5; f += $6 } END { print c, m, l, f }' "$judged")"
    [ $((caught + missed)) -ge 500 ] || fail "only $((caught + missed)) mutants compile, which is implausible"
    [ $((missed * 100)) -le $(((caught + late + missed) * 3)) ] || fail "$missed of $((caught + missed)) survive"
    echo "mutation: $failing do not compile, $late of those caught ran out of time"
    report $((caught + late)) "$missed"
}

### changed: in a new copy of the tree for each part

changed() { # BASE
    local since=(--in-diff "$reports/changes.diff") parts=() caught=0 survivors="" adapter report out list
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
    git rev-parse -q --verify "$1^{commit}" >/dev/null || fail "$usage (no commit: $1)"
    mkdir -p "$reports"
    git diff "$1" -- core/src adapter-tokio/src/http.rs adapter-blocking/src/http.rs >"$reports/changes.diff" ||
        fail "no difference to $1 can be had"
    [ -s "$reports/changes.diff" ] || { echo "mutation: nothing in reach has changed since $1"; exit 0; }
    part core device-flow-core "${MUTATION_FILES:-core/src/**/*.rs}" "${MUTATION_TESTS:-device-flow-core}" device-flow-core/serde
    if [ -z "${MUTATION_FILES:-}" ]; then
        for adapter in tokio blocking; do
            part "adapter-$adapter" "device-flow-$adapter" "adapter-$adapter/src/http.rs" "device-flow-$adapter,device-flow-testkit"
        done
    fi
    for report in "${parts[@]}"; do
        out=$report/mutants.out
        for list in caught missed timeout unviable; do
            [ -e "$out/$list.txt" ] || fail "$out/$list.txt is missing"
        done
        [ "$(cat "$out"/{caught,missed,timeout,unviable}.txt | wc -l)" -eq "$(wc -l <"$report/expected")" ] ||
            fail "$out has too few mutants"
        caught=$((caught + $(cat "$out"/{caught,timeout}.txt | wc -l)))
        survivors+=$(without_place <"$out/missed.txt")$'\n'
    done
    survivors=$(grep . <<<"$survivors")
    all_accepted "$survivors"
    report "$caught" "$(grep -c . <<<"$survivors")"
}

part() { # NAME PACKAGE FILES TESTS [FEATURES]
    local report=$reports/$1 what=(-p "$2" -f "$3" "${since[@]}") count shards sample=()
    rm -rf "$report" && mkdir -p "$report" || exit 1
    cargo mutants --list --colors never "${what[@]}" >"$report/expected" || fail "the mutants of $1 cannot be listed"
    [ -s "$report/expected" ] || return
    parts+=("$report")
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
    done_with $? "$1"
}

command -v cargo-mutants >/dev/null || cargo install -q --locked --debug cargo-mutants || exit 1
case ${1:-} in
whole) whole "${@:2}" ;;
changed) changed "${2:-}" ;;
*) fail "$usage" ;;
esac
