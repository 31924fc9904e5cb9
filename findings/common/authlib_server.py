"""Owns the Authlib server of the scripts: `authlib_server.py PORT`.

Everything that Authlib leaves to its user is as plain as can be: state in memory, codes stay pending. Clients: "tv"
(public), "tv-secret" (Basic, secret "a b/c"), "web" (public, registered for the authorization code alone).
"""
import secrets
import sys
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE, DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict)
from flask import Flask

port = int(sys.argv[1])


class Client(ClientMixin):
    def __init__(self, id, method="none", secret="", grant=DEVICE_CODE_GRANT_TYPE):
        self.id, self.method, self.secret, self.grant = id, method, secret, grant

    def get_client_id(self):
        return self.id

    def get_allowed_scope(self, scope):
        return scope

    def check_client_secret(self, secret):
        return secrets.compare_digest(self.secret.encode(), secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant):
        return grant == self.grant


codes = {}
clients = [Client("tv"), Client("tv-secret", "client_secret_basic", "a b/c"), Client("web", grant="authorization_code")]


class Endpoint(DeviceAuthorizationEndpoint):
    CLIENT_AUTH_METHODS = ["none", "client_secret_basic"]

    def get_verification_uri(self):
        return f"http://127.0.0.1:{port}/activate"

    def save_device_credential(self, client_id, scope, data):
        expires_at = time.time() + data["expires_in"]
        codes[data["device_code"]] = DeviceCredentialDict(data, client_id=client_id, scope=scope, expires_at=expires_at)


class Grant(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none", "client_secret_basic"]

    def query_device_credential(self, device_code):
        return codes.get(device_code)

    def query_user_grant(self, user_code):
        return None

    def should_slow_down(self, credential):
        return False


app = Flask(__name__)
server = AuthorizationServer(app, {client.id: client for client in clients}.get, lambda token, request: None)
server.register_endpoint(Endpoint)
server.register_grant(Grant)


@app.post("/device_authorization")
def device_authorization():
    return server.create_endpoint_response(Endpoint.ENDPOINT_NAME)


@app.post("/token")
def token():
    return server.create_token_response()


app.run("127.0.0.1", port)
