#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node): the time that the person took is taken off the life of the token.
#
# `expires_in` of a token answer counts from that answer (RFC 6749 §5.1). The library takes the time once, before the
# first poll, so that a sign-in that took four minutes shortens the token by four minutes. Seen, with three polls at 1
# s:
#
#> expires_in in the answer: 302
#> life of the token when it arrives: less than 301 s
#> silent sign-in right after it: refresh_token
#
# (302 s is just above the library's margin of 300 s: a token that it should still use is refreshed at once.)
#
# What it means for a client of the device grant: in this grant alone minutes lie between the start of a call and the
# answer with the token. The life counts from the arrival of the answer; and an `expires_on` that another program has
# written into a shared cache may be early, which is harmless, so it should not be "corrected".
#
# What ours does: it counts from the arrival (row 3.18 of docs/msal.md).
source "$(dirname "$0")/common/script.sh"

node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$work"
node_version_of @azure/msal-node

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { application, deviceRequest, pending, tokens } from './entra.mjs';

const { app, asked } = application([pending, pending, pending, tokens(1, { expires_in: 302 }), tokens(2)]);
const { account, expiresOn } = await app.acquireTokenByDeviceCode(deviceRequest);
const life = expiresOn.getTime() / 1000 - Date.now() / 1000;
console.log('expires_in in the answer: 302');
console.log('life of the token when it arrives:', life < 301 ? 'less than 301 s' : `${life} s`);
asked.length = 0;
await app.acquireTokenSilent({ scopes: ['api/read'], account });
console.log('silent sign-in right after it:', asked.map((form) => form.grant_type).join() || 'nothing asked');
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" | as_stated
