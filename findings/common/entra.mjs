// Owns a Microsoft Entra for msal-node, inside the process: a network client that answers from a list, sending nothing.
import * as msal from '@azure/msal-node';

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);
export const authority = 'https://login.microsoftonline.com/organizations';
export const pending = [400, { error: 'authorization_pending' }];

// A token answer; `change` replaces members.
export const tokens = (number, change = {}) => [200, {
  token_type: 'Bearer', scope: 'openid profile offline_access api/read', expires_in: 3600,
  access_token: `AT-${number}`, refresh_token: `RT-${number}`,
  id_token: `${encoded({ alg: 'none' })}.${encoded({
    aud: 'tv', iss: `${authority}/v2.0`, sub: 's', oid: 'o', tid: 't', preferred_username: 'anna@example.test',
    iat: now(), exp: now() + 3600,
  })}.x`,
  client_info: encoded({ uid: 'o', utid: 't' }), ...change,
}];

// The answers of a server that takes each refresh token once and gives the next: RT-canary-1, RT-canary-2, ...
export function rotation() {
  let number = 1;
  return ({ refresh_token: sent }) =>
    (sent === `RT-canary-${number}` ? tokens(`canary-${++number}`) : [400, { error: 'invalid_grant' }]);
}

// A client whose polls and refreshes are answered in turn, each by a pair or by a function of its form that gives one;
// `asked` has the form of each and `at` its time in seconds.
export function application(answers, more = {}) {
  const asked = [];
  const networkClient = {
    async sendGetRequestAsync() { throw new Error('nothing is fetched'); },
    async sendPostRequestAsync(url, { body }) {
      if (url.includes('/devicecode')) {
        return { status: 200, headers: {}, body: {
          device_code: 'DC', user_code: 'ABCD-EFGH', verification_uri: 'https://login.example.test/device',
          expires_in: 30, interval: 1, message: 'Go there.',
        } };
      }
      asked.push({ at: Date.now() / 1000, ...Object.fromEntries(new URLSearchParams(body)) });
      const next = answers.shift() ?? pending;
      const [status, answer] = typeof next === 'function' ? next(asked.at(-1)) : next;
      return { status, headers: {}, body: structuredClone(answer) };
    },
  };
  const auth = { clientId: 'tv', authority };
  const app = new msal.PublicClientApplication({ auth, system: { networkClient }, ...more });
  return { app, asked };
}

export const deviceRequest = { scopes: ['api/read'], deviceCodeCallback: () => {} };
