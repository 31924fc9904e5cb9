// Owns the client "tv-key" of oidc-provider, which authenticates by what it signs. `node keyed-client.mjs CLIENT FEATURES`
// (further members of both, in JSON) makes its key and settings.json for the server; a program that imports this has the
// key and sends requests with a new assertion or one that was used before.
import { readFileSync, writeFileSync } from 'node:fs';
import * as jose from 'jose';

if (process.argv[1].endsWith('keyed-client.mjs')) {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const [client, features] = process.argv.slice(2).map((json) => JSON.parse(json));
  const jwks = { keys: [await jose.exportJWK(publicKey)] };
  writeFileSync('key.json', JSON.stringify(await jose.exportJWK(privateKey)));
  writeFileSync('settings.json', JSON.stringify({
    clients: [{ client_id: 'tv-key', token_endpoint_auth_method: 'private_key_jwt', jwks, ...client }], features,
  }));
}

const { d, ...jwk } = JSON.parse(readFileSync('key.json'));
const own = await jose.importJWK({ d, ...jwk }, 'ES256');

// The public half of the key.
export const publicJwk = jwk;

// A JWT with a `jti` of its own.
export const sign = (claims, header = {}, key = own) => new jose.SignJWT({ jti: crypto.randomUUID(), ...claims })
  .setIssuedAt().setProtectedHeader({ alg: 'ES256', ...header }).sign(key);

export const assertion = (base) =>
  sign({ iss: 'tv-key', sub: 'tv-key', aud: base, exp: Math.floor(Date.now() / 1000) + 60 });

export const post = (url, jwt, form, headers) => fetch(url, {
  method: 'POST',
  headers,
  body: new URLSearchParams({
    client_id: 'tv-key', client_assertion: jwt,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', ...form,
  }),
});
