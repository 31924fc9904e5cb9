#!/usr/bin/env bash
# django-oauth-toolkit 3.4.1 (PyPI): an expired device code is answered with `authorization_pending`, for ever.
#
# RFC 8628 §3.5 has `expired_token` for it, and §3.2 has the server announce the lifetime. The site announces it, and
# nothing checks it when a poll comes. Seen, with a lifetime of 3 s:
#
#> expires_in: 3
#> poll after 1 s: 400 authorization_pending
#> poll after 5 s: 400 authorization_pending
#> poll after 15 s: 400 authorization_pending
#
# What it means for a client of the device grant: a loop that goes on until the server says something else never ends,
# while the person's page has long refused the code. Only the client's own clock, started when the code arrives, ends
# the wait.
#
# What ours does: the deadline is the client's own and hard (rule 8 of docs/polling-law.md; captured from this server
# and replayed in core/tests/captures/conversations.rs; case P30 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

python_packages django-oauth-toolkit==3.4.1 oauthlib==3.3.1 Django==5.2.19
port=$(free_port)
serve "$port" "$work/venv/bin/python" "$common/dot_site.py" "$port" "$work" 3
python_version_of django-oauth-toolkit

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import time
import asking

base = f"http://127.0.0.1:{sys.argv[1]}/o"
code = asking.send(base + "/device-authorization/", {"client_id": "tv", "scope": "openid"}).json
print("expires_in:", code["expires_in"])
begun = time.monotonic()
for after in (1, 5, 15):
    time.sleep(max(0, begun + after - time.monotonic()))
    print(f"poll after {after} s:", asking.poll(base + "/token/", code["device_code"], "tv"))
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
