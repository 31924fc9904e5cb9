#!/usr/bin/env bash
# restate-server 1.7.12 (npm @restatedev/restate-server): work that finds no worker for 70 attempts is paused, and the
# return of the worker does not wake it.
#
# A durable engine is expected to try for as long as it takes; its SDK for Rust says of its retries that they are infinite.
# The server ends them at the seventieth: with the usual waits, a minute at most, after an hour. Then the invocation is
# paused until somebody resumes it by hand. Seen, with waits of a millisecond and no other setting:
#
#> the default: max-attempts = 70, on-max-attempts = "pause"
#> a worker that sleeps: suspended or running
#> the worker is gone: paused
#> ten seconds after it is back: paused
#> who asks for the outcome: 470
#> resumed by hand: 200 "done"
#
# What it means for a client of the device grant: an hour without workers, and the sign-ins that were waiting never end, not
# even as expired, although their codes have long died; who waits for an outcome waits for ever. Set the retry policy of
# the workflow, and watch for paused work.
#
# What ours does: the README of the example in engines/restate says so, and where to look.
source "$(dirname "$0")/common/script.sh"

node_packages --ignore-scripts @restatedev/restate-server@1.7.12 @restatedev/restate-sdk@1.17.2
cat >"$work/worker.mjs" <<'END_OF_PROGRAM'
// The SDK calls this; Node has it from version 22.
Promise.withResolvers ??= () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
const restate = await import("@restatedev/restate-sdk");
const run = async (ctx) => { await ctx.sleep(4000); return "done"; };
await restate.serve({ services: [restate.workflow({ name: "Work", handlers: { run } })], port: Number(process.argv[2]) });
END_OF_PROGRAM

export RESTATE_DISABLE_TELEMETRY=true RESTATE_ADMIN__DISABLE_WEB_UI=true RESTATE_LISTEN_MODE=tcp
export RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL=1ms RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL=1ms
ingress=$(free_port) admin=$(free_port) node=$(free_port) port=$(free_port)
export RESTATE_INGRESS__BIND_ADDRESS=127.0.0.1:$ingress RESTATE_ADMIN__BIND_ADDRESS=127.0.0.1:$admin
export RESTATE_BIND_ADDRESS=127.0.0.1:$node RESTATE_ADVERTISED_ADDRESS=http://127.0.0.1:$node
restate=$(cd "$work" && node -p \
  'require.resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`)' --input-type=commonjs)
serve "$ingress" "$restate" --no-logo --node-name finding --base-dir "$work/data"
serve "$port" node "$work/worker.mjs" "$port"
worker=${started[-1]}

ask() { curl -sS --max-time 20 "$@"; }
status() {
  ask -H 'accept: application/json' --json '{"query": "SELECT id, status FROM sys_invocation"}' \
    "http://127.0.0.1:$admin/query" | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0][sys.argv[1]])' "$1"
}
outcome() { ask "$@" -w '%{stderr}%{http_code}' -o "$work/outcome" "http://127.0.0.1:$ingress/restate/workflow/Work/a/output" 2>&1; }

quietly 60 curl -fsS --retry 30 --retry-delay 1 --retry-all-errors --json "{\"uri\": \"http://127.0.0.1:$port\"}" \
  "http://127.0.0.1:$admin/deployments"
node_version_of @restatedev/restate-server
{
  defaults=$(env -u RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL -u RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL \
    "$restate" --dump-config 2>"$work/dump.log" | sed -n '/^\[default-retry-policy\]/,/^\[worker\]/p')
  echo "the default: $(grep max-attempts <<<"$defaults" | paste -sd, | sed 's/,/, /')"

  quietly 30 curl -fsS -X POST "http://127.0.0.1:$ingress/Work/a/run/send"
  sleep 1
  echo "a worker that sleeps: $(status status | sed 's/^\(suspended\|running\)$/suspended or running/')"
  kill -9 "$worker"
  wait "$worker" 2>"$work/kill.log" || true
  for try in $(seq 60); do [ "$(status status)" = paused ] && break; sleep 0.5; done
  echo "the worker is gone: $(status status)"
  serve "$port" node "$work/worker.mjs" "$port"
  sleep 10
  echo "ten seconds after it is back: $(status status)"
  echo "who asks for the outcome: $(outcome)"
  ask -X PATCH "http://127.0.0.1:$admin/invocations/$(status id)/resume" >"$work/resumed"
  for try in $(seq 60); do [ "$(outcome)" = 200 ] && break; sleep 0.5; done
  echo "resumed by hand: $(outcome) $(cat "$work/outcome")"
} >"$work/all"
as_stated <"$work/all"
