#!/usr/bin/env bash
# MSAL Python 1.39.0 (PyPI): after a token answer without `scope`, the cached access token is never used.
#
# RFC 6749 §5.1 makes `scope` optional when the client got what it asked for. For the device grant MSAL Python then
# files the token under no scope at all, and a later look-up for the scopes that were asked for finds nothing; it
# spends the refresh token instead. Seen:
#
#> sign-in without scope in the answer: AT-1, filed under ''
#> silent sign-in right after it: AT-2, by refresh_token
#>
#> sign-in with scope in the answer: AT-1, filed under 'api/read offline_access openid profile'
#> silent sign-in right after it: AT-1, by nothing
#
# What it means for a client of the device grant: a missing `scope` means the scopes of the request, which for a
# refresh are those of the token that is refreshed; and a client that reads a cache of others must expect access
# tokens without any.
#
# What ours does: what was asked for counts as granted when the answer does not say (core/tests/token_response.rs and
# core/tests/cache/saving.rs; row 6.14 of docs/msal.md).
source "$(dirname "$0")/common/script.sh"

python_packages msal==1.39.0
python_version_of msal

cat >"$work/run.py" <<'END_OF_PROGRAM'
import msal
import entra


def sign_in_twice(what, **change):
    server = entra.Entra(entra.tokens(1, **change), entra.tokens(2))
    app = msal.PublicClientApplication("tv", authority=entra.AUTHORITY, http_client=server)
    flow = app.initiate_device_flow(scopes=["api/read"])
    first = app.acquire_token_by_device_flow(flow)
    filed, = (entry["target"] for entry in app.token_cache.search("AccessToken"))
    filed = " ".join(sorted(filed.split()))
    print(f"sign-in {what}: {first['access_token']}, filed under {filed!r}")
    del server.asked[:]
    again = app.acquire_token_silent(["api/read"], account=app.get_accounts()[0])
    grants = [form["grant_type"] for form in server.asked]
    print("silent sign-in right after it:", f"{again['access_token']}, by {' '.join(grants) or 'nothing'}")


sign_in_twice("without scope in the answer", scope=None)
print()
sign_in_twice("with scope in the answer")
END_OF_PROGRAM
python "$work/run.py" | as_stated
