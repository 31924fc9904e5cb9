// Owns the commands that a test can give to the lock of MSAL for Node.
import { readFileSync, writeFileSync } from 'fs';
// Importing the whole package would load binaries for keyrings.
const extensions = (name) => import(`${process.env.INSTALLED}/node_modules/@azure/msal-node-extensions/dist/${name}.mjs`);
const { CrossPlatformLock } = await extensions('lock/CrossPlatformLock');
const { FilePersistence } = await extensions('persistence/FilePersistence');
const { PersistenceCachePlugin } = await extensions('persistence/PersistenceCachePlugin');
const [, , path, mode] = process.argv;
const nothing = () => {};
const logger = { info: nothing, verbose: nothing, warning: nothing, error: nothing };
const line = () => new Promise((resolve) => process.stdin.once('data', resolve));
const lock = new CrossPlatformLock(path + '.lockfile', logger, { retryNumber: mode === 'try' ? 30 : 500, retryDelay: 100 });
if (mode === 'hold') {
    await lock.lock();
    console.log('held');
    await line();
    await lock.unlock();
} else if (mode === 'try') {
    try { await lock.lock(); await lock.unlock(); console.log('got it'); } catch { console.log('refused'); }
} else if (mode === 'count') {
    for (let i = 0; i < 20; i++) {
        await lock.lock();
        writeFileSync(path, String(Number(readFileSync(path)) + 1));
        await lock.unlock();
    }
} else if (mode === 'read twice') {
    const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
    const access = async () => {
        const context = { cacheHasChanged: false, tokenCache: { deserialize: nothing, serialize: () => '' } };
        await plugin.beforeCacheAccess(context);
        await plugin.afterCacheAccess(context);
    };
    await access();
    console.log('held');
    await line();
    await access();
}
process.exit(0);
