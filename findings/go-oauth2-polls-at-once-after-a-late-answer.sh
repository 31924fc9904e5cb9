#!/usr/bin/env bash
# golang.org/x/oauth2 v0.38.0 (Go): an answer that takes longer than the interval is followed by the next poll at once,
# and that one by another before the interval is over.
#
# RFC 8628 §3.5: the interval is the least time to wait between polling requests. Here polls are sent on a ticker, which
# ticks on while an answer is waited for, and keeps one tick. Seen, with an interval of 2 s and a server whose first
# answer takes 3 s:
#
#> from the first answer to the second poll: less than 0.5 s
#> from the second answer to the third poll: less than 1.5 s
#> result: a token
#
# What it means for a client of the device grant: a server that is slow because it is busy gets its polls closer
# together, and one that measures from its own answers says slow_down to a client that believes to be on time.
#
# What ours does: the interval is counted from the arrival of the answer (rule 2 of docs/polling-law.md).
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
	polls, answered := 0, time.Time{}
	var pauses []time.Duration
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		polls++
		if polls > 1 {
			pauses = append(pauses, time.Since(answered))
		}
		w.Header().Set("Content-Type", "application/json")
		switch polls {
		case 1, 2:
			if polls == 1 {
				time.Sleep(3 * time.Second)
			}
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"authorization_pending"}`)
		default:
			fmt.Fprint(w, `{"access_token":"AT-1","token_type":"bearer"}`)
		}
		answered = time.Now()
	}))
	defer server.Close()
	endpoint := oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInParams}
	config := oauth2.Config{ClientID: "tv", Endpoint: endpoint}
	code := &oauth2.DeviceAuthResponse{DeviceCode: "DC", Interval: 2, Expiry: time.Now().Add(40 * time.Second)}
	_, err := config.DeviceAccessToken(context.Background(), code)
	if len(pauses) > 0 && pauses[0] < 500*time.Millisecond {
		fmt.Println("from the first answer to the second poll: less than 0.5 s")
	}
	if len(pauses) > 1 && pauses[1] < 1500*time.Millisecond {
		fmt.Println("from the second answer to the third poll: less than 1.5 s")
	}
	if err == nil {
		fmt.Println("result: a token")
	} else {
		fmt.Println("result:", err)
	}
}
END_OF_PROGRAM
go_modules golang.org/x/oauth2@v0.38.0
go list -m golang.org/x/oauth2
timeout 60 ./main | as_stated
