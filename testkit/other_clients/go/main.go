// Command go signs in with golang.org/x/oauth2: the device flow of its documentation, and nothing around it.
//
// usage: go CLIENT-ID DEVICE-ENDPOINT TOKEN-ENDPOINT auto|params
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/oauth2"
)

func main() {
	id, device, token, style := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	endpoint := oauth2.Endpoint{DeviceAuthURL: device, TokenURL: token}
	if style == "params" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	config := oauth2.Config{ClientID: id, Scopes: []string{"openid", "profile"}, Endpoint: endpoint}
	ctx := context.Background()
	code, err := config.DeviceAuth(ctx)
	if err != nil {
		end("no code: "+err.Error(), 1)
	}
	if _, err = config.DeviceAccessToken(ctx, code); err == nil {
		end("signed in", 0)
	}
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) && refusal.ErrorCode != "" {
		end(refusal.ErrorCode, 1)
	}
	// Its text begins with the request that it cut off, if there was one.
	if errors.Is(err, context.DeadlineExceeded) {
		end(context.DeadlineExceeded.Error(), 1)
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	end(first, 1)
}

func end(words string, status int) {
	fmt.Println(words)
	os.Exit(status)
}
