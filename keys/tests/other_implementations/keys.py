"""Owns keys made by cryptography and joserfc, and the check by joserfc of what was signed with them.

usage: keys.py make FOLDER     one file for each kind of key and each form; the name begins with what they are
       keys.py check           reads a JSON array from standard input, and prints how many of it are right
"""

import json
import pathlib
import sys
import time
import warnings

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwk, jws

# Of the name EdDSA, which RFC 9864 replaces.
warnings.simplefilter("ignore")


def make(folder: pathlib.Path) -> None:
    keys = {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "rsa2048": rsa.generate_private_key(65537, 2048),
        "rsa3072": rsa.generate_private_key(65537, 3072),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    unusable = {
        "curve-p521": ec.generate_private_key(ec.SECP521R1()),
        "curve-secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "short-rsa1024": rsa.generate_private_key(65537, 1024),
    }
    plain, password = form.NoEncryption(), form.BestAvailableEncryption(b"canary")
    for name, key in {f"good-{name}": key for name, key in keys.items()}.items() | unusable.items():
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, plain)
        (folder / f"{name}-pkcs8.pem").write_bytes(pem)
    for name, key in keys.items():
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, password)
        (folder / f"encrypted-{name}-pkcs8.pem").write_bytes(pem)
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"public-{name}.pem").write_bytes(public)
        openssh = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, plain)
        (folder / f"openssh-{name}.pem").write_bytes(openssh)
        if name != "ed25519":
            old = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, plain)
            (folder / f"good-{name}-old.pem").write_bytes(old)
            old = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, password)
            (folder / f"encrypted-{name}-old.pem").write_bytes(old)
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, plain)
        kind = {"p": "EC", "r": "RSA", "e": "OKP"}[name[0]]
        imported = jwk.import_key(pem, kind)
        (folder / f"good-{name}.jwk").write_text(json.dumps(imported.as_dict(private=True)))
        (folder / f"public-{name}.jwk").write_text(json.dumps(imported.as_dict(private=False)))


def verified(text: str, key, algorithm: str) -> tuple[dict, dict]:
    registry = jws.JWSRegistry(algorithms=[algorithm])
    # 512 by default, which a proof with an RSA key exceeds.
    registry.max_header_length = 1024
    signed = jws.deserialize_compact(text, key, registry=registry)
    return signed.protected, json.loads(signed.payload)


def check() -> int:
    count = 0
    for made in json.load(sys.stdin):
        public, algorithm = jwk.import_key(made["jwk"]), made["algorithm"]
        assert public.thumbprint() == made["thumbprint"], made["name"]
        header, claims = verified(made["assertion"], public, algorithm)
        assert header == {"alg": algorithm, "typ": "JWT"} | ({"kid": made["jwk"]["kid"]} if "kid" in made["jwk"] else {})
        assert claims["iss"] == claims["sub"] == made["client_id"] and claims["aud"] == made["audience"]
        assert claims["exp"] == claims["iat"] + 60 and abs(claims["iat"] - time.time()) < 60
        header, claims = verified(made["proof"], public, algorithm)
        assert header["typ"] == "dpop+jwt" and jwk.import_key(header["jwk"]).thumbprint() == made["thumbprint"]
        assert (claims["htm"], claims["htu"], claims["nonce"]) == ("POST", made["url"], made["nonce"])
        count += 1
    return count


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
else:
    print(check())
