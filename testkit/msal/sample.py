"""Owns the steps of the documented device code sample of MSAL for Python: look for an account, try a silent sign-in, else show a code and
wait. The result of each step is in one line of JSON."""

import json
import os

from msal_app import application

scopes = os.environ["SCOPES"].split()
app = application()
steps, result = [], None

known = app.get_accounts()
if known:
    steps.append("account found")
    result = app.acquire_token_silent(scopes, account=known[0])
    steps.append("silent" if result else "no token")

message = None
if not result:
    flow = app.initiate_device_flow(scopes=scopes)
    if "user_code" in flow:
        message = flow["message"]
        steps.append("code shown")
        result = app.acquire_token_by_device_flow(flow)
    else:
        result = flow

told = {"steps": steps, "message": message, "error": result.get("error"), "token": result.get("access_token")}
told["scopes"] = (result.get("scope") or "").split()
told["accounts"] = [account["home_account_id"] for account in app.get_accounts()]
print(json.dumps(told))
