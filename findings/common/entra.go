// Owns what MSAL Go runs with in the scripts: a Microsoft Entra inside the process, which is an HTTP client that answers
// itself and sends nothing, and the content of a cache file.
//
// Each code is approved at once. The token endpoint gives a new refresh token each time, and refuses all others when it
// `rotates`; the first one is RT-canary-1.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
)

const (
	hosts   = `["login.microsoftonline.com","login.windows.net"]`
	tenants = "https://login.microsoftonline.com/organizations"
)

type entra struct {
	rotates bool
	given   int
}

func (e *entra) CloseIdleConnections() {}

func (e *entra) Do(r *http.Request) (*http.Response, error) {
	switch path := r.URL.Path; {
	case strings.Contains(path, "/discovery/instance"):
		return answer(r, 200, `{"tenant_discovery_endpoint":"`+tenants+`/v2.0/.well-known/openid-configuration",
			"metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net",
			"aliases":`+hosts+`}]}`)
	case strings.HasSuffix(path, "openid-configuration"):
		return answer(r, 200, `{"issuer":"`+tenants+`/v2.0","token_endpoint":"`+tenants+`/oauth2/v2.0/token",
			"authorization_endpoint":"`+tenants+`/oauth2/v2.0/authorize"}`)
	case strings.HasSuffix(path, "/devicecode"):
		return answer(r, 200, `{"device_code":"DC-canary","user_code":"ABCD-EFGH","expires_in":30,"interval":1,
			"verification_uri":"https://login.example.test/device","message":"Go there."}`)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if e.rotates && form.Has("refresh_token") && form.Get("refresh_token") != refreshToken(e.given) {
		return answer(r, 400, `{"error":"invalid_grant","error_description":"replaced"}`)
	}
	e.given++
	return answer(r, 200, tokens(refreshToken(e.given)))
}

func refreshToken(given int) string { return fmt.Sprint("RT-canary-", given+1) }

// A token answer for "anna". The access token is as good as expired, so that each silent sign-in is a refresh.
func tokens(refreshToken string) string {
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"aud":"tv","iss":"%s/v2.0","sub":"s","oid":"o","tid":"t",
		"preferred_username":"anna@example.test","iat":%d,"exp":%d}`, tenants, now, now+3600)
	return fmt.Sprintf(`{"token_type":"Bearer","scope":"openid profile offline_access api/read","expires_in":60,
		"access_token":"AT-canary","refresh_token":"%s","id_token":"%s.%s.x","client_info":"%s"}`,
		refreshToken, encoded(`{"alg":"none"}`), encoded(claims), encoded(`{"uid":"o","utid":"t"}`))
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func answer(r *http.Request, status int, body string) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// The content of a cache file.
type kept struct{ data []byte }

func (k *kept) Replace(_ context.Context, to cache.Unmarshaler, _ cache.ReplaceHints) error {
	return to.Unmarshal(k.data)
}

func (k *kept) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) (err error) {
	k.data, err = from.Marshal()
	return err
}

func contentOf(path string) *kept {
	data, err := os.ReadFile(path)
	must(err)
	return &kept{data}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
