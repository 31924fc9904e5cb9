#!/usr/bin/env bash
# msal-node 7.2.3 (npm @azure/msal-node) and MSAL Python 1.39.0 (PyPI) on one cache file: after a rotation the old
# refresh token stays beside the new one, and is the one that is sent.
#
# Both libraries read and write the same schema, and each finds the other's accounts. But they build the key of a
# refresh token differently, so that Node stores its token beside that of Python and not over it; and Node's look-up
# takes the first that fits. Seen, for a file that Python wrote and Node then refreshes twice, each answer with a new
# token:
#
#> refresh tokens in the file of Python: RT-1
#> first refresh by Node sends: RT-1, gets: RT-2
#> refresh tokens in the file now: RT-1 RT-2
#> second refresh by Node sends: RT-1, gets: RT-3
#> refresh tokens in the file now: RT-1 RT-3
#
# What it means for a client that shares the file: at a server that rotates, the second refresh is refused, and where
# reuse counts as theft everything is revoked. A client that saves a refresh token must remove every other one of the
# same person, server and client, whatever its key; and one that looks one up must expect a dead one before the good
# one.
#
# What ours does: one refresh token is left after each save, and look-up tries the newest first and then the others
# (core/tests/cache/saving.rs; rows 4.6, 4.7 and 6.11 of docs/msal.md).
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
server = entra.Entra(entra.tokens(1))
app = msal.PublicClientApplication("tv", authority=entra.AUTHORITY, token_cache=cache, http_client=server)
app.acquire_token_by_device_flow(app.initiate_device_flow(scopes=["api/read"]))
open(sys.argv[1], "w").write(cache.serialize())
END_OF_PROGRAM
python "$work/sign_in.py" "$work/cache.json"

cat >"$work/run.mjs" <<'END_OF_PROGRAM'
import { readFileSync, writeFileSync } from 'node:fs';
import { application, tokens } from './entra.mjs';

const file = process.argv[2];
const held = () => {
  const entries = Object.values(JSON.parse(readFileSync(file)).RefreshToken);
  return entries.map((entry) => entry.secret).sort().join(' ');
};
const cachePlugin = {
  async beforeCacheAccess(context) { context.tokenCache.deserialize(readFileSync(file, 'utf8')); },
  async afterCacheAccess(context) { if (context.cacheHasChanged) writeFileSync(file, context.tokenCache.serialize()); },
};
console.log('refresh tokens in the file of Python:', held());
for (const [which, next] of [['first', 2], ['second', 3]]) {
  const { app, asked } = application([tokens(next)], { cache: { cachePlugin } });
  const [account] = await app.getTokenCache().getAllAccounts();
  await app.acquireTokenSilent({ scopes: ['api/read'], account, forceRefresh: true });
  console.log(`${which} refresh by Node sends: ${asked[0].refresh_token}, gets: RT-${next}`);
  console.log('refresh tokens in the file now:', held());
}
END_OF_PROGRAM
timeout 60 node "$work/run.mjs" "$work/cache.json" | as_stated
