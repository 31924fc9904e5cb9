#!/usr/bin/env bash
# MSAL Python 1.39.0 (PyPI), msal-node 7.2.3 (npm @azure/msal-node), msal4j 1.26.1 (Maven Central) and MSAL Go v1.10.1
# (Go) on one cache file: no key of a refresh token suits Node, Java and Go at once, or even two of them.
#
# The four share one schema, and each finds a refresh token by what is in its entry. One would expect that it also
# replaces that entry. But each saves the new token under a key of its own, which ends differently, and what stands under
# any other key stays beside it. Seen for a file with one refresh token of the client "tv", at a server that takes each
# refresh token once, all four configured with the host that the file names:
#
#> the key ends in         Python     Node       Java       Go
#> refreshtoken-tv--scope  ok         refused    refused    chance
#> refreshtoken-tv---      ok         ok         refused    chance
#> refreshtoken-tv--       ok         refused    ok         chance
#> refreshtoken-tv         ok         refused    refused    ok
#> keys that suit Node, Java and Go: 0
#> first refresh refused: 0
#
# "ok": two refreshes in a row succeed. "refused": the second one sends the token that the first one has replaced.
# "chance": so it is in some of 200 tries, because Go takes any entry of a map. Python takes the newest by a time that
# is in the entry, and so does not mind the key.
#
# What it means for a client that shares the file: there is no right key for a new refresh token. The first refresh of
# another program looks well everywhere, and the second one ends its sign-in, or everybody's, where reuse counts as
# theft. Copies under all keys do not help either, because only one of them is replaced. It is best to write the key of
# the program that wrote last, and to remove every other entry of the same person, server and client.
#
# What ours does: exactly that, and Node's key for the first token (core/tests/cache/saving.rs; rows 4.7, 6.4 and 6.11
# and "One cache, two programs" in docs/msal.md).
source "$(dirname "$0")/common/script.sh"

python_packages msal==1.39.0
node_packages @azure/msal-node@7.2.3
java_packages com.microsoft.azure:msal4j:1.26.1
cp "$common/entra.mjs" "$common/entra.go" "$work"

cat >"$work/refresh.py" <<'END_OF_PROGRAM'
import sys
import msal
import entra

file = sys.argv[1]
server = entra.Entra(*[entra.rotation()] * 2)
for _ in range(2):
    cache = msal.SerializableTokenCache()
    cache.deserialize(open(file).read())
    app = msal.PublicClientApplication(
        "tv", authority="https://login.windows.net/organizations", token_cache=cache, http_client=server)
    [account] = app.get_accounts()
    result = app.acquire_token_silent_with_error(["api/read"], account, force_refresh=True)
    print("ok" if "access_token" in result else {"invalid_grant": "refused"}[result["error"]])
    open(file, "w").write(cache.serialize())
END_OF_PROGRAM

cat >"$work/refresh.mjs" <<'END_OF_PROGRAM'
import { readFileSync, writeFileSync } from 'node:fs';
import { application, rotation } from './entra.mjs';

const file = process.argv[2];
const cachePlugin = {
  async beforeCacheAccess(context) { context.tokenCache.deserialize(readFileSync(file, 'utf8')); },
  async afterCacheAccess(context) { if (context.cacheHasChanged) writeFileSync(file, context.tokenCache.serialize()); },
};
const auth = { clientId: 'tv', authority: 'https://login.windows.net/organizations' };
const server = rotation();
for (let i = 0; i < 2; i++) {
  const { app } = application([server], { auth, cache: { cachePlugin } });
  const [account] = await app.getTokenCache().getAllAccounts();
  try {
    await app.acquireTokenSilent({ scopes: ['api/read'], account, forceRefresh: true });
    console.log('ok');
  } catch (error) {
    if (error.errorCode !== 'invalid_grant') throw error;
    console.log('refused');
  }
}
END_OF_PROGRAM

cat >"$work/Refresh.java" <<'END_OF_PROGRAM'
import com.microsoft.aad.msal4j.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.CompletionException;

public class Refresh {
    /** Takes each refresh token once and gives the next; answers inside the process. */
    static class Entra implements IHttpClient {
        int number = 1;

        public IHttpResponse send(HttpRequest request) {
            if (!request.url().getPath().endsWith("/token")) {
                return answer(200, """
                    {"tenant_discovery_endpoint": "https://login.windows.net/organizations/v2.0", "metadata": [{
                     "preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net",
                     "aliases": ["login.microsoftonline.com", "login.windows.net"]}]}""");
            }
            if (!Set.of(request.body().split("&")).contains("refresh_token=RT-canary-" + number)) {
                return answer(400, """
                    {"error": "invalid_grant", "error_description": "replaced"}""");
            }
            number++;
            String claims = """
                {"aud": "tv", "iss": "https://login.windows.net/t/v2.0", "sub": "s", "oid": "o", "tid": "t",
                 "preferred_username": "anna@example.test", "iat": 1, "exp": 9999999999}""";
            return answer(200, """
                {"token_type": "Bearer", "scope": "openid profile offline_access api/read", "expires_in": 3600,
                 "access_token": "AT-canary-%d", "refresh_token": "RT-canary-%d", "id_token": "%s.%s.x",
                 "client_info": "%s"}""".formatted(number, number, encoded("{\"alg\": \"none\"}"), encoded(claims),
                encoded("{\"uid\": \"o\", \"utid\": \"t\"}")));
        }

        static String encoded(String text) {
            return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
        }

