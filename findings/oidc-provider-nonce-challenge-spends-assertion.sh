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
# What ours does: it authenticates with a secret or not at all, and on `use_dpop_nonce` it ends with the message that
# it does not support DPoP (case B22 of docs/cases.md is reserved for it).
source "$(dirname "$0")/common/script.sh"

node_packages oidc-provider@9.13.3 jose@6.1.0
cp "$common/oidc-provider.mjs" "$work"
port=$(free_port)

cat >"$work/keys.mjs" <<'END_OF_PROGRAM'
import { writeFileSync } from 'node:fs';
import * as jose from 'jose';

const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
const jwks = { keys: [await jose.exportJWK(publicKey)] };
writeFileSync('key.json', JSON.stringify(await jose.exportJWK(privateKey)));
writeFileSync('settings.json', JSON.stringify({
  clients: [{ client_id: 'tv-key', token_endpoint_auth_method: 'private_key_jwt', jwks }],
  features: { dPoP: { enabled: true, nonceSecret: 7, requireNonce: true } },
}));
END_OF_PROGRAM

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { readFileSync } from 'node:fs';
import * as jose from 'jose';

const base = `http://127.0.0.1:${process.argv[2]}`;
const { d, ...jwk } = JSON.parse(readFileSync('key.json'));
const key = await jose.importJWK({ d, ...jwk }, 'ES256');

const sign = (claims, header) => new jose.SignJWT({ jti: crypto.randomUUID(), ...claims }).setIssuedAt()
  .setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
const assertion = () => sign({ iss: 'tv-key', sub: 'tv-key', aud: base, exp: Math.floor(Date.now() / 1000) + 60 });
const proof = (nonce) => sign({ htm: 'POST', htu: `${base}/token`, nonce }, { typ: 'dpop+jwt', jwk });
const post = (path, jwt, form, headers) => fetch(base + path, {
  method: 'POST',
  headers,
  body: new URLSearchParams({
    client_id: 'tv-key', client_assertion: jwt,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', ...form,
  }),
});

const code = await (await post('/device/auth', await assertion(), { scope: 'openid' })).json();
const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code.device_code };
const poll = async (what, jwt, nonce) => {
  const answer = await post('/token', jwt, form, { DPoP: await proof(nonce) });
  console.log(`${what}: ${answer.status} ${(await answer.json()).error}`);
  return answer.headers.get('dpop-nonce');
};
const first = await assertion();
const nonce = await poll('poll, proof without a nonce', first);
await poll('again with the nonce, new proof, the same assertion', first, nonce);
await poll('again with the nonce, new proof, a new assertion', await assertion(), nonce);
END_OF_PROGRAM

cd "$work"
timeout 20 node keys.mjs
serve "$port" node oidc-provider.mjs "$port" "$(cat settings.json)"
node_version_of oidc-provider
timeout 60 node run.mjs "$port" | as_stated
