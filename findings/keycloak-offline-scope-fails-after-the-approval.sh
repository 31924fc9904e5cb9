#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): a scope that this person may not have is refused only after they have approved,
# with a code of Keycloak's own, and the approved code is spent.
#
# Whether somebody may have `offline_access` depends on a role of theirs, which the device request cannot know. The
# page could say so, or there could be a token with fewer scopes (RFC 6749 §3.3), or `access_denied`. Seen:
#
#> anna, with the role: 200 token
#> ben, without it, after his approval: 400 not_allowed
#> his next poll: 400 invalid_grant
#> ben, without asking for offline_access: 200 token
#
# What it means for a client of the device grant: the person reads "Device Login Successful" and the device says no,
# with an error code that no RFC lists. An unknown code must end the sign-in at once and be shown with its
# description, since that is all there is to act on; and a client that adds `offline_access` by itself locks such
# people out.
#
# What ours does: an unknown code is final and shown whole (rule 10 of docs/polling-law.md; case B07 of
# docs/cases.md); it adds scopes unasked with Microsoft's servers only.
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
keycloak_start "$port" 60

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import time
import asking
import person

base = f"http://127.0.0.1:{sys.argv[1]}/realms/home/protocol/openid-connect"


def approved(who, scope):
    code = asking.send(base + "/auth/device", {"client_id": "tv", "scope": scope}).json
    fields = {"username": who, "password": "any-will-do"}
    page = person.answer(code["verification_uri_complete"], fields, ["accept|yes", "sign in"])
    if "successful" not in page.lower():
        sys.exit(f"not approved: {page}")
    return code["device_code"]


print("anna, with the role:", asking.poll(base + "/token", approved("anna", "openid offline_access"), "tv"))
code = approved("ben", "openid offline_access")
print("ben, without it, after his approval:", asking.poll(base + "/token", code, "tv"))
time.sleep(2)
print("his next poll:", asking.poll(base + "/token", code, "tv"))
print("ben, without asking for offline_access:", asking.poll(base + "/token", approved("ben", "openid"), "tv"))
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
