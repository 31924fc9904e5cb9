#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): when the person approves a device and then signs out of the browser, the device is told
# to wait until its code expires.
#
# The approval was given, and the page said so; what the person does afterwards in a browser is not the device's. One
# would expect tokens, or at least an error that ends the wait. The device that polls before the sign-out has tokens; the
# one that polls a moment later never does. Seen, of a code that lives for 20 s, with an interval of 1 s:
#
#> approved, then polled: 200 token
#> approved, signed out of the browser, then polled: 400 authorization_pending
#> polled again: 400 authorization_pending
#> after 21 s: 400 expired_token
#
# What it means for a client of the device grant: on a borrowed computer people approve and sign out at once, which is
# good advice, and an interval of five seconds is long enough for that. `authorization_pending` may then last for the whole
# life of a code, which only the device's own clock ends; "the person has read that it worked" says nothing. Trying again
# helps, and staying signed in until the device is done.
#
# What ours does: polls on at the interval, ends at its own deadline, and says that the code has expired
# (testkit/tests/support/keycloak_sessions.rs, rule 8 of docs/polling-law.md).
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
keycloak_start "$port" 20

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import time
import asking
import person

base = f"http://127.0.0.1:{sys.argv[1]}/realms/home/protocol/openid-connect"
asking.send(base + "/auth/device", {"client_id": "tv"})  # the first request is slow


def approved(browser):
    code = asking.send(base + "/auth/device", {"client_id": "tv", "scope": "openid"}).json
    begun = time.monotonic()
    fields = {"username": "anna", "password": "any-will-do"}
    page = person.answer(code["verification_uri_complete"], fields, ["accept|yes", "sign in"], within=browser)
    if "successful" not in page.lower():
        sys.exit(f"not approved: {page}")
    return code["device_code"], begun


def poll(code):
    return asking.poll(base + "/token", code, "tv")


code, _ = approved(person.browser())
print("approved, then polled:", poll(code))
browser = person.browser()
code, begun = approved(browser)
page = person.answer(base + "/logout", {}, ["logout|yes"], within=browser)
if "logged out" not in page.lower():
    sys.exit(f"not signed out: {page}")
print("approved, signed out of the browser, then polled:", poll(code))
time.sleep(3)
print("polled again:", poll(code))
time.sleep(max(0, begun + 21.5 - time.monotonic()))
print("after 21 s:", poll(code))
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
