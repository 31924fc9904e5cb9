#!/usr/bin/env bash
# golang.org/x/oauth2 v0.38.0 (Go): one connection that is lost while the person types the code ends the sign-in.
#
# RFC 8628 §3.5 has the client go on after a connection timeout, more slowly. Here any failure of one poll in the
# whole life of the code is returned as the result. Seen, with a server that closes the connection of the second poll
# and would answer the third with a token:
#
#> polls: 2
#> result: an error, EOF
#> life of the code that was left: more than 10 s
#
# What it means for a client of the device grant: a sign-in takes minutes, on a television or a server behind a bad
# line, and the person at the page sees "approved" while the device has given up. (Most libraries do the same;
# docs/msal.md, row 3.13, and case P18 have others.)
#
# What ours does: lost connections, timeouts and outages are waits that grow up to a cap, until the code's own end
# (rule 5 of docs/polling-law.md; case P18 of docs/cases.md).
source "$(dirname "$0")/common/script.sh"

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/oauth2"
)

func main() {
	polls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		polls++
		w.Header().Set("Content-Type", "application/json")
		switch polls {
		case 1:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"authorization_pending"}`)
		case 2:
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.Close()
		default:
			fmt.Fprint(w, `{"access_token":"AT-1","token_type":"bearer"}`)
		}
	}))
	defer server.Close()
	endpoint := oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInParams}
	config := oauth2.Config{ClientID: "tv", Endpoint: endpoint}
	code := &oauth2.DeviceAuthResponse{DeviceCode: "DC", Interval: 1, Expiry: time.Now().Add(20 * time.Second)}
	_, err := config.DeviceAccessToken(context.Background(), code)
	fmt.Println("polls:", polls)
	switch {
	case err == nil:
		fmt.Println("result: a token")
	case errors.Is(err, io.EOF):
		fmt.Println("result: an error, EOF")
	default:
		fmt.Println("result:", err)
	}
	if time.Until(code.Expiry) > 10*time.Second {
		fmt.Println("life of the code that was left: more than 10 s")
	}
}
END_OF_PROGRAM
go_modules golang.org/x/oauth2@v0.38.0
go list -m golang.org/x/oauth2
timeout 60 ./main | as_stated
