#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node): the first `slow_down` ends the sign-in with an error.
#
# RFC 8628 §3.5 calls `slow_down` a variant of `authorization_pending`: go on, five seconds slower. Seen:
#
#> polls: 2
#> ended by: post_request_failed
#> its text names slow_down: yes
#
# What it means for a client of the device grant, and for a server: to say `slow_down` to such a client is to throw it out,
# though its user is at the page. (MSAL for Java and for .NET are said to do the same; they were not run here.) It also shows
# how a library that is right in every test against a patient server fails at a strict one: test with a server that says it.
#
# What ours does: five seconds more, for good, also for the first poll and for an approved code (rules 4 and 11 of the
# polling law; case P42 of docs/cases.md, row 3.5 of docs/msal.md).
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
