#!/usr/bin/env bash
# django-oauth-toolkit 3.4.1 (PyPI): the metadata names the device grant but not the endpoint where it begins.
#
# RFC 8628 §4 has `device_authorization_endpoint` for exactly this. The site publishes both documents (RFC 8414 and
# OpenID Connect Discovery), says in the first that it supports the grant, and the endpoint is there and answers.
# Seen:
#
#> oauth-authorization-server lists the device grant: yes
#> oauth-authorization-server has device_authorization_endpoint: no
#> openid-configuration has device_authorization_endpoint: no
#> POST to the endpoint that is not named: 200 ok
#
# What it means for a client of the device grant: discovery succeeds and is still not enough. "No such endpoint" must
# not be reported as "the server does not support this", and there must be a way to name the endpoint by hand beside
# the metadata.
#
# What ours does: metadata without the endpoint is an error that says what to set (core/tests/client.rs), and an
# endpoint that is set by hand goes before the metadata.
source "$(dirname "$0")/common/script.sh"

python_packages django-oauth-toolkit==3.4.1 oauthlib==3.3.1 Django==5.2.19
port=$(free_port)
serve "$port" "$work/venv/bin/python" "$common/dot_site.py" "$port" "$work"
python_version_of django-oauth-toolkit

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking

base = f"http://127.0.0.1:{sys.argv[1]}/o"
metadata = {name: asking.send(f"{base}/.well-known/{name}").json
            for name in ("oauth-authorization-server", "openid-configuration")}
grants = metadata["oauth-authorization-server"]["grant_types_supported"]
print("oauth-authorization-server lists the device grant:", "yes" if asking.DEVICE_GRANT in grants else "no")
for name, document in metadata.items():
    print(f"{name} has device_authorization_endpoint:", "yes" if "device_authorization_endpoint" in document else "no")
print("POST to the endpoint that is not named:",
      asking.send(base + "/device-authorization/", {"client_id": "tv", "scope": "openid"}))
END_OF_PROGRAM
timeout 60 python3 "$work/run.py" "$port" | as_stated
