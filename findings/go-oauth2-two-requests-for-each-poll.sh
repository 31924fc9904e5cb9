#!/usr/bin/env bash
# golang.org/x/oauth2 v0.38.0 (Go): in its default configuration it sends two requests for each poll.
#
# An endpoint without an `AuthStyle` means "find out": Basic is tried first, and when the server answers with an
# error, the same request is sent again with the secret in the body. What is found out is remembered when a token
# comes, and until then every poll brings an error: `authorization_pending`. Seen, with an interval of 1 s and three
# pending answers before the token, at a server that takes both ways and answers polls by the order in which they
# come:
#
#> poll 1: Basic, at once after it: in the body
#> poll 2: Basic, at once after it: in the body
#> a token
#
# What it means for a client of the device grant: a server that counts sees every second poll come without a pause,
# and answers `slow_down` to a client that keeps to the interval, and with a code for one use the second request may
# spend what the first has won. How the client authenticates must be settled before the first poll, not found out by
# polling.
#
# What ours does: one way, from the metadata or as configured, the same at every request (core/tests/client.rs; case
# P13 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/oauth2"
)

func main() {
	var last time.Time
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		_, _, basic := r.BasicAuth()
		switch {
		case time.Since(last) > 500*time.Millisecond:
			fmt.Printf("poll %d: %s", (requests+1)/2, way(basic))
		default:
			fmt.Printf(", at once after it: %s\n", way(basic))
		}
		last = time.Now()
		w.Header().Set("Content-Type", "application/json")
		if requests < 4 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"authorization_pending"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"AT-1","token_type":"bearer"}`)
	}))
	defer server.Close()
	config := oauth2.Config{ClientID: "tv", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: server.URL}}
	code := &oauth2.DeviceAuthResponse{DeviceCode: "DC", Interval: 1, Expiry: time.Now().Add(20 * time.Second)}
	if _, err := config.DeviceAccessToken(context.Background(), code); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("a token")
}

func way(basic bool) string {
	if basic {
		return "Basic"
	}
	return "in the body"
}
END_OF_PROGRAM
go_modules golang.org/x/oauth2@v0.38.0
go list -m golang.org/x/oauth2
timeout 60 ./main | as_stated
