#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm) on Node 20: an idle connection lives five seconds, and five seconds is the usual
# interval.
#
# The server names no interval, so that every client waits the five seconds of RFC 8628 §3.2 between two polls; and it
# closes idle connections after five seconds, which is the default of Node's own HTTP server. Seen:
#
#> interval in the answer: none
#> Keep-Alive: timeout=5
#> second request on the connection after 3 s: answered
#> second request on the connection after 7 s: closed without an answer
#
# What it means for a client of the device grant: with jitter, a slow_down or a slow answer, the pooled connection is
# dead or about to die at nearly every poll. A pool that finds this out only when it has sent the poll must choose
# between an error and sending a POST twice, and a poll that is sent twice revokes the tokens here
# (oidc-provider-resent-poll-revokes-tokens).
#
# What ours does: a connection that was closed while idle is replaced before the poll is written; a poll that was
# written and not answered is a failed poll, and the next one comes a longer wait later (case C13 of docs/cases.md,
# both adapters).
source "$(dirname "$0")/common/script.sh"

node_packages oidc-provider@9.13.3
cp "$common/oidc-provider.mjs" "$work"
port=$(free_port)
serve "$port" node "$work/oidc-provider.mjs" "$port"
node_version_of oidc-provider
echo "node $(node -p process.versions.node)"

cat >"$work/run.py" <<'END_OF_PROGRAM'
import http.client
import sys
import time

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask(connection):
    connection.request("POST", "/device/auth", "client_id=tv&scope=openid", FORM)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def twice(pause, first=False):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
    answer, body = ask(connection)
    if first:
        print("interval in the answer:", "some" if '"interval"' in body else "none")
        print("Keep-Alive:", answer.headers["Keep-Alive"])
    connection.auto_open = 0  # a new connection would hide what becomes of this one
    time.sleep(pause)
    try:
        ask(connection)
        said = "answered"
    except (http.client.HTTPException, OSError):
        said = "closed without an answer"
    print(f"second request on the connection after {pause} s:", said)


twice(3, first=True)
twice(7)
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
