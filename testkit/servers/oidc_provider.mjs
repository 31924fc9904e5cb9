// Owns the oidc-provider server: panva's package with the device grant switched on, all state in memory.

import { readFileSync } from 'node:fs';

const { INSTALLED, BASE_URL, EXPIRES = '600', INTERVAL } = process.env;
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

const provider = new Provider(BASE_URL, {
  clients,
  scopes: ['openid', 'offline_access', 'profile', 'email', 'api:read'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  // Every login name is an account.
  findAccount: async (ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `User ${id}`, email: `${id}@example.test` }),
  }),
  features: {
    deviceFlow: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true },
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

// The harness binds the port and hands it over as standard input, so two servers never take the same one.
provider.listen({ fd: 0 });

// A killed test must leave no server behind.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 500).unref();
