#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): revoking an unknown token succeeds with 200, and the body holds an OAuth error.
#
# RFC 7009 §2.2: an invalid token is no error, since the client's purpose is already met; the status is 200 and the
# client ignores the body. Keycloak has the status right and writes an error all the same. Seen:
#
#> status: 200
#> error in the body: invalid_token
#
# What it means for a client of the device grant: servers exist that answer polls with 200 and an `error` member, so a
# client looks for one in every body, whatever the status. A client that does so here, too, "fails" to sign out when
# the token was dead before, tries again, and keeps its local copy.
#
# What ours does: at this endpoint the status alone decides (core/tests/revocation.rs), unlike at the others.
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
keycloak_start "$port" 60

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking

base = f"http://127.0.0.1:{sys.argv[1]}/realms/home/protocol/openid-connect"
form = {"client_id": "tv", "token": "never-given-out", "token_type_hint": "refresh_token"}
answer = asking.send(base + "/revoke", form)
print("status:", answer.status)
print("error in the body:", answer.json.get("error") if isinstance(answer.json, dict) else None)
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
