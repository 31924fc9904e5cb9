// Owns the oidc-provider server: panva's package with the device grant switched on, all state in memory.

import { X509Certificate, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const { INSTALLED, BASE_URL, EXPIRES = '600', INTERVAL, MUTUAL_TLS, KEYS = '{}' } = process.env;
const { Provider, errors } = await import(`${INSTALLED}/node_modules/oidc-provider/lib/index.js`);

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const API = 'urn:example:api';
const HOUR = 3600;
const DAY = 24 * HOUR;

const device = {
  grant_types: [DEVICE, 'refresh_token'],
  redirect_uris: [],
  response_types: [],
  scope: 'openid offline_access profile email api:read',
};
const redirecting = {
  grant_types: ['authorization_code'],
  redirect_uris: ['http://127.0.0.1/cb'],
  response_types: ['code'],
};
const clients = JSON.parse(readFileSync(new URL('clients.json', import.meta.url))).map((client) => ({
  ...(client.grant === 'device' ? device : redirecting),
  client_id: client.id,
  token_endpoint_auth_method: client.auth,
  ...(client.secret ? { client_secret: client.secret } : { application_type: 'native' }),
}));
clients.push({
  ...device,
  client_id: 'device-dpop', // the only one of the three servers that knows DPoP
  token_endpoint_auth_method: 'none',
  application_type: 'native',
  dpop_bound_access_tokens: true,
});

// Clients with keys of the harness, and what nonces the server asks for in their proofs (RFC 9449 §8).
const { clients: withKeys = [], nonces = 'none' } = JSON.parse(KEYS);
for (const { id, jwk, algorithm, bound } of withKeys) {
  clients.push({
    ...device,
    client_id: id,
    application_type: 'native',
    token_endpoint_auth_method: jwk ? 'private_key_jwt' : 'none',
    ...(jwk && { jwks: { keys: [jwk] } }),
    ...(algorithm && { token_endpoint_auth_signing_alg: algorithm }),
    dpop_bound_access_tokens: bound,
  });
}

// The same endpoints once more, at a port with TLS that asks for client certificates (RFC 8705 §5), from the files of the harness.
const mutualTls = MUTUAL_TLS && (await listenWithMutualTls());

async function listenWithMutualTls() {
  const file = (name) => readFileSync(name, 'utf8');
  const server = createServer({
    cert: file('server.pem'),
    key: file('server-key.pem'),
    ca: file('client-authority.pem'),
    requestCert: true,
    rejectUnauthorized: false, // who has no certificate is told so by oidc-provider
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');

  const own = new X509Certificate(file('self-signed.pem'));
  const bound = { ...device, application_type: 'native', tls_client_certificate_bound_access_tokens: true };
  clients.push(
    {
      ...bound,
      client_id: 'device-tls',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=device-client',
    },
    {
      ...bound,
      client_id: 'device-self-signed-tls',
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [{ ...own.publicKey.export({ format: 'jwk' }), x5c: [own.raw.toString('base64')] }] },
    },
  );

  const certificate = (ctx) => ctx.socket.getPeerX509Certificate?.();
  const base = `https://127.0.0.1:${server.address().port}`;
  return {
    server,
    configuration: {
      clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'tls_client_auth', 'self_signed_tls_client_auth'],
      discovery: {
        mtls_endpoint_aliases: {
          device_authorization_endpoint: `${base}/device/auth`,
          token_endpoint: `${base}/token`,
          revocation_endpoint: `${base}/token/revocation`,
        },
      },
    },
    feature: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => certificate(ctx)?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_subject_dn' && certificate(ctx).subject === expected,
    },
  };
}

const provider = new Provider(BASE_URL, {
  clients,
  ...mutualTls?.configuration,
  scopes: ['openid', 'offline_access', 'profile', 'email', 'api:read'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  // Every login name is an account.
  findAccount: async (ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `User ${id}`, email: `${id}@example.test` }),
  }),
  features: {
    deviceFlow: { enabled: true },
    dPoP: {
      enabled: true,
      ...(nonces !== 'none' && { nonceSecret: randomBytes(32), requireNonce: () => true }),
    },
    introspection: { enabled: true },
    ...(mutualTls && { mTLS: mutualTls.feature }),
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        if (resource !== API) throw new errors.InvalidTarget();
        return { scope: 'api:read', audience: API, accessTokenFormat: 'opaque' };
      },
    },
  },
  rotateRefreshToken: true,
  cookies: { keys: ['test-only'] },
  ttl: {
    DeviceCode: Number(EXPIRES),
    AccessToken: HOUR,
    IdToken: HOUR,
    Interaction: HOUR,
    Session: DAY,
    Grant: DAY,
    RefreshToken: DAY,
  },
});

if (INTERVAL) {
  // oidc-provider never sends an `interval`. A test can still have one, to poll faster than the default of 5 s.
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200) ctx.body.interval = Number(INTERVAL);
  });
}

if (nonces === 'for one request') {
  // A nonce lives three to five minutes, and a new one comes every minute. With three minutes between two requests for tokens, each
  // answer brings a new one, and the one before is no longer taken.
  let passed = 0;
  const now = Date.now;
  Date.now = () => now() + passed;
  provider.use((ctx, next) => {
    if (ctx.path === '/token') passed += 180_000;
    return next();
  });
}

mutualTls?.server.on('request', provider.callback());
// The harness binds the port and hands it over as standard input, so two servers never take the same one.
provider.listen({ fd: 0 });

// A killed test must leave no server behind.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 500).unref();
