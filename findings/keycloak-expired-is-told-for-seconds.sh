#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): `expired_token` is the answer for some seconds only; afterwards the code was never
# known.
#
# `expired_token` (RFC 8628 §3.5) has its own meaning: begin anew, nothing is wrong. Keycloak keeps an expired code
# for the interval and ten seconds more. Seen, with a lifetime of 3 s and an interval of 1 s:
#
#> expires_in 3, interval 1
#> poll after 2 s: 400 authorization_pending
#> poll after 5 s: 400 expired_token
#> poll after 20 s: 400 invalid_grant
#
# What it means for a client of the device grant: a device that slept, or that waits long after a failure, asks too
# late to hear it and gets the answer for a wrong or used code. Only the client's own clock can tell the two apart, so
# its deadline must survive sleep and restart. "The server will say when it is over" holds for clients that poll on
# time.
#
# What ours does: after its own deadline it does not ask, and says `Expired`, also when it is resumed from a snapshot
# later (rule 8 of docs/polling-law.md; core/tests/snapshot.rs).
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
keycloak_start "$port" 3

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import time
import asking

base = f"http://127.0.0.1:{sys.argv[1]}/realms/home/protocol/openid-connect"
asking.send(base + "/auth/device", {"client_id": "tv"})  # the first request is slow
code = asking.send(base + "/auth/device", {"client_id": "tv"}).json
begun = time.monotonic()
print(f"expires_in {code['expires_in']}, interval {code['interval']}")
for after in (2, 5, 20):
    time.sleep(max(0, begun + after - time.monotonic()))
    print(f"poll after {after} s:", asking.poll(base + "/token", code["device_code"], "tv"))
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
