"""Owns a sign-in with Authlib's OAuth2Session. Authlib has requests and answers of the device flow but no polling: the
loop here is ours, as RFC 8628 has it, without a word on outages, as such loops usually are.

usage: python authlib_client.py ISSUER CLIENT-ID
"""

import sys
import time

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def sign_in(issuer, client_id):
    session = OAuth2Session(client_id, token_endpoint_auth_method="none", scope="openid profile")
    session.trust_env = False
    metadata = session.get(f"{issuer}/.well-known/openid-configuration", withhold_token=True).json()
    request = {"client_id": client_id, "scope": session.scope}
    code = session.post(metadata["device_authorization_endpoint"], data=request, withhold_token=True).json()
    interval, end = code.get("interval", 5), time.monotonic() + code["expires_in"]
    while time.monotonic() + interval < end:
        time.sleep(interval)
        try:
            # The session adds the client id.
            token = session.fetch_token(metadata["token_endpoint"], grant_type=GRANT, device_code=code["device_code"])
        except OAuthError as error:
            if error.error == "slow_down":
                interval += 5
            elif error.error != "authorization_pending":
                return error.error
            continue
        keys = KeySet.import_key_set(session.get(metadata["jwks_uri"], withhold_token=True).json())
        id_token = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
        jwt.JWTClaimsRegistry(iss={"value": issuer}, aud={"value": client_id}).validate(id_token.claims)
        return "signed in"
    return "expired"


if __name__ == "__main__":
    try:
        end = sign_in(*sys.argv[1:])
    except Exception as error:  # What ends a program that does not expect it.
        status = getattr(getattr(error, "response", None), "status_code", None)
        end = f"status {status}" if status else type(error).__name__
    print(end)
    sys.exit(end != "signed in")
