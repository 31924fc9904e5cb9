#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm): a request without the proof that a client must send (DPoP) is answered as if the code or
# the refresh token were dead, and both are alive.
#
# RFC 9449 §5.2: requests of a client with `dpop_bound_access_tokens` that have no proof must be refused. One would expect
# `invalid_dpop_proof` or `invalid_request`, and that the answer speaks of a proof. `invalid_grant` says that the code or
# the token is invalid, expired or revoked (RFC 6749 §5.2): a client ends the sign-in, and throws the refresh token away.
# Seen, of a client that signs its requests:
#
#> poll before the approval, no proof: 400 invalid_grant grant request is invalid
#> the same code, with a proof: 400 authorization_pending
#> poll after the approval, with a proof: 200 DPoP
#> refresh, no proof: 400 invalid_grant grant request is invalid
#> the same refresh token, with a proof of another key: 200 DPoP
#
# What it means for a client of the device grant: a person who forgets one option of a program loses a sign-in that is
# still good, and is told that it expired. A client that knows that its tokens are bound must not ask without a proof.
#
# What ours does: the cache knows which tokens are bound, and a client without a key is told so before anything is sent
# (core/tests/sign_in/keys.rs); at a poll, the advice names the proof of possession.
source "$(dirname "$0")/common/script.sh"

node_packages oidc-provider@9.13.3 jose@6.1.0
cp "$common"/{oidc-provider,keyed-client}.mjs "$work"
port=$(free_port)

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { execFileSync } from 'node:child_process';
import * as jose from 'jose';
import * as client from './keyed-client.mjs';

const base = `http://127.0.0.1:${process.argv[2]}`;
const bound = [await jose.generateKeyPair('ES256'), await jose.generateKeyPair('ES256')];

const post = async (path, form, pair) => {
  const proof = pair && {
    DPoP: await client.sign({ htm: 'POST', htu: base + path },
      { typ: 'dpop+jwt', jwk: await jose.exportJWK(pair.publicKey) }, pair.privateKey),
  };
  const answer = await client.post(base + path, await client.assertion(base), form, proof || {});
  return { status: answer.status, ...(await answer.json()) };
};
const told = (what, { status, token_type: type = '', error = type, error_description: text = '' }) =>
  console.log(`${what}: ${status} ${error} ${error === 'invalid_grant' ? text : ''}`.trim());

const code = await post('/device/auth', { scope: 'openid offline_access' });
const poll = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code.device_code };
told('poll before the approval, no proof', await post('/token', poll));
told('the same code, with a proof', await post('/token', poll, bound[0]));
execFileSync('python3', ['approve.py', code.verification_uri_complete]);
const tokens = await post('/token', poll, bound[0]);
told('poll after the approval, with a proof', tokens);
const refresh = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
told('refresh, no proof', await post('/token', refresh));
told('the same refresh token, with a proof of another key', await post('/token', refresh, bound[1]));
END_OF_PROGRAM

cat >"$work/approve.py" <<'END_OF_PROGRAM'
import sys
import person

person.answer(sys.argv[1], {"login": "anna", "password": "any-will-do"}, ["^(?!.*abort)"])
END_OF_PROGRAM

cd "$work"
timeout 20 node keyed-client.mjs \
  '{"dpop_bound_access_tokens": true, "application_type": "native", "scope": "openid offline_access"}' \
  '{"dPoP": {"enabled": true}}'
serve "$port" node oidc-provider.mjs "$port" "$(cat settings.json)"
node_version_of oidc-provider
timeout 60 node run.mjs "$port" | as_stated
