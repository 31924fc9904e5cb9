#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node): the first `slow_down` ends the sign-in with an error.
#
# RFC 8628 §3.5 calls `slow_down` a variant of `authorization_pending`: go on, five seconds slower. Seen:
#
#> polls: 2
#> ended by: post_request_failed
#> its text names slow_down: yes
#
# What it means for a client of the device grant, and for a server: a server that says `slow_down` to such a client
# ends its sign-in, though the person is at the page. A library can pass every test against a patient server and fail
# at a strict one, so a client must be tested against a server that says `slow_down`.
#
# What ours does: five seconds more, for good, also for the first poll and for an approved code (rules 4 and 11 of
# docs/polling-law.md; case P42 of docs/cases.md, row 3.5 of docs/msal.md).
source "$(dirname "$0")/common/script.sh"

node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$work"
node_version_of @azure/msal-node

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { application, deviceRequest, pending, tokens } from './entra.mjs';

const { app, asked } = application([pending, [400, { error: 'slow_down' }], tokens(1)]);
const end = await app.acquireTokenByDeviceCode(deviceRequest).then(() => ({ errorCode: 'a token' }), (error) => error);
console.log('polls:', asked.length);
console.log('ended by:', end.errorCode);
console.log('its text names slow_down:', /slow_down/.test(end.message) ? 'yes' : 'no');
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" | as_stated
