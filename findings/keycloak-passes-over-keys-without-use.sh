#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven Central): a client's public key is not found when its JWK does not say what it is for.
#
# `use` is optional in a JWK (RFC 7517 §4.2), and many tools leave it out: the required members of a key are what its
# thumbprint is made of. A client of private_key_jwt that is registered with such a key is saved without a word, and
# every request of it is refused. With `"use":"sig"` in the same key, all is well. Seen, of one key:
#
#> registered with kty, crv, x, y: 400 invalid_client Unable to load public key
#> registered with "kid", too: 400 invalid_client Unable to load public key
#> registered with "use": 200
#
# What it means for a client of the device grant: the message speaks of loading, and whoever reads it checks the key, its
# format and the clock first. A tool that prints a public key for registration had better print `use`.
#
# What ours does: `SigningKey::public_jwk` says `"use":"sig"`; docs/keys.md says what to register.
source "$(dirname "$0")/common/script.sh"
source "$common/keycloak.sh"

python_packages PyJWT==2.15.1 cryptography==50.0.2
cat >"$work/clients.py" <<'END_OF_PROGRAM'
import sys
import signing

pem = signing.new_key()
jwk = signing.public_jwk(pem)
open(sys.argv[1], "w").write(pem)
print(signing.keycloak_client("bare", jwk))
print(signing.keycloak_client("named", jwk | {"kid": "one"}))
print(signing.keycloak_client("used", jwk | {"use": "sig"}))
END_OF_PROGRAM
mapfile -t clients < <(python "$work/clients.py" "$work/key.pem")

port=$(free_port)
keycloak_start "$port" 60 "${clients[@]}"

cat >"$work/run.py" <<'END_OF_PROGRAM'
import sys
import asking
import signing

issuer = f"http://127.0.0.1:{sys.argv[1]}/realms/home"
pem = open(sys.argv[2]).read()
for client, registered in (("bare", "kty, crv, x, y"), ("named", '"kid", too'), ("used", '"use"')):
    form = signing.form(client, pem, issuer) | {"scope": "openid"}
    answer = asking.send(issuer + "/protocol/openid-connect/auth/device", form)
    said = [answer.json.get("error"), answer.json.get("error_description")]
    print(f"registered with {registered}:", answer.status, *filter(None, said))
END_OF_PROGRAM
python "$work/run.py" "$port" "$work/key.pem" | as_stated
