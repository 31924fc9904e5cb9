"""Times MSAL for Python on a cache file: `figures.py FILE`, one `what<TAB>microseconds` per line, medians.

`AUTHORITY`, `CLIENT_ID` and `SCOPE` say what to look for; the network is not asked for anything.
"""

import json
import os
import statistics
import sys
import time

import msal


def median(runs, inner, run):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(inner):
            run()
        times.append((time.perf_counter() - start) / inner)
    return statistics.median(times) * 1e6


class Answer:
    status_code = 200
    headers = {}

    def __init__(self, body):
        self.text = json.dumps(body)

    def raise_for_status(self):
        pass


class NoNetwork:
    """Answers with the endpoints, which the client needs when it is created, and fails every request for tokens."""

    def get(self, url, **_):
        assert url.endswith("/.well-known/openid-configuration"), f"a request to {url}"
        base = f"{os.environ['AUTHORITY']}/oauth2/v2.0"
        return Answer(
            {"issuer": url, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
        )

    def post(self, url, **_):
        raise AssertionError(f"a request to {url}")

    def close(self):
        pass


def loaded(text):
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    return cache


with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
cache = loaded(text)
app = msal.PublicClientApplication(
    os.environ["CLIENT_ID"], authority=os.environ["AUTHORITY"], token_cache=cache, http_client=NoNetwork()
)
accounts = app.get_accounts()
assert len(accounts) == 1_000, len(accounts)
turn = 0


def silent():
    global turn
    turn += 1
    result = app.acquire_token_silent([os.environ["SCOPE"]], account=accounts[turn % 1_000])
    assert result["token_source"] == "cache", result


print(f"silent hit\t{median(21, 100, silent):.2f}")
print(f"load\t{median(11, 1, lambda: loaded(text)):.2f}")
print(f"save\t{median(11, 1, cache.serialize):.2f}")
print(f"list of accounts\t{median(11, 1, app.get_accounts):.2f}")
