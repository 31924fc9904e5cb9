#!/usr/bin/env bash
# openid-client 6.8.9 (npm): `Retry-After` with status 503 is waited for; the same with 429 ends the sign-in.
#
# Both say "not now, ask again after this" (RFC 9110 §15.6.4, RFC 6585 §4), and 429 is the one that a server which is
# polled by many has a use for. Seen, as the answer to the first poll, with a token waiting behind it:
#
#> 503, Retry-After: 1: a token after 2 polls
#> 429, Retry-After: 1: OAUTH_RESPONSE_IS_NOT_CONFORM after 1 polls
#> 503 without Retry-After: OAUTH_RESPONSE_IS_NOT_CONFORM after 1 polls
#
# What it means for a client of the device grant: a rate limit in front of the server, which knows nothing of OAuth,
# ends the sign-in of a person who is at the page. Every "not now" must be a wait, with the header or without.
#
# What ours does: 429 and 5xx are waits, and `Retry-After` can only lengthen them (rules 5 and 6 of
# docs/polling-law.md; cases P23 and P24 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

node_packages openid-client@6.8.9 oauth4webapi@3.8.8
node_version_of openid-client

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { createServer } from 'node:http';
import * as client from 'openid-client';

async function signIn(what, status, headers) {
  let polls = 0;
  const server = createServer((asked, answer) => {
    polls += 1;
    answer.writeHead(polls === 1 ? status : 200, { 'content-type': 'application/json', ...(polls === 1 && headers) });
    answer.end(polls === 1 ? '{}' : JSON.stringify({ access_token: 'AT-1', token_type: 'bearer' }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const metadata = { issuer, token_endpoint: `${issuer}/token` };
  const config = new client.Configuration(metadata, 'tv', undefined, client.None());
  client.allowInsecureRequests(config);
  const code = {
    device_code: 'DC', user_code: 'ABCD-EFGH', verification_uri: `${issuer}/device`, expires_in: 20, interval: 1,
  };
  const end = await client.pollDeviceAuthorizationGrant(config, code).then(() => 'a token', (error) => error.code);
  console.log(`${what}: ${end} after ${polls} polls`);
  server.close();
  server.closeAllConnections();
}

await signIn('503, Retry-After: 1', 503, { 'retry-after': '1' });
await signIn('429, Retry-After: 1', 429, { 'retry-after': '1' });
await signIn('503 without Retry-After', 503, {});
END_OF_PROGRAM
timeout 90 node "$work/run.mjs" | as_stated
