// Times MSAL for Node on a cache file: `figures.mjs FILE`, one `what<TAB>microseconds` per line, medians. `INSTALLED` is where
// install.sh put it; `AUTHORITY`, `CLIENT_ID` and `SCOPE` say what to look for; the network is not used.
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { INSTALLED: installed, AUTHORITY: authority, CLIENT_ID: clientId, SCOPE: scope } = process.env;
const msal = createRequire(`${installed}/`)("@azure/msal-node");

const median = async (runs, inner, run) => {
    const times = [];
    for (let i = 0; i < runs; i++) {
        const start = performance.now();
        for (let j = 0; j < inner; j++) await run();
        times.push((performance.now() - start) / inner);
    }
    times.sort((one, other) => one - other);
    return (times[Math.floor(runs / 2)] * 1000).toFixed(2);
};

const noNetwork = async (url) => assert.fail(`a request to ${url}`);
const networkClient = { sendGetRequestAsync: noNetwork, sendPostRequestAsync: noNetwork };
const made = () => new msal.PublicClientApplication({ auth: { clientId, authority }, system: { networkClient } });

const text = readFileSync(process.argv[2], "utf8");
const app = made();
const cache = app.getTokenCache();
cache.deserialize(text);
const accounts = await cache.getAllAccounts();
assert.equal(accounts.length, 1000);
let turn = 0;
const silent = async () => {
    const result = await app.acquireTokenSilent({ account: accounts[turn++ % 1000], scopes: [scope] });
    assert(result.fromCache);
};

console.log(`silent hit\t${await median(11, 10, silent)}`);
const other = made().getTokenCache();
console.log(`load\t${await median(11, 1, () => other.deserialize(text))}`);
console.log(`save\t${await median(11, 1, () => cache.serialize())}`);
// Once: it takes many seconds.
console.log(`list of accounts\t${await median(1, 1, () => cache.getAllAccounts())}`);
