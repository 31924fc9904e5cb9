"""Owns the commands that a test can give to MSAL for Python: one with its arguments, answered with one line of JSON."""

import json
import sys

from msal_app import application

app = application()


def account(username):
    return next((known for known in app.get_accounts() if known["username"] == username), None)


def told(result):
    if result is None:
        return {"nothing": True}
    if "access_token" not in result:
        return {name: result.get(name) for name in ("error", "suberror", "claims", "error_codes")}
    return {"token": result["access_token"], "from": result.get("token_source")}


def accounts():
    return [{"id": known["home_account_id"], "username": known["username"]} for known in app.get_accounts()]


def silent(username, scopes, force):
    chosen = account(username)
    if chosen is None:
        return {"nothing": True}
    return told(app.acquire_token_silent_with_error(scopes.split(), chosen, force_refresh=force == "force"))


def sign_in(scopes):
    return told(app.acquire_token_by_device_flow(app.initiate_device_flow(scopes.split())))


def remove(username):
    app.remove_account(account(username))
    return {}


commands = {"accounts": accounts, "silent": silent, "sign_in": sign_in, "remove": remove}
print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
