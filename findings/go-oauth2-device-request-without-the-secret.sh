#!/usr/bin/env bash
# golang.org/x/oauth2 v0.38.0 (Go): the secret goes to the token endpoint only; the device request is sent without it.
#
# RFC 8628 §3.1 has the client authenticate at the device authorization endpoint as at the token endpoint. Here a
# configured secret, in the header or in the body as configured, is left out of the first request. Seen, for each way,
# what a server receives (`client_secret` in the body, Authorization in the header):
#
#> Basic: device request: body false, header false; poll: body false, header true
#> body: device request: body false, header false; poll: body true, header false
#
# What it means for a client of the device grant: a server that keeps to the rule (oidc-provider and Keycloak do)
# refuses every Go program that has a secret, so a client that works with one server is refused by the next. A client
# must authenticate at both endpoints.
#
# What ours does: the same proof at both endpoints and at every poll (core/tests/client.rs, case P13 of
# docs/cases.md).
source "$(dirname "$0")/common/script.sh"

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"golang.org/x/oauth2"
)

func main() {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, basic := r.BasicAuth()
		seen = append(seen, fmt.Sprintf("body %t, header %t", r.PostFormValue("client_secret") != "", basic))
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/device" {
			fmt.Fprint(w, `{"device_code":"DC","user_code":"ABCD-EFGH","verification_uri":"http://127.0.0.1/",
				"expires_in":20,"interval":1}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"AT-1","token_type":"bearer"}`)
	}))
	defer server.Close()
	for _, way := range []struct {
		name  string
		style oauth2.AuthStyle
	}{{"Basic", oauth2.AuthStyleInHeader}, {"body", oauth2.AuthStyleInParams}} {
		seen = nil
		config := oauth2.Config{ClientID: "tv", ClientSecret: "secret", Endpoint: oauth2.Endpoint{
			DeviceAuthURL: server.URL + "/device", TokenURL: server.URL + "/token", AuthStyle: way.style}}
		code, err := config.DeviceAuth(context.Background())
		if err == nil {
			_, err = config.DeviceAccessToken(context.Background(), code)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: device request: %s; poll: %s\n", way.name, seen[0], seen[1])
	}
}
END_OF_PROGRAM
go_modules golang.org/x/oauth2@v0.38.0
go list -m golang.org/x/oauth2
timeout 60 ./main | as_stated
