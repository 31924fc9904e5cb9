// Owns the steps of the documented device code sample of MSAL for Node: request a code, show the message, wait at most twenty seconds.
// The result is one line of JSON.
import { application } from "./msal_app.mjs";

const app = await application();
const shown = [];
const request = {
    scopes: process.env.SCOPES.split(" "),
    deviceCodeCallback: ({ message }) => shown.push(message),
    timeout: 20,
};

const told = await app.acquireTokenByDeviceCode(request).then(
    ({ account, accessToken, scopes }) => ({ token: accessToken, scopes, accounts: [account.homeAccountId] }),
    ({ errorCode, errorMessage }) => ({ error: errorCode, words: errorMessage, scopes: [], accounts: [] }),
);
console.log(JSON.stringify({ message: shown[0], ...told }));
