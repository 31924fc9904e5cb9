#!/usr/bin/env bash
# MSAL Python 1.39.0 (PyPI): when the code expires, the sign-in returns `authorization_pending`, as if there was time
# left.
#
# The library keeps the deadline itself and stops in time. It could say so with an exception, or with the
# `expired_token` of RFC 8628 §3.5. It returns the last answer of the server. Seen, with a code of 3 s:
#
#> result: {'error': 'authorization_pending'}
#> seconds: 3 to 5
#
# What it means for a client of the device grant: a program that shows the result to its user reports a sign-in that
# is still going on. An expiry by the client's own clock needs an error of its own, together with what the server said
# last.
#
# What ours does: it ends with `Expired`, whether the server or the client's clock noticed first, together with the
# last setback (rule 8 of docs/polling-law.md; row 3.6 of docs/msal.md).
source "$(dirname "$0")/common/script.sh"

python_packages msal==1.39.0
python_version_of msal

cat >"$work/run.py" <<'END_OF_PROGRAM'
import time
import msal
import entra

app = msal.PublicClientApplication("tv", authority=entra.AUTHORITY, http_client=entra.Entra(expires_in=3))
flow = app.initiate_device_flow(scopes=["api/read"])
begun = time.monotonic()
result = app.acquire_token_by_device_flow(flow)
took = time.monotonic() - begun
print("result:", {name: value for name, value in result.items() if not name.startswith("_")})
print("seconds:", "3 to 5" if 2 < took < 6 else round(took, 1))
END_OF_PROGRAM
python "$work/run.py" | as_stated
