"""Owns a Microsoft Entra for MSAL Python, inside the process: an HTTP client that answers from a list, sending nothing.

`Entra(poll, poll, ...)` answers the device request with a code of 30 s and an interval of 1 s, each request to the
token endpoint with the next of the given (status, body) pairs, each given as such or as a function of the form, and
keeps what it was asked in `.asked`.
"""
import base64
import json
import time

AUTHORITY = "https://login.microsoftonline.com/organizations"
PENDING = (400, {"error": "authorization_pending"})


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def tokens(number, **change):
    """A token answer; `change` replaces members, and None removes them."""
    claims = {"aud": "tv", "iss": AUTHORITY + "/v2.0", "sub": "s", "oid": "o", "tid": "t",
              "preferred_username": "anna@example.test", "iat": int(time.time()), "exp": int(time.time()) + 3600}
    answer = {"token_type": "Bearer", "scope": "openid profile offline_access api/read", "expires_in": 3600,
              "access_token": f"AT-{number}", "refresh_token": f"RT-{number}",
              "id_token": f"{encoded({'alg': 'none'})}.{encoded(claims)}.x",
              "client_info": encoded({"uid": "o", "utid": "t"}), **change}
    return 200, {name: value for name, value in answer.items() if value is not None}


def rotation():
    """The answers of a server that takes each refresh token once and gives the next: RT-canary-1, RT-canary-2, ..."""
    number = 1

    def answer(form):
        nonlocal number
        if form["refresh_token"] != f"RT-canary-{number}":
            return 400, {"error": "invalid_grant"}
        number += 1
        return tokens(f"canary-{number}")
    return answer


class Response:
    def __init__(self, status_code, body):
        self.status_code, self.text, self.headers = status_code, json.dumps(body), {"Content-Type": "application/json"}

    def raise_for_status(self):
        if self.status_code >= 400:
            raise OSError(self.status_code)


class Entra:
    def __init__(self, *polls, expires_in=30):
        self.polls, self.expires_in, self.asked = list(polls), expires_in, []

    def get(self, url, **_):
        if "/common/discovery/instance" in url:
            return Response(200, {"tenant_discovery_endpoint": AUTHORITY, "metadata": []})
        return Response(200, {
            "issuer": AUTHORITY + "/v2.0", "authorization_endpoint": AUTHORITY + "/oauth2/v2.0/authorize",
            "token_endpoint": AUTHORITY + "/oauth2/v2.0/token",
            "device_authorization_endpoint": AUTHORITY + "/oauth2/v2.0/devicecode"})

    def post(self, url, data=None, **_):
        if url.endswith("/devicecode"):
            return Response(200, {"device_code": "DC", "user_code": "ABCD-EFGH", "message": "Go there.",
                                  "verification_uri": "https://login.example.test/device",
                                  "interval": 1, "expires_in": self.expires_in})
        self.asked.append(data)
        answer = self.polls.pop(0) if self.polls else PENDING
        return Response(*(answer(data) if callable(answer) else answer))

    def close(self):
        pass
