#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): the issuer in a device's tokens is the address that the person's browser used, and at
# its own address the device cannot refresh.
#
# A server has one issuer (OpenID Connect Core §2, RFC 8414 §2), and the device compares the `iss` of its ID token with it.
# Where no hostname is configured, Keycloak takes the address of the request, and of a device's tokens that is the page on
# which they were approved, whoever fetches them. Seen, of a device that talks to 127.0.0.1:
#
#> metadata: issuer at 127.0.0.1
#> approved at 127.0.0.1: ID token of 127.0.0.1, refresh 200 token
#> approved at localhost: ID token of localhost, refresh 400 invalid_grant
#> the same token, refreshed at localhost: 200 token
#
# What it means for a client of the device grant: behind a proxy, in a container or with http here and https there, the
# sign-in works until the first refresh, and then looks as if the token were dead; a client that checks the ID token
# refuses it at once. Both go away when the server is given a hostname, or the device the person's address as the issuer.
#
# What ours does: an ID token of another issuer is an error that names it, and nothing of that answer is kept
# (testkit/tests/support/keycloak_sessions.rs, docs/servers.md).
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

port=$(free_port)
keycloak_start "$port" 60

cat >"$work/run.py" <<'END_OF_PROGRAM'
import base64
import json
import sys
import urllib.parse
import asking
import person

realm = f"http://127.0.0.1:{sys.argv[1]}/realms/home"
base = realm + "/protocol/openid-connect"


def host(url):
    return urllib.parse.urlsplit(url).hostname


def refresh(base, token):
    form = {"client_id": "tv", "grant_type": "refresh_token", "refresh_token": token}
    return asking.send(base + "/token", form)


def approved_at(address):
    code = asking.send(base + "/auth/device", {"client_id": "tv", "scope": "openid"}).json
    page = code["verification_uri_complete"].replace("127.0.0.1", address)
    text = person.answer(page, {"username": "anna", "password": "any-will-do"}, ["accept|yes", "sign in"])
    if "successful" not in text.lower():
        sys.exit(f"not approved: {text}")
    tokens = asking.poll(base + "/token", code["device_code"], "tv").json
    payload = tokens["id_token"].split(".")[1]
    issuer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
    answer = refresh(base, tokens["refresh_token"])
    print(f"approved at {address}: ID token of {host(issuer)}, refresh", answer)
    return tokens["refresh_token"]


print("metadata: issuer at", host(asking.send(realm + "/.well-known/openid-configuration").json["issuer"]))
approved_at("127.0.0.1")
token = approved_at("localhost")
print("the same token, refreshed at localhost:", refresh(base.replace("127.0.0.1", "localhost"), token))
END_OF_PROGRAM
timeout 90 python3 "$work/run.py" "$port" | as_stated
