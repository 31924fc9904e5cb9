"""Owns the Authlib server: a Flask application, all state in memory.

Authlib is a library: grants, client authentication and answers are its own; this file adds the storage, the page where a person
decides, and the rule for `slow_down`. That rule is the strictest reading of RFC 8628 §3.5: any poll sooner than the interval after
the previous one, even after a refused one, is answered with `slow_down`, and each such answer adds five seconds for good.
"""

import json
import os
import pathlib
import secrets
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, TokenMixin
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants.code import OpenIDToken
from flask import Flask, jsonify, render_template_string, request, session
from joserfc.jwk import KeySet, RSAKey, import_key

SOURCES = pathlib.Path(__file__).parent
INSTALLED = pathlib.Path(os.environ["INSTALLED"])
ISSUER = os.environ["BASE_URL"]
EXPIRES = int(os.environ.get("EXPIRES", "600"))
INTERVAL = int(os.environ.get("INTERVAL", "5"))

SCOPES = ["openid", "profile", "email", "offline_access", "api:read"]
AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
PASSWORDS = {"alice": "alice-pw"}
SIGNING_KEY = RSAKey.import_key(
    (INSTALLED / "signing-key.pem").read_bytes(), {"kid": "k1", "use": "sig", "alg": "RS256"}
)


class Client(ClientMixin):
    def __init__(self, client):
        self.id = client["id"]
        self.secret = client.get("secret", "")
        self.auth = client["auth"]
        self.jwk = client.get("jwk")
        self.grants = [DEVICE_CODE_GRANT_TYPE, "refresh_token"] if client["grant"] == "device" else [client["grant"]]

    def get_client_id(self):
        return self.id

    def get_allowed_scope(self, scope):
        return " ".join(s for s in (scope or "").split() if s in SCOPES)

    def check_client_secret(self, secret):
        return secrets.compare_digest(self.secret.encode(), secret.encode())

    def check_endpoint_auth_method(self, method, _endpoint):
        return method == self.auth

    def check_grant_type(self, grant):
        return grant in self.grants


class User:
    def __init__(self, name):
        self.name = name


class Token(dict, TokenMixin):
    """A token answer, with `client_id`, `user` and `issued_at`; revoking the one revokes all of it."""

    revoked = False

    def check_client(self, client):
        return self["client_id"] == client.get_client_id()

    def get_scope(self):
        return self.get("scope", "")


CLIENTS = {c["id"]: Client(c) for c in json.loads((SOURCES / "clients.json").read_text())}
for with_key in json.loads(os.environ.get("KEYS", "{}")).get("clients", []):
    CLIENTS[with_key["id"]] = Client(with_key | {"auth": "private_key_jwt", "grant": "device"})
LOCK = threading.Lock()
BY_DEVICE_CODE = {}
BY_USER_CODE = {}
DECISIONS = {}  # user code: (user, approved)
ACCESS_TOKENS = {}
REFRESH_TOKENS = {}
SEEN_ASSERTIONS = set()


class SignedAssertion(JWTBearerClientAssertion):
    # Authlib calls it client_assertion_jwt, metadata and clients do not.
    CLIENT_AUTH_METHOD = "private_key_jwt"

    def get_audiences(self):
        return [ISSUER, f"{ISSUER}/token"]

    def resolve_client_public_key(self, client):
        return import_key(client.jwk)

    def validate_jti(self, claims, jti):
        with LOCK:
            new = (claims["sub"], jti) not in SEEN_ASSERTIONS
            SEEN_ASSERTIONS.add((claims["sub"], jti))
            return new


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS
    EXPIRES_IN = EXPIRES
    INTERVAL = INTERVAL

    def get_verification_uri(self):
        return f"{ISSUER}/activate"

    def save_device_credential(self, client_id, scope, data):
        credential = DeviceCredentialDict(
            data, client_id=client_id, scope=scope, expires_at=time.time() + EXPIRES, last_poll=0, gap=INTERVAL
        )
        BY_DEVICE_CODE[data["device_code"]] = credential
        BY_USER_CODE[data["user_code"]] = credential


class Device(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_device_credential(self, device_code):
        return BY_DEVICE_CODE.get(device_code)

    def query_user_grant(self, user_code):
        return DECISIONS.get(user_code)

    def should_slow_down(self, credential):
        with LOCK:
            now = time.time()
            too_fast = now - credential["last_poll"] < credential["gap"]
            credential["last_poll"] = now
            if too_fast:
                credential["gap"] += 5
            return too_fast

    def create_token_response(self):
        # Used once, even when several polls come at the same moment.
        if BY_DEVICE_CODE.pop(self.request.credential["device_code"], None) is None:
            raise InvalidGrantError()
        return super().create_token_response()


class Refresh(RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token):
        token = REFRESH_TOKENS.get(refresh_token)
        return token if token and not token.revoked else None

    def authenticate_user(self, refresh_token):
        return User(refresh_token["user"])

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string, _hint):
        return REFRESH_TOKENS.get(token_string) or ACCESS_TOKENS.get(token_string)

    def revoke_token(self, token, _request):
        token.revoked = True


