#!/usr/bin/env bash
# django-oauth-toolkit 3.4.1 (PyPI): with the scope `openid`, the sign-in brings no ID token; the refresh after it
# does.
#
# OpenID Connect (Core §12.2) makes the ID token of a refresh the optional one, as it repeats what the first one said.
# Here it is the other way round for the device grant. Seen:
#
#> token answer has an ID token: no
#> its scope: openid
#> refresh answer has an ID token: yes
#
# What it means for a client of the device grant: who signed in is not known until the first refresh. Tokens that were
# filed without a name must not become a second account when the name comes, and "the subject must be the one of
# before" must not fail because there was none before.
#
# What ours does: tokens without an ID token are filed under an account without a name, and a refresh that brings one
# gives that same account its name (core/tests/sign_in/accounts.rs).
source "$(dirname "$0")/common/script.sh"

python_packages django-oauth-toolkit==3.4.1 oauthlib==3.3.1 Django==5.2.19
port=$(free_port)
serve "$port" "$work/venv/bin/python" "$common/dot_site.py" "$port" "$work"
python_version_of django-oauth-toolkit

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking
import person

base = f"http://127.0.0.1:{sys.argv[1]}/o"
code = asking.send(base + "/device-authorization/", {"client_id": "tv", "scope": "openid"}).json
fields = {"username": "anna", "password": "any-will-do", "user_code": code["user_code"]}
page = person.answer(code["verification_uri"], fields, ["log in", "accept|approve|allow|authorize"])
tokens = asking.poll(base + "/token/", code["device_code"], "tv").json
if "access_token" not in tokens:
    sys.exit(f"not approved: {tokens}; {page}")
print("token answer has an ID token:", "yes" if "id_token" in tokens else "no")
print("its scope:", tokens["scope"])
form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "tv"}
refreshed = asking.send(base + "/token/", form).json
print("refresh answer has an ID token:", "yes" if "id_token" in refreshed else "no")
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
