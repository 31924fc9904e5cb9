#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node) and MSAL Python 1.39.0 (PyPI) on one cache file: once both have saved tokens
# of a client that is in a family, Node cannot refresh any more and ends with an error.
#
# A cloud of Microsoft's has several host names. Python files what it gets under the host of the authority, Node under
# `login.windows.net`, and each knows that the names mean the same. But Node expects one entry of AppMetadata for a
# client in all of them, and its own save makes a second one. Seen, for a file that Python wrote, with `foci` in the
# answers as Microsoft's own applications have it:
#
#> AppMetadata of Python: login.microsoftonline.com
#> first refresh by Node: AT-2
#> AppMetadata now: login.microsoftonline.com login.windows.net
#> accounts that Node lists: 2
#> second refresh by Node: multiple_matching_appMetadata
#
# What it means for a client that shares the file: an entry that is valid by the schema, beside another that is valid,
# stops a library for good, and only deleting the file helps. A client must file all of a person, and AppMetadata,
# under the name of the cloud that is there already, and must leave one entry where it finds two.
#
# What ours does: it saves under the name that the account has, under the preferred one for a new account, and removes
# the entries of the same client under other names, AppMetadata too (core/tests/cache/saving.rs).
source "$(dirname "$0")/common/script.sh"

python_packages msal==1.39.0
node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$work"
python_version_of msal
node_version_of @azure/msal-node

cat >"$work/sign_in.py" <<'END_OF_PROGRAM'
import sys
import msal
import entra

cache = msal.SerializableTokenCache()
server = entra.Entra(entra.tokens(1, foci="1"))
app = msal.PublicClientApplication("tv", authority=entra.AUTHORITY, token_cache=cache, http_client=server)
app.acquire_token_by_device_flow(app.initiate_device_flow(scopes=["api/read"]))
open(sys.argv[1], "w").write(cache.serialize())
END_OF_PROGRAM
python "$work/sign_in.py" "$work/cache.json"

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { readFileSync, writeFileSync } from 'node:fs';
import { application, tokens } from './entra.mjs';

const file = process.argv[2];
const metadata = () => {
  const entries = Object.values(JSON.parse(readFileSync(file)).AppMetadata);
  return entries.map((entry) => entry.environment).sort().join(' ');
};
const cachePlugin = {
  async beforeCacheAccess(context) { context.tokenCache.deserialize(readFileSync(file, 'utf8')); },
  async afterCacheAccess(context) { if (context.cacheHasChanged) writeFileSync(file, context.tokenCache.serialize()); },
};
async function client(next) {
  const { app } = application([tokens(next, { foci: '1' })], { cache: { cachePlugin } });
  return { app, accounts: await app.getTokenCache().getAllAccounts() };
}
const refresh = ({ app, accounts: [account] }) => app
  .acquireTokenSilent({ scopes: ['api/read'], account, forceRefresh: true })
  .then(({ accessToken }) => accessToken, (error) => error.errorCode);

console.log('AppMetadata of Python:', metadata());
console.log('first refresh by Node:', await refresh(await client(2)));
console.log('AppMetadata now:', metadata());
const second = await client(3);
console.log('accounts that Node lists:', second.accounts.length);
console.log('second refresh by Node:', await refresh(second));
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" "$work/cache.json" | as_stated
