// Owns the oidc-provider of the scripts: `node oidc-provider.mjs PORT [JSON of further settings]`, with the client "tv"
// (public) and those in the settings; any name signs in.
import { Provider } from 'oidc-provider';

const [port, more = '{}'] = process.argv.slice(2);
const { clients = [], features = {}, ...settings } = JSON.parse(more);
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const device = { grant_types: [DEVICE, 'refresh_token'], redirect_uris: [], response_types: [] };
if (features.dPoP?.nonceSecret) features.dPoP.nonceSecret = Buffer.alloc(32, features.dPoP.nonceSecret);
if (features.dPoP?.requireNonce) features.dPoP.requireNonce = () => true;

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'tv', token_endpoint_auth_method: 'none' }, ...clients].map((c) => ({ ...device, ...c })),
  scopes: ['openid', 'offline_access'],
  cookies: { keys: ['only-for-this-run'] },
  ttl: {
    AccessToken: 600, DeviceCode: 600, Grant: 600, IdToken: 600, Interaction: 600, RefreshToken: 600, Session: 600,
  },
  features: { deviceFlow: { enabled: true }, ...features },
  ...settings,
});
provider.listen(Number(port), '127.0.0.1');
