#!/usr/bin/env bash
# The cache extension of MSAL Go, microsoft-authentication-extensions-for-go/cache v0.1.1 (Go), with MSAL Go v1.10.1: it
# takes its lock only after it has read, so that a refresh undoes what another program saved under the same lock.
#
# A change of a shared file is to read, to change and to write; a lock around the write alone protects against half a
# file and not against a lost change. One would expect the lock around all three, as the extension for Python has it,
# whose lock file this is. Seen, for a program that takes the lock, reads the file, signs in a second person, saves and
# lets go, while MSAL Go refreshes the token of the first person:
#
#> Go reads while the other holds the lock: yes
#> Go writes while the other holds the lock: no
#> the file when the other lets go: anna ben
#> the refresh of Go: ok
#> the file after it: anna
#
# What it means for a client that shares the file: the lock keeps two writers apart and saves no change. Go writes what
# it has read before it waited, and whatever was saved in between is gone: a person who has just signed in, or, at a
# server that rotates tokens, the only refresh token that is still good; and one who has signed out is back. No
# lock of the other program prevents it. It must expect that what it saved is not there at the next look, and hold
# the lock for as short a time as it can.
#
# What ours does: it reads and writes under the lock, each time (row 6.20 of docs/msal.md), and cannot mend this from
# outside (row 6.22): a token that Go has undone leads to a new sign-in.
source "$(dirname "$0")/common/script.sh"

python_packages msal==1.39.0 msal-extensions==1.3.1 portalocker==2.10.1
cp "$common/entra.go" "$work"

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	extensions "github.com/AzureAD/microsoft-authentication-extensions-for-go/cache"
	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache/accessor/file"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// Says how far the extension has come.
type told struct{ cache.ExportReplace }

func (t told) Replace(ctx context.Context, to cache.Unmarshaler, hints cache.ReplaceHints) error {
	err := t.ExportReplace.Replace(ctx, to, hints)
	fmt.Println("has read")
	return err
}

func (t told) Export(ctx context.Context, from cache.Marshaler, hints cache.ExportHints) error {
	fmt.Println("is about to write")
	return t.ExportReplace.Export(ctx, from, hints)
}

func main() {
	storage, err := file.New(os.Args[1])
	must(err)
	extension, err := extensions.New(storage, os.Args[1])
	must(err)
	client, err := public.New("tv", public.WithAuthority(tenants), public.WithCache(told{extension}),
		public.WithHTTPClient(&entra{rotates: true}))
	must(err)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	accounts, err := client.Accounts(ctx)
	must(err)
	_, err = client.AcquireTokenSilent(ctx, []string{"api/read"}, public.WithSilentAccount(accounts[0]))
	must(err)
	fmt.Println("ok")
}
END_OF_PROGRAM
go_modules github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1 \
  github.com/AzureAD/microsoft-authentication-extensions-for-go/cache@v0.1.1

cat >"$work/run.py" <<'END_OF_PROGRAM'
import json
import subprocess
import sys
import time
import msal
import msal_extensions
import entra

path, go = sys.argv[1:]
file = msal_extensions.FilePersistence(path)
lock = msal_extensions.PersistedTokenCache(file)._lock_location


def people():
    accounts = json.loads(file.load())["Account"].values()
    return " ".join(sorted(account["username"].split("@")[0] for account in accounts))


def sign_in(cache, answer):
    app = msal.PublicClientApplication(
        "tv", authority=entra.AUTHORITY, token_cache=cache, http_client=entra.Entra(answer))
    app.acquire_token_by_device_flow(app.initiate_device_flow(scopes=["api/read"]))
    file.save(cache.serialize())


def yes(it):
    return "yes" if it else "no"


# The access token is as good as expired, so that Go refreshes.
sign_in(msal.SerializableTokenCache(), entra.tokens("canary-1", expires_in=60))
claims = {"aud": "tv", "iss": entra.AUTHORITY + "/v2.0", "sub": "s2", "oid": "o2", "tid": "t",
          "preferred_username": "ben@example.test", "iat": int(time.time()), "exp": int(time.time()) + 3600}
ben = entra.tokens("canary-ben", client_info=entra.encoded({"uid": "o2", "utid": "t"}),
                   id_token=f"{entra.encoded({'alg': 'none'})}.{entra.encoded(claims)}.x")
with msal_extensions.CrossPlatLock(lock):
    cache = msal.SerializableTokenCache()
    cache.deserialize(file.load())
    before = file.load()
    program = subprocess.Popen([go, path], stdout=subprocess.PIPE, text=True)
    heard = []
    while not heard or heard[-1] == "has read":
        heard.append(program.stdout.readline().strip())
    print("Go reads while the other holds the lock:", yes("has read" in heard and heard[-1] == "is about to write"))
    time.sleep(1)
    print("Go writes while the other holds the lock:", yes(program.poll() is not None or file.load() != before))
    sign_in(cache, ben)
    print("the file when the other lets go:", people())
print("the refresh of Go:", program.communicate(timeout=60)[0].strip())
print("the file after it:", people())
END_OF_PROGRAM
mkdir "$work/shared"
python_version_of msal-extensions
go list -m github.com/AzureAD/microsoft-authentication-library-for-go \
  github.com/AzureAD/microsoft-authentication-extensions-for-go/cache
python "$work/run.py" "$work/shared/cache.json" "$work/main" | as_stated
