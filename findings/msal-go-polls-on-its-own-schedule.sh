#!/usr/bin/env bash
# MSAL Go v1.10.1 (Go): the `interval` of the server is never read; the first polls come after 50, 150 and 450 ms.
#
# RFC 8628 §3.5 has the client wait `interval` seconds between polls, and five more after each `slow_down`. Seen, with
# an interval of 10 s and `slow_down` as the answer to the third poll:
#
#> polls in the first 8 s: 5
#> first poll within 1 s: yes
#> all gaps shorter than 10 s: yes
#> polls after the slow_down: 2
#
# What it means for a client of the device grant, and for a server: a wait that works at one server (Entra bears this)
# proves nothing about the rule, and a server meant for such clients must bear a burst at the beginning, when nobody
# can have approved yet. A client that copies a vendor's library copies what that vendor's server forgives.
#
# What ours does: the interval counts from the answer, for the first poll, too (rules 1, 2 and 4 of
# docs/polling-law.md; rows 3.2 and 3.3 of docs/msal.md).
source "$(dirname "$0")/common/script.sh"

cp "$common/entra.go" "$work"
cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// Waits are asked for, and nobody approves.
type slow struct {
	entra
	polls []time.Time
}

func (s *slow) Do(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/devicecode"):
		return answer(r, 200, `{"device_code":"DC","user_code":"ABCD-EFGH",
			"verification_uri":"https://login.example.test/device","expires_in":300,"interval":10,"message":"Go there."}`)
	case strings.HasSuffix(r.URL.Path, "/token"):
		s.polls = append(s.polls, time.Now())
		if len(s.polls) == 3 {
			return answer(r, 400, `{"error":"slow_down"}`)
		}
		return answer(r, 400, `{"error":"authorization_pending"}`)
	}
	return s.entra.Do(r)
}

func main() {
	server := &slow{}
	client, err := public.New("tv", public.WithAuthority(tenants), public.WithHTTPClient(server))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), 8*time.Second)
	defer stop()
	code, err := client.AcquireTokenByDeviceCode(ctx, []string{"api/read"})
	if err != nil {
		fmt.Println(err)
		return
	}
	begun := time.Now()
	code.AuthenticationResult(ctx)
	short := true
	for i := 1; i < len(server.polls); i++ {
		short = short && server.polls[i].Sub(server.polls[i-1]) < 10*time.Second
	}
	fmt.Println("polls in the first 8 s:", len(server.polls))
	fmt.Println("first poll within 1 s:", yes(len(server.polls) > 0 && server.polls[0].Sub(begun) < time.Second))
	fmt.Println("all gaps shorter than 10 s:", yes(short))
	fmt.Println("polls after the slow_down:", len(server.polls)-3)
}

func yes(it bool) string {
	if it {
		return "yes"
	}
	return "no"
}
END_OF_PROGRAM
go_modules github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1
go list -m github.com/AzureAD/microsoft-authentication-library-for-go
timeout 60 ./main | as_stated
