#!/usr/bin/env bash
# Fuzzes with coverage guidance and prints, per target: executions, executions/s, coverage, corpus size, crashes.
#
#   fuzz/run.sh smoke [target...]           a fixed number of inputs, the same in every run, one target for each core at a
#                                           time: some 20 s each. What it finds, it finds for everybody
#   fuzz/run.sh hours SECONDS [target...]   all at once, at low priority; new seeds join the corpus
#   fuzz/run.sh minimise [target...]        removes those that add no coverage; seeds with a readable name stay
#
# FUZZ_JOBS: how many targets run at once (default: `smoke` one for each core, `hours` all).
set -euo pipefail
cd "$(dirname "$0")/.."

all=(bindings_c cache client_info device_authorization dialect discovery fleet headers id_token key_file nonce once operations prompt sign_in snapshot token)

# On stable Rust. Without a sanitizer: the workspace has no unsafe code, and runs are several times as fast. Without
# optimisation across crates: it takes minutes for each target.
build() {
    RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=3 cargo fuzz build --sanitizer none --features libfuzzer
    local host target_dir
    host=$(rustc -vV | sed -n 's/^host: //p')
    target_dir=$(cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
    binaries=$target_dir/$host/release
}

# The longest input. Each character of a text is checked many times, so long ones make the prompt target slow; its
# limits (256, 1,000 and 2,048 characters) are seeds that the replay reads whole.
longest() { [ "$1" = prompt ] && echo 300 || echo 9000; }

# libFuzzer's choices depend on where the program lies in memory, too.
fixed_addresses=()
! setarch -R true 2>/dev/null || fixed_addresses=(setarch -R)

# Inputs of a short run.
inputs() {
    case $1 in
    client_info | id_token) echo 1000000 ;;
    bindings_c | operations | sign_in) echo 40000 ;;
    fleet) echo 6000 ;;
    # An RSA key that is right costs a millisecond.
    key_file) echo 40000 ;;
    *) echo 170000 ;;
    esac
}

# fuzz TARGET FOLDER LIMIT...: reads the committed corpus, writes new seeds to FOLDER.
fuzz() {
    local target=$1 folder=$2
    mkdir -p "$folder/$target/new" "$folder/$target/crashes"
    # In one order, whatever that of the folder is.
    printf '%s\n' "fuzz/corpus/$target"/* | paste -sd, >"$folder/$target/seeds"
    local TIMEFORMAT='%U'
    { time nice -n "${NICE:-0}" "${fixed_addresses[@]}" "$binaries/$target" "$folder/$target/new" -reload=0 \
        -seed_inputs="@$folder/$target/seeds" -dict=fuzz/dictionary.txt -max_len="$(longest "$target")" "${@:3}" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$folder/$target/crashes/" -print_final_stats=1 >"$folder/$target.log" 2>&1; } 2>"$folder/$target.cpu"
}

# Every target, at most so many at once: for some seconds, or as many inputs as a short run has.
run_all() { # JOBS [SECONDS]
    local target limit
    for target in "${targets[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n || true; done
        [ -n "${2:-}" ] && limit=(-max_total_time="$2") || limit=(-seed=1 -runs="$(inputs "$target")")
        fuzz "$target" "$folder" "${limit[@]}" &
    done
    while [ -n "$(jobs -rp)" ]; do wait -n || true; done
}

# The figures of one log. Fails on a crash, on a run without figures, and on one that was too slow.
report() {
    local target=$1 folder=$2 log=$2/$1.log
    local executions speed coverage seeds crashes
    # Per second of processor time, which other work on the machine does not distort.
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    speed=$(awk -v n="${executions:-0}" '{ print int(n / ($1 + 0.001)) }' "$folder/$target.cpu")
    coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1 || true)
    seeds=$(($(ls "fuzz/corpus/$target" | wc -l) + $(ls "$folder/$target/new" | wc -l)))
    crashes=$(ls "$folder/$target/crashes" | wc -l)
    printf 'fuzz: %-21s %12s executions %8s/s  %-20s %5s seeds %3s crashes\n' \
        "$target" "${executions:-no}" "${speed:-0}" "${coverage:-no coverage}" "$seeds" "$crashes"
    if [ "$crashes" -ne 0 ]; then
        echo "fuzz: $target broke its invariant, see $folder/$target/crashes and $log" >&2
        grep -m 1 -A 1 'panicked at' "$log" >&2 || true
        return 1
    fi
    [ -n "$executions" ] || { echo "fuzz: $target did not finish, see $log" >&2; return 1; }
}

mode=${1:-}
case $mode in
smoke) shift ;;
hours) seconds=${2:?how many seconds}; shift 2 ;;
minimise) shift ;;
*) sed -n '2,9p' "$0" >&2; exit 2 ;;
esac
[ $# -gt 0 ] && targets=("$@") || targets=("${all[@]}")
build

folder=$(mktemp -d "${TMPDIR:-/tmp}/device-flow-fuzz.XXXXXX")
failed=0
case $mode in
smoke)
    run_all "${FUZZ_JOBS:-$(nproc)}"
    for target in "${targets[@]}"; do report "$target" "$folder" || failed=1; done
    [ "$failed" -ne 0 ] || rm -rf "$folder"
    ;;
hours)
    NICE=19 run_all "${FUZZ_JOBS:-${#targets[@]}}" "$seconds"
    for target in "${targets[@]}"; do
        report "$target" "$folder" || failed=1
        cp -n "$folder/$target/new"/* "fuzz/corpus/$target/" 2>/dev/null || true
    done
    echo "fuzz: logs and crashes are in $folder; now run: fuzz/run.sh minimise"
    ;;
minimise)
    for target in "${targets[@]}"; do
        minimal=$folder/$target
        mkdir -p "$minimal"
        # libFuzzer names new seeds by their SHA-1; all others have a readable name.
        find "fuzz/corpus/$target" -type f | grep -vE '/[0-9a-f]{40}$' | while read -r seed; do cp "$seed" "$minimal/"; done
        "$binaries/$target" -set_cover_merge=1 -use_counters=0 -max_len=9000 "$minimal" "fuzz/corpus/$target" >"$folder/$target.log" 2>&1
        find "fuzz/corpus/$target" -type f | grep -E '/[0-9a-f]{40}$' | while read -r find; do
            [ -e "$minimal/$(basename "$find")" ] || rm "$find"
        done
        echo "fuzz: $target keeps $(ls "fuzz/corpus/$target" | wc -l) seeds"
    done
    rm -rf "$folder"
    ;;
esac
exit "$failed"
