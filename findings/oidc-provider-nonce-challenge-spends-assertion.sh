#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm): `use_dpop_nonce` asks for the request once more, and the same client assertion is then
# refused.
#
# RFC 9449 §8 has the client put the nonce into a new proof and send the request again. A client that authenticates by
# private_key_jwt would keep everything else of the request. But the client is authenticated before the proof is
# looked at, and the `jti` of its assertion counts as used from then on. Seen:
#
#> poll, proof without a nonce: 400 use_dpop_nonce
#> again with the nonce, new proof, the same assertion: 401 invalid_client
#> again with the nonce, new proof, a new assertion: 400 authorization_pending
#
# What it means for a client of the device grant: assertion and proof are made for one request on the wire, at the
# moment it is sent. `invalid_client` looks final; here it says only that something was sent twice. The same goes for
# a request whose answer was lost. A nonce challenge is no poll: the code lives on, and no waiting time is due.
#
# What ours does: it signs both anew right before each request, repeated ones included (rule 15 of docs/polling-law.md;
# testkit/tests/support/keys.rs, on this server).
source "$(dirname "$0")/common/script.sh"

node_packages oidc-provider@9.13.3 jose@6.1.0
cp "$common"/{oidc-provider,keyed-client}.mjs "$work"
port=$(free_port)

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { assertion, post, publicJwk, sign } from './keyed-client.mjs';

const base = `http://127.0.0.1:${process.argv[2]}`;
const proof = (nonce) =>
  sign({ htm: 'POST', htu: `${base}/token`, nonce }, { typ: 'dpop+jwt', jwk: publicJwk });

const code = await (await post(`${base}/device/auth`, await assertion(base), { scope: 'openid' })).json();
const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code.device_code };
const poll = async (what, jwt, nonce) => {
  const answer = await post(`${base}/token`, jwt, form, { DPoP: await proof(nonce) });
  console.log(`${what}: ${answer.status} ${(await answer.json()).error}`);
  return answer.headers.get('dpop-nonce');
};
const first = await assertion(base);
const nonce = await poll('poll, proof without a nonce', first);
await poll('again with the nonce, new proof, the same assertion', first, nonce);
await poll('again with the nonce, new proof, a new assertion', await assertion(base), nonce);
END_OF_PROGRAM

cd "$work"
timeout 20 node keyed-client.mjs '{}' '{"dPoP": {"enabled": true, "nonceSecret": 7, "requireNonce": true}}'
serve "$port" node oidc-provider.mjs "$port" "$(cat settings.json)"
node_version_of oidc-provider
timeout 60 node run.mjs "$port" | as_stated