        static HttpResponse answer(int status, String body) {
            var answer = new HttpResponse().statusCode(status).body(body);
            answer.addHeaders(Map.of("Content-Type", List.of("application/json")));
            return answer;
        }
    }

    record Kept(Path file) implements ITokenCacheAccessAspect {
        public void beforeCacheAccess(ITokenCacheAccessContext context) {
            try {
                context.tokenCache().deserialize(Files.readString(file));
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }

        public void afterCacheAccess(ITokenCacheAccessContext context) {
            try {
                if (context.hasCacheChanged()) Files.writeString(file, context.tokenCache().serialize());
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }
    }

    static String refresh(Entra server, Path file) throws Exception {
        var app = PublicClientApplication.builder("tv").authority("https://login.windows.net/organizations/")
            .httpClient(server).setTokenCacheAccessAspect(new Kept(file)).build();
        var account = app.getAccounts().join().iterator().next();
        try {
            app.acquireTokenSilently(SilentParameters.builder(Set.of("api/read"), account).forceRefresh(true).build())
                .join();
            return "ok";
        } catch (CompletionException error) {
            if (error.getCause() instanceof MsalException refused && "invalid_grant".equals(refused.errorCode())) {
                return "refused";
            }
            throw error;
        }
    }

    public static void main(String[] arguments) throws Exception {
        var server = new Entra();
        for (int i = 0; i < 2; i++) System.out.println(refresh(server, Path.of(arguments[0])));
        System.exit(0);
    }
}
END_OF_PROGRAM

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// The access tokens of this server end at once, so that each silent sign-in is a refresh.
func refresh(server *entra, file *kept) string {
	client, err := public.New("tv", public.WithAuthority("https://login.windows.net/organizations"),
		public.WithHTTPClient(server), public.WithCache(file))
	must(err)
	accounts, err := client.Accounts(context.Background())
	must(err)
	_, err = client.AcquireTokenSilent(context.Background(), []string{"api/read"}, public.WithSilentAccount(accounts[0]))
	if err == nil {
		return "ok"
	}
	if !strings.Contains(err.Error(), "invalid_grant") {
		must(err)
	}
	return "refused"
}

func main() {
	stored := contentOf(os.Args[1])
	first, second := map[string]int{}, map[string]int{}
	for i := 0; i < 200; i++ {
		server, file := &entra{rotates: true}, &kept{stored.data}
		first[refresh(server, file)]++
		second[refresh(server, file)]++
	}
	fmt.Println(summary(first), summary(second))
}

func summary(said map[string]int) string {
	switch {
	case said["refused"] == 0:
		return "ok"
	case said["ok"] == 0:
		return "refused"
	}
	return "chance"
}
END_OF_PROGRAM
go_modules github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1

cat >"$work/matrix.py" <<'END_OF_PROGRAM'
import json
import os
import subprocess
import sys

work, python = sys.argv[1:]
HOST, ENDS = "login.windows.net", ["tv--scope", "tv---", "tv--", "tv"]
PROGRAMS = {
    "Python": [python, "refresh.py"],
    "Node": ["node", "refresh.mjs"],
    "Java": ["java", "-cp", os.path.join("lib", "*"), "Refresh.java"],
    "Go": ["./main"],
}


def file_with_a_token_under(end):
    token = {"credential_type": "RefreshToken", "home_account_id": "o.t", "environment": HOST, "client_id": "tv",
             "secret": "RT-canary-1", "last_modification_time": "1700000000"}
    if end == "tv--scope":
        token["target"] = "scope"
    account = {"home_account_id": "o.t", "environment": HOST, "realm": "t", "local_account_id": "o",
               "username": "anna@example.test", "authority_type": "MSSTS"}
    return {"AccessToken": {}, "IdToken": {}, "Account": {f"o.t-{HOST}-t": account},
            "RefreshToken": {f"o.t-{HOST}-refreshtoken-{end}": token},
            "AppMetadata": {f"appmetadata-{HOST}-tv": {"client_id": "tv", "environment": HOST}}}


def refreshes(name, number):
    """What a process of its own says about the first refresh and the second: msal4j remembers refusals."""
    file = os.path.join(work, f"{name}{number}.json")
    json.dump(file_with_a_token_under(ENDS[number]), open(file, "w"))
    ran = subprocess.run([*PROGRAMS[name], file], cwd=work, capture_output=True, text=True, timeout=120)
    if ran.returncode:
        sys.exit(f"{name}: {ran.stderr}")
    return ran.stdout.split()


said = {name: [refreshes(name, number) for number in range(len(ENDS))] for name in PROGRAMS}
print(f"{'the key ends in':24}" + "".join(f"{name:11}" for name in PROGRAMS).rstrip())
for number, end in enumerate(ENDS):
    cells = "".join(f"{rows[number][1]:11}" for rows in said.values())
    print(f"{'refreshtoken-' + end:24}{cells}".rstrip())
suits = [all(said[name][number][1] == "ok" for name in ("Node", "Java", "Go")) for number in range(len(ENDS))]
print("keys that suit Node, Java and Go:", sum(suits))
print("first refresh refused:", sum(first != "ok" for rows in said.values() for first, _ in rows))
END_OF_PROGRAM
python_version_of msal
node_version_of @azure/msal-node
ls "$work/lib" | sed -n 's/^\(msal4j\)-\([0-9.]*\)\.jar$/\1 \2/p'
go list -m github.com/AzureAD/microsoft-authentication-library-for-go
timeout 300 python3 "$work/matrix.py" "$work" "$work/venv/bin/python" | as_stated
