// Owns how a test's MSAL for Node is made: its client, its server and where its cache lives, all told by the environment.
import { createRequire } from "node:module";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import tls from "node:tls";

const installed = process.env.INSTALLED;
export const msal = createRequire(`${installed}/`)("@azure/msal-node");

// Node 20 knows no proxy for its own fetch, which is what MSAL uses. So the connection itself is led to the server, as a resolver
// would; names and certificates stay those of the host that MSAL means.
if (process.env.SERVER_PORT) {
    const connect = tls.connect;
    tls.connect = (options, ...rest) =>
        connect({ ...options, host: "127.0.0.1", port: Number(process.env.SERVER_PORT) }, ...rest);
}

// Read before each access and written after it, as MSAL's own documentation tells a program to do it.
const plain = (path) => ({
    async beforeCacheAccess({ tokenCache }) {
        if (existsSync(path)) tokenCache.deserialize(readFileSync(path, "utf8"));
    },
    async afterCacheAccess({ cacheHasChanged, tokenCache }) {
        if (cacheHasChanged) writeFileSync(path, tokenCache.serialize(), { mode: 0o600 });
    },
});

// The package itself loads binaries for keyrings, so only its files for files are taken.
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
