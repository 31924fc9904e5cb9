// Owns the configuration of MSAL for Node in tests: its client, its server and its cache file, all from the environment.
import { createRequire } from "node:module";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import tls from "node:tls";

const installed = process.env.INSTALLED;
export const msal = createRequire(`${installed}/`)("@azure/msal-node");

// MSAL uses the fetch of Node 20, which supports no proxy. So the connection itself is redirected to the server; names and certificates
// stay those of the host that MSAL addresses.
if (process.env.SERVER_PORT) {
    const connect = tls.connect;
    tls.connect = (options, ...rest) =>
        connect({ ...options, host: "127.0.0.1", port: Number(process.env.SERVER_PORT) }, ...rest);
}

// Read before each access and written after it, as the documentation of MSAL recommends.
const plain = (path) => ({
    async beforeCacheAccess({ tokenCache }) {
        if (existsSync(path)) tokenCache.deserialize(readFileSync(path, "utf8"));
    },
    async afterCacheAccess({ cacheHasChanged, tokenCache }) {
        if (cacheHasChanged) writeFileSync(path, tokenCache.serialize(), { mode: 0o600 });
    },
});

// Importing the whole package would load binaries for keyrings, so only the modules for files are imported.
const extensions = async (path) => {
    const file = (name) => import(`${installed}/node_modules/@azure/msal-node-extensions/dist/persistence/${name}.mjs`);
    const { FilePersistence } = await file("FilePersistence");
    const { PersistenceCachePlugin } = await file("PersistenceCachePlugin");
    return new PersistenceCachePlugin(await FilePersistence.create(path));
};

export const application = async () => {
    const { CLIENT_ID: clientId, AUTHORITY: authority, CACHE: path, KEEPER: keeper } = process.env;
    const auth = { clientId, authority };
    if (process.env.PRIVATE_AUTHORITY) {
        const { host } = new URL(authority);
        const base = `${authority}/oauth2/v2.0`;
        auth.knownAuthorities = [host];
        auth.authorityMetadata = JSON.stringify({
            issuer: `${authority}/v2.0`,
            authorization_endpoint: `${base}/authorize`,
            token_endpoint: `${base}/token`,
            jwks_uri: `${authority}/discovery/v2.0/keys`,
        });
    }
    const cache = path && { cachePlugin: keeper === "extensions" ? await extensions(path) : plain(path) };
    return new msal.PublicClientApplication({ auth, ...(cache && { cache }) });
};
