#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm): sending a poll again that has already been answered with tokens revokes these tokens.
#
# A client that loses the answer to a poll, or whose HTTP library repeats a POST by itself, would expect an error at
# worst for the repetition. Here the repetition is refused AND everything that came of the first answer is dead. Seen:
#
#> approved poll: 200 token
#> the same poll again: 400 invalid_grant
#> refresh with the token of the first answer: 400 invalid_grant
#>
#> without the second poll: 200 token
#> refresh: 200 token
#
# What it means for a client of the device grant: a poll must never be repeated behind the client's back, neither by a
# connection pool that replaces a dead connection nor by a retry layer, and two processes must never poll the same
# code.
#
# What ours does: one poll at a time; a poll that was sent is never sent again by an adapter (case C13 of
# docs/cases.md), and a snapshot taken while a poll is in flight says so.
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


def approved():
    code = asking.send(base + "/device/auth", {"client_id": "tv", "scope": "openid offline_access"}).json
    fields = {"login": "anna", "password": "any"}
    person.answer(code["verification_uri_complete"], fields, ["sign-in", "continue", "confirm"])
    return code["device_code"]


def refresh(tokens):
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "tv"}
    return asking.send(base + "/token", form)


code = approved()
first = asking.poll(base + "/token", code, "tv")
print("approved poll:", first)
print("the same poll again:", asking.poll(base + "/token", code, "tv"))
print("refresh with the token of the first answer:", refresh(first.json))
print()
only = asking.poll(base + "/token", approved(), "tv")
print("without the second poll:", only)
print("refresh:", refresh(only.json))
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
