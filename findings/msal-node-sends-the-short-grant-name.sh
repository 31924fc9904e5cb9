#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node): polls carry `grant_type=device_code`, not the name that RFC 8628 gives the
# grant.
#
# RFC 8628 §3.4 requires `urn:ietf:params:oauth:grant-type:device_code`. Seen:
#
#> device_code
#
# What it means: a server, a test server or a proxy that knows the registered name alone answers
# `unsupported_grant_type` to Microsoft's own library, while Microsoft's server takes both. A recording of such
# traffic teaches a dialect, not the protocol. A client of the device grant must send the registered name; a test
# server for MSALs must take both.
#
# What ours does: the client sends the registered name (core/tests/captures/requests.rs); the Microsoft-shaped server
# of the testkit, which the MSALs are run against, takes both.
source "$(dirname "$0")/common/script.sh"

node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$work"
node_version_of @azure/msal-node

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { application, deviceRequest, tokens } from './entra.mjs';

const { app, asked } = application([tokens(1)]);
await app.acquireTokenByDeviceCode(deviceRequest);
console.log(asked[0].grant_type);
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" | as_stated
