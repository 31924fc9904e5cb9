#!/usr/bin/env bash
# msal4j-persistence-extension 1.3.0 (Maven Central) and msal-extensions 1.3.1 (PyPI) on one cache file: each has a
# lock, and they lock different files.
#
# Both are Microsoft's, both are there for sharing a cache file between processes, and both lock a file beside it,
# whose name is the whole agreement. Seen, while the lock for cache.json is held:
#
#> msal4j holds: .lockfile
#> msal-extensions holds: cache.json.lockfile
#> msal-extensions gets its lock while msal4j holds its own: yes
#
# What it means for a client that shares the file: to take "the lock" excludes one of the two. Two processes that
# refresh at once then send the same refresh token, and one overwrites what the other has saved; at a server that
# rotates tokens the person is signed out. A client must know which libraries share the file and take the lock of
# each, always in the same order.
#
# What ours does: it takes `<file>.lockfile`, as MSAL Python, Node and .NET do, and respects it both ways. It takes
# msal4j's, too, each time when it is told that Java shares the file, and else when a Java program holds it (row 6.22 of
# docs/msal.md).
source "$(dirname "$0")/common/script.sh"

python_packages msal-extensions==1.3.1 msal==1.39.0 portalocker==2.10.1
java_packages com.microsoft.azure:msal4j:1.26.1 com.microsoft.azure:msal4j-persistence-extension:1.3.0 \
  com.nimbusds:nimbus-jose-jwt:9.48
ls "$work/lib" | sed -n 's/^\(msal4j-persistence-extension\)-\([0-9.]*\)\.jar$/\1 \2/p'
python_version_of msal-extensions

cat >"$work/Main.java" <<'END_OF_PROGRAM'
import com.microsoft.aad.msal4j.*;
import com.microsoft.aad.msal4jextensions.*;
import java.nio.file.*;
import java.util.stream.*;

/** Holds the lock for cache.json in the given folder, says which files there are, and lets go when its input ends. */
public class Main {
    record Access(ITokenCache tokenCache) implements ITokenCacheAccessContext {
        public String clientId() { return "tv"; }
        public IAccount account() { return null; }
        public boolean hasCacheChanged() { return true; }
    }

    public static void main(String[] arguments) throws Exception {
        var folder = Path.of(arguments[0]);
        var settings = PersistenceSettings.builder("cache.json", folder)
            .setLinuxUseUnprotectedFileAsCacheStorage(true).build();
        var aspect = new PersistenceTokenCacheAccessAspect(settings);
        var access = new Access(PublicClientApplication.builder("tv").build().tokenCache());
        aspect.beforeCacheAccess(access);
        try (var files = Files.list(folder)) {
            System.out.println("msal4j holds: " + files.map(file -> file.getFileName().toString())
                .filter(name -> name.endsWith("lockfile")).sorted().collect(Collectors.joining(" ")));
        }
        System.in.read();
        aspect.afterCacheAccess(access);
    }
}
END_OF_PROGRAM

cat >"$work/run.py" <<'END_OF_PROGRAM'
import os
import subprocess
import sys
import msal_extensions

folder, java = sys.argv[1], sys.argv[2:]
pipe = subprocess.PIPE
holder = subprocess.Popen([*java, folder], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
print(holder.stdout.readline().rstrip())
before = set(os.listdir(folder))
# The lock that the library itself makes for this file.
cache = msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(os.path.join(folder, "cache.json")))
try:
    with msal_extensions.CrossPlatLock(cache._lock_location):
        print("msal-extensions holds:", *sorted(set(os.listdir(folder)) - before))
    got = "yes"
except Exception as error:
    got = f"no, {type(error).__name__}"
print("msal-extensions gets its lock while msal4j holds its own:", got)
holder.communicate("\n", timeout=30)
END_OF_PROGRAM
mkdir "$work/shared"
python "$work/run.py" "$work/shared" java -cp "$work/lib/*" "$work/Main.java" | as_stated
