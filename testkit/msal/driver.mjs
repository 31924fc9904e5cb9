// Owns the commands that a test can give to MSAL for Node: one with its arguments, answered with one line of JSON.
import { application, msal } from "./msal_app.mjs";

const app = await application();
const cache = app.getTokenCache();

const account = async (username) => (await cache.getAllAccounts()).find((known) => known.username === username);

const told = async (request) => {
    try {
        const { accessToken, fromCache } = await request;
        return { token: accessToken, from: fromCache ? "cache" : "server" };
    } catch (error) {
        if (!(error instanceof msal.AuthError)) throw error;
        const { errorCode, subError, claims, errorMessage } = error;
        const interaction = error instanceof msal.InteractionRequiredAuthError;
        return { error: errorCode, suberror: subError, claims, message: errorMessage, interaction };
    }
};

const commands = {
    async accounts() {
        return (await cache.getAllAccounts()).map(({ homeAccountId, username }) => ({ id: homeAccountId, username }));
    },
    async silent(username, scopes, force) {
        const chosen = await account(username);
        if (!chosen) return { nothing: true };
        return told(app.acquireTokenSilent({ account: chosen, scopes: scopes.split(" "), forceRefresh: force === "force" }));
    },
    async sign_in(scopes) {
        return told(app.acquireTokenByDeviceCode({ scopes: scopes.split(" "), deviceCodeCallback: () => {} }));
    },
    async remove(username) {
        await cache.removeAccount(await account(username));
        return {};
    },
};

const [, , command, ...parameters] = process.argv;
console.log(JSON.stringify(await commands[command](...parameters)));
