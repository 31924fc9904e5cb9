#!/usr/bin/env bash
# msal4j 1.26.1 (Maven Central): what it does not know in a shared cache file is gone when it saves, in entries and
# beside them.
#
# The MSALs share the schema of the file, so that a program of another language can use it. Unknown members are how
# such a schema grows: each library adds some of its own and keeps those of the others (MSAL Python and Node do).
# Seen, for a file that is read and written again without any change:
#
#> member of its own of an account: kept no
#> last_modification_time of a refresh token: kept no
#> section of its own beside the five: kept no
#> home_account_id, known to all: kept yes
#
# What it means for a client that shares the file: nothing of its own survives there for certain, neither a note in an
# entry nor a section. What it needs must be derivable, or be kept elsewhere. `last_modification_time` is what MSAL
# Python sorts by: after msal4j has written, "newest first" sees tokens without an age.
#
# What ours does: it keeps what it does not know (core/tests/cache) and takes its own members for hints that may be
# missing. A refresh token without an age counts as written with the newest access token of its client; of several, the
# one under the key that ours writes is the oldest. If the first is refused, the others are tried (rows 4.6 and 6.11 of
# docs/msal.md).
source "$(dirname "$0")/common/script.sh"

java_packages com.microsoft.azure:msal4j:1.26.1
ls "$work/lib" | sed -n 's/^\(msal4j\)-\([0-9.]*\)\.jar$/\1 \2/p'

cat >"$work/Main.java" <<'END_OF_PROGRAM'
import com.microsoft.aad.msal4j.PublicClientApplication;

public class Main {
    public static void main(String[] arguments) throws Exception {
        String stored = """
            {"AccessToken": {}, "IdToken": {}, "AppMetadata": {},
             "Account": {"o.t-login.microsoftonline.com-t": {
               "home_account_id": "o.t", "environment": "login.microsoftonline.com", "realm": "t",
               "local_account_id": "o", "username": "anna@example.test", "authority_type": "MSSTS",
               "x_note": "of its own"}},
             "RefreshToken": {"o.t-login.microsoftonline.com-refreshtoken-tv--": {
               "credential_type": "RefreshToken", "home_account_id": "o.t", "environment": "login.microsoftonline.com",
               "client_id": "tv", "secret": "RT-1", "last_modification_time": "1700000000"}},
             "XSection": {"x": "of its own"}}""";
        var cache = PublicClientApplication.builder("tv").build().tokenCache();
        cache.deserialize(stored);
        String saved = cache.serialize();
        tell("member of its own of an account", saved.contains("x_note"));
        tell("last_modification_time of a refresh token", saved.contains("last_modification_time"));
        tell("section of its own beside the five", saved.contains("XSection"));
        tell("home_account_id, known to all", saved.contains("home_account_id"));
    }

    static void tell(String what, boolean kept) {
        System.out.println(what + ": kept " + (kept ? "yes" : "no"));
    }
}
END_OF_PROGRAM
timeout 120 java -cp "$work/lib/*" "$work/Main.java" 2>"$work/java.log" | as_stated
