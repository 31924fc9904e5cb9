#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): a client assertion whose `aud` names the server twice is refused, and so is the URL of
# the endpoint that is called.
#
# RFC 7523 §3: the audience must contain a value that identifies the server; a list may hold several (RFC 7519 §4.1.3).
# OpenID Connect Core §9 has the URL of the token endpoint, RFC 8414 has the issuer, and a client that wants to be
# understood by every server puts both. Seen, at the device authorization endpoint:
#
#> the issuer: 200
#> the token endpoint: 200
#> a list of the issuer: 200
#> a list of the issuer and the token endpoint: 400 invalid_client Multiple audiences not allowed
#> the endpoint that is called: 400 invalid_client Invalid token audience
#
# What it means for a client of the device grant: one audience, as one text. The issuer is what every server that was
# tried takes. A library that names the endpoint it calls works at the token endpoint and gets no code.
#
# What ours does: the issuer alone, or on demand the token endpoint alone (`ClientBuilder::client_assertion`,
# core/tests/keys.rs).
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

python_packages PyJWT==2.15.1 cryptography==50.0.2
cat >"$work/client.py" <<'END_OF_PROGRAM'
import sys
import signing

pem = signing.new_key()
open(sys.argv[1], "w").write(pem)
print(signing.keycloak_client("signs", signing.public_jwk(pem) | {"use": "sig"}))
END_OF_PROGRAM
client=$(python "$work/client.py" "$work/key.pem")

port=$(free_port)
keycloak_start "$port" 60 "$client"

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking
import signing

issuer = f"http://127.0.0.1:{sys.argv[1]}/realms/home"
pem = open(sys.argv[2]).read()
token, device = (f"{issuer}/protocol/openid-connect/{end}" for end in ("token", "auth/device"))
for what, audience in (
    ("the issuer", issuer),
    ("the token endpoint", token),
    ("a list of the issuer", [issuer]),
    ("a list of the issuer and the token endpoint", [issuer, token]),
    ("the endpoint that is called", device),
):
    answer = asking.send(device, signing.form("signs", pem, audience) | {"scope": "openid"})
    said = [answer.json.get("error"), answer.json.get("error_description")]
    print(f"{what}:", answer.status, *filter(None, said))
END_OF_PROGRAM
python "$work/run.py" "$port" "$work/key.pem" | as_stated
