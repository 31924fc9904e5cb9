"""Owns the plain HTTP side of the scripts: a form sent to a server, and what came back, without any OAuth library."""
import http.client
import json
import urllib.parse

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = {}

    def __str__(self):
        said = self.json.get("error") if isinstance(self.json, dict) else None
        return f"{self.status} {said or ('token' if 'access_token' in self.json else 'ok')}"


def send(url, form=None, headers={}):
    """POST of a form, or GET without one. Every request has its own connection."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    body = None if form is None else urllib.parse.urlencode(form)
    more = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
    path = urllib.parse.urlunsplit(("", "", *parts[2:4], "")) or "/"
    connection.request("GET" if form is None else "POST", path, body, {"Accept": "application/json", **more, **headers})
    answer = connection.getresponse()
    try:
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def poll(token_endpoint, device_code, client_id, headers={}, **more):
    form = {"grant_type": DEVICE_GRANT, "device_code": device_code, "client_id": client_id, **more}
    return send(token_endpoint, form, headers)
