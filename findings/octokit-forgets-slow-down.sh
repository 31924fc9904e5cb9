#!/usr/bin/env bash
# @octokit/auth-oauth-device 8.0.5 (npm): after a `slow_down` one wait is longer, and then the old interval is back.
#
# RFC 8628 §3.5 has the interval grow by five seconds "for this and all subsequent requests", and GitHub names the new
# interval in its answer. GitHub's own library waits seven seconds more, once, and reads no number. Seen, with an
# interval of 1 s and a `slow_down` that names 6 s (gaps in whole seconds):
#
#> authorization_pending, then a wait of 1 s
#> slow_down, then a wait of 8 s
#> authorization_pending, then a wait of 1 s
#> a token
#
# What it means for a client of the device grant: with a server that counts, the next poll is too fast again, and so
# on for the life of the code. What the vendor's own library does is no proof that the server allows it.
#
# What ours does: five seconds more, or what the server names when that is more, for all polls to come (rule 4 of
# docs/polling-law.md; case B03 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

node_packages @octokit/auth-oauth-device@8.0.5 @octokit/request@10.0.16
node_version_of @octokit/auth-oauth-device

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { createServer } from 'node:http';
import { createOAuthDeviceAuth } from '@octokit/auth-oauth-device';
import { request } from '@octokit/request';

const token = { access_token: 'AT-1', token_type: 'bearer', scope: '' };
const pending = { error: 'authorization_pending' };
const answers = [pending, { error: 'slow_down', interval: 6 }, pending, token];
const code = {
  device_code: 'DC', user_code: 'ABCD-EFGH', verification_uri: 'http://127.0.0.1/device', expires_in: 900, interval: 1,
};
let last;

const server = createServer((asked, answer) => {
  const next = asked.url.endsWith('/login/device/code') ? code : answers.shift();
  if (last) console.log(`${last.error}, then a wait of ${Math.round((Date.now() - last.at) / 1000)} s`);
  last = next.error && { error: next.error, at: Date.now() };
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify(next));
});
server.listen(0, '127.0.0.1', async () => {
  const auth = createOAuthDeviceAuth({
    clientType: 'oauth-app', clientId: 'tv', onVerification() {},
    request: request.defaults({ baseUrl: `http://127.0.0.1:${server.address().port}` }),
  });
  const { token } = await auth({ type: 'oauth' });
  console.log(token ? 'a token' : 'nothing');
  server.close();
  server.closeAllConnections();
});
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" | as_stated