class IdToken(OpenIDToken):
    def resolve_client_private_key(self, _client):
        return SIGNING_KEY

    def get_client_algorithm(self, _client):
        return "RS256"

    def get_encode_header(self, _client):
        return {"alg": "RS256", "kid": "k1"}

    def get_compatible_claims(self, oauth_request):
        now = int(time.time())
        return {"iss": ISSUER, "aud": [oauth_request.client.get_client_id()], "iat": now, "exp": now + 3600}

    def generate_user_info(self, user, _scope):
        return UserInfo(sub=user.name)


def save_token(token, oauth_request):
    saved = Token(
        token, client_id=oauth_request.client.get_client_id(), user=oauth_request.user.name, issued_at=time.time()
    )
    ACCESS_TOKENS[saved["access_token"]] = saved
    if "refresh_token" in saved:
        REFRESH_TOKENS[saved["refresh_token"]] = saved


app = Flask(__name__)
app.secret_key = "test-only"
app.config.update(
    OAUTH2_REFRESH_TOKEN_GENERATOR=True,
    OAUTH2_SCOPES_SUPPORTED=SCOPES,
    OAUTH2_TOKEN_EXPIRES_IN={DEVICE_CODE_GRANT_TYPE: 3600, "refresh_token": 3600},
)
server = AuthorizationServer(app, CLIENTS.get, save_token)
server.register_client_auth_method(SignedAssertion.CLIENT_AUTH_METHOD, SignedAssertion())
server.register_endpoint(DeviceAuthorization)
server.register_endpoint(Revocation)
server.register_grant(Device, [IdToken()])
server.register_grant(Refresh)


@app.post("/device_authorization")
def device_authorization():
    return server.create_endpoint_response(DeviceAuthorization.ENDPOINT_NAME)


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.get("/jwks")
def jwks():
    return jsonify(KeySet([SIGNING_KEY]).as_dict(private=False))


@app.get("/.well-known/oauth-authorization-server")
@app.get("/.well-known/openid-configuration")
def metadata():
    return jsonify(
        issuer=ISSUER,
        device_authorization_endpoint=f"{ISSUER}/device_authorization",
        token_endpoint=f"{ISSUER}/token",
        revocation_endpoint=f"{ISSUER}/revoke",
        jwks_uri=f"{ISSUER}/jwks",
        grant_types_supported=[DEVICE_CODE_GRANT_TYPE, "refresh_token"],
        response_types_supported=[],
        token_endpoint_auth_methods_supported=AUTH_METHODS,
        # What its JOSE library takes unless it is told otherwise.
        token_endpoint_auth_signing_alg_values_supported=["ES256", "RS256"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
    )


ACTIVATE_PAGE = """<!doctype html><title>Device</title>
<p>{{ message }}</p>
{% if ask %}<form method="post">
<input type="hidden" name="csrf" value="{{ session.csrf }}">
{% if ask == "sign in" %}
<input type="hidden" name="user_code" value="{{ user_code }}">
<input name="username"><input name="password" type="password"><button>Sign in</button>
{% elif ask == "code" %}
<input name="user_code"><button>Next</button>
{% else %}
<input type="hidden" name="user_code" value="{{ user_code }}">
<button name="action" value="allow">Allow</button><button name="action" value="deny">Deny</button>
{% endif %}
</form>{% endif %}"""


@app.route("/activate", methods=["GET", "POST"])
def activate():
    """Sign in, type the code, decide: each page carries on what the one before it learnt."""
    csrf = session.setdefault("csrf", secrets.token_hex(8))
    form = request.form
    user_code = (form.get("user_code") or request.args.get("user_code") or "").strip().upper()

    def page(message, ask=None):
        return render_template_string(ACTIVATE_PAGE, message=message, ask=ask, user_code=user_code)

    if request.method == "POST" and form.get("csrf") != csrf:
        return page("This form is stale"), 403
    if "username" in form:
        if not form["username"] or PASSWORDS.get(form["username"]) != form.get("password"):
            return page("Wrong password"), 403
        session["user"] = form["username"]
    if "user" not in session:
        return page("Sign in", ask="sign in")
    if not user_code:
        return page("Enter the code", ask="code")
    credential = BY_USER_CODE.get(user_code)
    if not credential or credential.is_expired() or user_code in DECISIONS:
        return page("Code not found")
    if form.get("action") not in ("allow", "deny"):
        return page(f"{credential.get_client_id()} wants: {credential.get_scope()} (code {user_code})", ask="decision")
    approved = form["action"] == "allow"
    DECISIONS[user_code] = (User(session["user"]), approved)
    return page("Device authorized" if approved else "Device denied")
