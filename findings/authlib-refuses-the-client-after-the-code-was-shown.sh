#!/usr/bin/env bash
# Authlib 1.9.9 (PyPI): a client without the device grant gets a code all the same; the refusal comes with the first
# poll.
#
# RFC 6749 §5.2 has the code `unauthorized_client` for it, and the device authorization endpoint could use it. Authlib
# looks at the client's grants at the token endpoint only. Seen, for a client registered for another grant:
#
#> device authorization: 200 ok
#> first poll: 400 unauthorized_client
#
# What it means for a client of the device grant: "a code came" proves nothing about the registration, neither to a
# self-test nor to the person, who may be at the verification page already when the refusal comes. So the error of a
# poll must be shown over the code, at once, and must speak of the registration and not of the person.
# (django-oauth-toolkit gives out the code as well.)
#
# What ours does: any error that does not mean "wait" ends the flow at the first poll, with advice (rule 10 of
# docs/polling-law.md; case B07 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

python_packages Authlib==1.9.9 Flask==3.1.3
port=$(free_port)
serve "$port" "$work/venv/bin/python" "$common/authlib_server.py" "$port"
python_version_of Authlib

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking

base = f"http://127.0.0.1:{sys.argv[1]}"
code = asking.send(base + "/device_authorization", {"client_id": "web"})
print("device authorization:", code)
print("first poll:", asking.poll(base + "/token", code.json["device_code"], "web"))
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
