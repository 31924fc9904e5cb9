"""Owns the client with a key: a P-256 key of its own, the client assertions that it signs (RFC 7523), and how it is
registered with Keycloak. Needs PyJWT and cryptography."""
import json
import time
import uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key():
    """A private key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


def public_jwk(pem):
    """The required members of RFC 7518 §6.2.1 alone."""
    key = serialization.load_pem_private_key(pem.encode(), None).public_key()
    jwk = json.loads(ECAlgorithm.to_jwk(key))
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def keycloak_client(name, jwk):
    """What Keycloak imports: a client of the device grant that proves itself with this key (private_key_jwt)."""
    return json.dumps({
        "clientId": name, "publicClient": False, "standardFlowEnabled": False,
        "clientAuthenticatorType": "client-jwt",
        "attributes": {
            "oauth2.device.authorization.grant.enabled": "true",
            "use.jwks.string": "true", "jwks.string": json.dumps({"keys": [jwk]}),
        },
    })


def form(client, pem, audience):
    """The members of a request that prove who the client is."""
    now = int(time.time())
    claims = {
        "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()),
    }
    return {
        "client_id": client,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(claims, pem, "ES256"),
    }
