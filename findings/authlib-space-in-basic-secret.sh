#!/usr/bin/env bash
# Authlib 1.9.9 (PyPI): a secret with a space, encoded for Basic as RFC 6749 says, is refused.
#
# RFC 6749 §2.3.1 has a client encode its id and its secret as a form (Appendix B: a space becomes `+`) before they go
# into the Basic header. Authlib undoes `%20` and leaves `+` as it is, so that the one spelling that the RFC names is
# the one that does not work. The secret is "a b/c". Seen:
#
#> a+b%2Fc (RFC 6749, Appendix B): 401 invalid_client
#> a%20b%2Fc (percent-encoded): 200 ok
#> a b/c (raw): 200 ok
#
# What it means for a client of the device grant: form libraries write `+`. Servers that read forms take `%20` as
# well, so `%20` is the spelling that suits both sides; raw does not, since other servers decode `+` and `%` in a raw
# secret.
#
# What ours does: form encoding with `%20` for a space (core/src/message/form.rs; case G09 of docs/cases.md), and raw
# credentials only when the user asks for them.
source "$(dirname "$0")/common/script.sh"

python_packages Authlib==1.9.9 Flask==3.1.3
port=$(free_port)
serve "$port" "$work/venv/bin/python" "$common/authlib_server.py" "$port"
python_version_of Authlib

cat >"$work/run.py" <<'END_OF_PROGRAM'
import base64
import sys
import asking


def ask(what, secret):
    basic = base64.b64encode(f"tv-secret:{secret}".encode()).decode()
    url = f"http://127.0.0.1:{sys.argv[1]}/device_authorization"
    print(f"{secret} ({what}):", asking.send(url, {"client_id": "tv-secret"}, {"Authorization": f"Basic {basic}"}))


ask("RFC 6749, Appendix B", "a+b%2Fc")
ask("percent-encoded", "a%20b%2Fc")
ask("raw", "a b/c")
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
