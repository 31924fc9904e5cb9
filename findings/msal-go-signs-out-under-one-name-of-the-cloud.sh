#!/usr/bin/env bash
# MSAL Go v1.10.1 (Go) on a cache file that msal-node 7.2.3 (npm @azure/msal-node) wrote: an account that Go has signed
# out still brings tokens, because the file has it under two names of the same cloud.
#
# Microsoft's public cloud has several names. Node writes under login.windows.net although it was configured with
# login.microsoftonline.com, and Go under the host that it was configured with. Go finds what stands under either name,
# so one would expect that it signs out under both. Seen for a person who signs in with Node and then with Go, and whom
# Go then signs out: one of the accounts that it lists, or the other, or both, each time from the same file:
#
#> after the sign-in by Node, Go lists: login.windows.net
#> after the sign-in by Go, it lists: login.microsoftonline.com login.windows.net
#> these are one person: yes
#> signed out login.microsoftonline.com: refresh tokens left 1, silent sign-in with that account: ok
#> signed out login.windows.net: refresh tokens left 1, silent sign-in with that account: ok
#> signed out both: refresh tokens left 0, silent sign-in with that account: no token found
#
# What it means for a client that shares the file: "signed out" in one program does not mean that nobody is signed in.
# A program that takes the first account of Go's list and signs it out leaves tokens on the disk that work, for itself
# and for every other program. A program on Go must sign out every account that has the same id; one that writes such a
# file itself must remove an account under all names of its cloud.
#
# What ours does: the names of one cloud are one server, for look-up and sign-out alike (rows 5.5 and 5.7 of
# docs/msal.md). After a sign-out by Go it still finds the person, as everybody does.
source "$(dirname "$0")/common/script.sh"

node_packages @azure/msal-node@7.2.3
cp "$common/entra.mjs" "$common/entra.go" "$work"

cat >"$work/sign_in.mjs" <<'END_OF_PROGRAM'
import { writeFileSync } from 'node:fs';
import { application, deviceRequest, tokens } from './entra.mjs';

// The access token is as good as expired, so that Go refreshes.
const { app } = application([tokens('canary-1', { expires_in: 60 })]);
await app.acquireTokenByDeviceCode(deviceRequest);
writeFileSync(process.argv[2], app.getTokenCache().serialize());
END_OF_PROGRAM

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

func refreshTokens(file *kept) int {
	var content struct{ RefreshToken map[string]any }
	must(json.Unmarshal(file.data, &content))
	return len(content.RefreshToken)
}

var background = context.Background()

func clientOf(file *kept) public.Client {
	client, err := public.New("tv", public.WithAuthority(tenants), public.WithHTTPClient(&entra{}), public.WithCache(file))
	must(err)
	return client
}

func listed(client public.Client) []public.Account {
	accounts, err := client.Accounts(background)
	must(err)
	sort.Slice(accounts, func(i, j int) bool { return accounts[i].Environment < accounts[j].Environment })
	return accounts
}

func silent(client public.Client, account public.Account) error {
	_, err := client.AcquireTokenSilent(background, []string{"api/read"}, public.WithSilentAccount(account))
	return err
}

func signOut(data []byte, name string, accounts ...public.Account) {
	file := &kept{data}
	client := clientOf(file)
	for _, account := range accounts {
		must(client.RemoveAccount(background, account))
	}
	left, said := refreshTokens(file), "ok"
	if err := silent(client, accounts[0]); err != nil {
		said = err.Error()
	}
	fmt.Printf("signed out %s: refresh tokens left %d, silent sign-in with that account: %s\n", name, left, said)
}

func names(accounts []public.Account) string {
	var all []string
	for _, account := range accounts {
		all = append(all, account.Environment)
	}
	return strings.Join(all, " ")
}

func main() {
	file := contentOf(os.Args[1])
	client := clientOf(file)
	fmt.Println("after the sign-in by Node, Go lists:", names(listed(client)))
	code, err := client.AcquireTokenByDeviceCode(background, []string{"api/read"})
	must(err)
	_, err = code.AuthenticationResult(background)
	must(err)
	accounts := listed(client)
	fmt.Println("after the sign-in by Go, it lists:", names(accounts))
	one := "yes"
	for _, account := range accounts {
		if account.HomeAccountID != accounts[0].HomeAccountID || account.PreferredUsername != accounts[0].PreferredUsername {
			one = "no"
		}
	}
	fmt.Println("these are one person:", one)
	for _, account := range accounts {
		signOut(file.data, account.Environment, account)
	}
	signOut(file.data, "both", accounts...)
}
END_OF_PROGRAM
go_modules github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1
node_version_of @azure/msal-node
go list -m github.com/AzureAD/microsoft-authentication-library-for-go
timeout 60 node "$work/sign_in.mjs" "$work/cache.json"
timeout 60 ./main "$work/cache.json" | as_stated
