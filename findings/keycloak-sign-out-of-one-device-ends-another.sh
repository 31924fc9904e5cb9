#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): two devices that were approved in one browser share a session, and the sign-out of one
# signs the other out.
#
# Each device has a device code and tokens of its own, and RFC 7009 §2.1 is about one token and those of its grant; two
# sign-ins are two grants. Keycloak hangs both on the session of the browser, which also depends on when the first one
# polls. Seen, after one of the two has revoked its refresh token:
#
#> two browsers: the other refreshes, 200 token
#> one browser: the other refreshes, 400 invalid_grant
#> one browser, the other is another client: the other refreshes, 200 token
#> one browser, offline_access: the other refreshes, 400 invalid_grant
#> one browser, offline_access, approved after the first poll: the other refreshes, 200 token
#
# What it means for a client of the device grant: somebody who signs in a laptop and a server in one sitting and removes
# one of them finds the other signed out, with an error that says that its token is dead. It was not stolen, and nothing
# is wrong with that device: it has to ask for a new code.
#
# What ours does: a refused refresh token is an end that only a new sign-in mends, and is told so, with the server's words
# (testkit/tests/support/keycloak_sessions.rs). Devices that must not end each other are approved in windows of their own
# (docs/servers.md).
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
attributes='"attributes": {"oauth2.device.authorization.grant.enabled": "true"}'
keycloak_start "$port" 60 '{"clientId": "radio", "publicClient": true, "standardFlowEnabled": false, '"$attributes"'}'

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import time
import asking
import person

base = f"http://127.0.0.1:{sys.argv[1]}/realms/home/protocol/openid-connect"


def ask(client, scope):
    return client, asking.send(base + "/auth/device", {"client_id": client, "scope": scope}).json


def approve(device, browser):
    fields = {"username": "anna", "password": "any-will-do"}
    page = person.answer(device[1]["verification_uri_complete"], fields, ["accept|yes", "sign in"], within=browser)
    if "successful" not in page.lower():
        sys.exit(f"not approved: {page}")


def token(device):
    return asking.poll(base + "/token", device[1]["device_code"], device[0]).json["refresh_token"]


def try_out(what, scope="openid", other="tv", browsers=1, late=False):
    devices = [ask("tv", scope), ask(other, scope)]
    browser = [person.browser() for _ in range(browsers)]
    approve(devices[0], browser[0])
    tokens = [token(devices[0])] if late else []
    approve(devices[1], browser[-1])
    tokens += [token(device) for device in devices[len(tokens):]]
    asking.send(base + "/revoke", {"client_id": "tv", "token": tokens[0], "token_type_hint": "refresh_token"})
    form = {"client_id": other, "grant_type": "refresh_token", "refresh_token": tokens[1]}
    print(f"{what}: the other refreshes,", asking.send(base + "/token", form))


try_out("two browsers", browsers=2)
try_out("one browser")
try_out("one browser, the other is another client", other="radio")
try_out("one browser, offline_access", "openid offline_access")
try_out("one browser, offline_access, approved after the first poll", "openid offline_access", late=True)
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
