#!/usr/bin/env bash
# zitadel/oidc v3.52.0 (Go): when the server cannot find out about a code, it answers that the person refused.
#
# `access_denied` is the answer to a refusal (RFC 8628 §3.5), an unknown code is `invalid_grant` (RFC 6749 §5.2), and
# a failure of the server's own is a status of 5xx. Here every error of the storage becomes `access_denied`. Seen,
# with the storage of the module's own example, which is made to fail once:
#
#> a code that nobody answered yet: 400 authorization_pending
#> the same, while the storage fails: 400 access_denied
#> the same, afterwards: 400 authorization_pending
#> a code that the server does not know: 400 access_denied
#
# What it means for a client of the device grant: "you refused" is a claim about a person who may have done nothing.
# The message for `access_denied` should say that the server reports a refusal, with its description, and offer to
# begin anew; and statistics of refusals must not be read as decisions of people. It is final all the same: to go on
# polling after a real refusal would be worse.
#
# What ours does: it ends as denied and shows what the server said (rule 10 of docs/polling-law.md; case B06 of
# docs/cases.md).
source "$(dirname "$0")/common/script.sh"

cat >"$work/main.go" <<'END_OF_PROGRAM'
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// failing is the storage of the example, which cannot be reached while `down` is true.
type failing struct {
	*storage.Storage
	down bool
}

type state = op.DeviceAuthorizationState

func (s *failing) GetDeviceAuthorizatonState(ctx context.Context, client, code string) (*state, error) {
	if s.down {
		return nil, errors.New("connection reset by peer")
	}
	return s.Storage.GetDeviceAuthorizatonState(ctx, client, code)
}

func main() {
	storage.RegisterClients(storage.DeviceClient("tv", "secret"))
	front := &swap{}
	server := httptest.NewServer(front)
	defer server.Close()
	store := &failing{Storage: storage.NewStorage(storage.NewUserStore(server.URL + "/"))}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	front.handler = exampleop.SetupServer(server.URL, store, quiet, false)

	_, code := post(server.URL+"/device_authorization", url.Values{"scope": {"openid"}})
	poll := func(what, deviceCode string) {
		status, body := post(server.URL+"/oauth/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {deviceCode}})
		fmt.Printf("%s: %d %v\n", what, status, body["error"])
	}
	known, _ := code["device_code"].(string)
	poll("a code that nobody answered yet", known)
	store.down = true
	poll("the same, while the storage fails", known)
	store.down = false
	poll("the same, afterwards", known)
	poll("a code that the server does not know", "never-given-out")
}

// swap lets the server have an address before there is a handler that must know it.
type swap struct{ handler http.Handler }

func (s *swap) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func post(address string, form url.Values) (int, map[string]any) {
	form.Set("client_id", "tv")
	request, _ := http.NewRequest("POST", address, strings.NewReader(form.Encode()))
	request.SetBasicAuth("tv", "secret")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	body := map[string]any{}
	json.NewDecoder(answer.Body).Decode(&body)
	return answer.StatusCode, body
}
END_OF_PROGRAM
go_modules github.com/zitadel/oidc/v3@v3.52.0
go list -m github.com/zitadel/oidc/v3
timeout 60 ./main | as_stated
