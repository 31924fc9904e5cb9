#!/usr/bin/env bash
# MSAL Go v1.10.1 (Go) on a cache file that msal-node 7.2.3 (npm @azure/msal-node) wrote: Go lists the account, and
# does not find its refresh token, because the file has no entry in its section AppMetadata.
#
# That section says to which family of Microsoft's own clients a client belongs, and Node writes an entry for a client
# that is in one, and no other. One would expect that without an entry there is no family and the rest is as usual: the
# refresh token has the id of the client in it. Go looks for it only after it has found the entry. Seen, for a file
# whose access token has ended:
#
#> entries of AppMetadata in the file of Node: 0
#> refresh tokens in it: 1
#> accounts that Go lists: 1
#> silent sign-in by Go: no token found
#> the same file and an entry that names the client and the host: ok
#
# What it means for a client that shares the file: it must write an entry of AppMetadata for every client, although the
# entry says nothing. Without it all seems well, because the account is there and Go uses the access token, and after an
# hour Go's user has to sign in again.
#
# What ours does: it writes the entry with each token of Microsoft Entra that it saves (rows 6.9 and 6.10 of
# docs/msal.md).
source "$(dirname "$0")/common/script.sh"

node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$common/entra.go" "$work"

cat >"$work/sign_in.mjs" <<'END_OF_PROGRAM'
import { writeFileSync } from 'node:fs';
import { application, deviceRequest, tokens } from './entra.mjs';

// The access token is as good as expired, so that Go has to refresh.
const { app } = application([tokens('canary-1', { expires_in: 60 })]);
await app.acquireTokenByDeviceCode(deviceRequest);
const file = app.getTokenCache().serialize();
const { AppMetadata, RefreshToken } = JSON.parse(file);
console.log('entries of AppMetadata in the file of Node:', Object.keys(AppMetadata).length);
console.log('refresh tokens in it:', Object.keys(RefreshToken).length);
writeFileSync(process.argv[2], file);
END_OF_PROGRAM

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// How many accounts there are, and what comes of a silent sign-in with the first.
func silent(file *kept) (int, string) {
	client, err := public.New("tv", public.WithAuthority(tenants), public.WithHTTPClient(&entra{}),
		public.WithCache(file))
	must(err)
	accounts, err := client.Accounts(context.Background())
	must(err)
	_, err = client.AcquireTokenSilent(context.Background(), []string{"api/read"}, public.WithSilentAccount(accounts[0]))
	if err != nil {
		return len(accounts), err.Error()
	}
	return len(accounts), "ok"
}

func withAppMetadata(file *kept) *kept {
	var content map[string]any
	must(json.Unmarshal(file.data, &content))
	entry := map[string]string{"client_id": "tv", "environment": "login.windows.net"}
	content["AppMetadata"] = map[string]any{"appmetadata-login.windows.net-tv": entry}
	data, err := json.Marshal(content)
	must(err)
	return &kept{data}
}

func main() {
	file := contentOf(os.Args[1])
	accounts, said := silent(file)
	fmt.Println("accounts that Go lists:", accounts)
	fmt.Println("silent sign-in by Go:", said)
	_, said = silent(withAppMetadata(file))
	fmt.Println("the same file and an entry that names the client and the host:", said)
}
END_OF_PROGRAM
go_modules github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1
node_version_of @azure/msal-node
go list -m github.com/AzureAD/microsoft-authentication-library-for-go
{
  timeout 60 node "$work/sign_in.mjs" "$work/cache.json"
  timeout 60 ./main "$work/cache.json"
} | as_stated
