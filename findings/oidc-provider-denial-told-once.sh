#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm): only one poll is told that the person refused; the next one gets `invalid_grant`.
#
# RFC 8628 §3.5 gives a refusal its own code, `access_denied`, and a server could repeat it for as long as the code
# lives, as this one does with `expired_token`. Here the answer that reports the refusal removes the code at once.
# Seen:
#
#> first poll after the refusal: 400 access_denied
#> second poll after the refusal: 400 invalid_grant
#> unknown code: 400 invalid_grant
#
# What it means for a client of the device grant: when the answer to that one poll is lost on the way, the refusal can
# never be learned, and "the code is not known" must not be told as a fault of the program. `invalid_grant` after a
# poll without an answer may well be a refusal (or a success, see oidc-provider-resent-poll-revokes-tokens).
#
# What ours does: it ends for good at either code; with `invalid_grant` it says that the server no longer knows the
# code (rule 10 of docs/polling-law.md) and does not guess which of the two it was.
source "$(dirname "$0")/common/script.sh"

node_packages oidc-provider@9.13.3
cp "$common/oidc-provider.mjs" "$work"
port=$(free_port)
serve "$port" node "$work/oidc-provider.mjs" "$port"
node_version_of oidc-provider

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking
import person

base = f"http://127.0.0.1:{sys.argv[1]}"
code = asking.send(base + "/device/auth", {"client_id": "tv", "scope": "openid"}).json
person.answer(code["verification_uri_complete"], {"login": "anna", "password": "any"}, ["abort"])
for which in ("first", "second"):
    print(f"{which} poll after the refusal:", asking.poll(base + "/token", code["device_code"], "tv"))
print("unknown code:", asking.poll(base + "/token", "a-code-that-never-was", "tv"))
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
