// Owns the commands that a test can give to MSAL for Go: one with its arguments, answered with one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

type answer = map[string]any

// The error of the server is in the body of the answer only.
func refusal(err error) (answer, error) {
	var call msal.CallErr
	if !errors.As(err, &call) || call.Resp == nil {
		return answer{"error": "no answer", "message": err.Error()}, nil
	}
	var body answer
	data, _ := io.ReadAll(call.Resp.Body)
	if json.Unmarshal(data, &body) != nil {
		return answer{"error": call.Resp.Status}, nil
	}
	told := answer{}
	for _, name := range []string{"error", "suberror", "claims", "error_codes"} {
		told[name] = body[name]
	}
	return told, nil
}

func told(result public.AuthResult, err error) (answer, error) {
	if err != nil {
		return refusal(err)
	}
	from := "server"
	if result.Metadata.TokenSource == public.TokenSourceCache {
		from = "cache"
	}
	return answer{"token": result.AccessToken, "from": from}, nil
}

func find(app public.Client, username string) (*public.Account, error) {
	known, err := app.Accounts(context.Background())
	if err != nil {
		return nil, err
	}
	for _, account := range known {
		if account.PreferredUsername == username {
			return &account, nil
		}
	}
	return nil, nil
}

func accounts(app public.Client) (any, error) {
	known, err := app.Accounts(context.Background())
	all := []answer{}
	for _, account := range known {
		all = append(all, answer{"id": account.HomeAccountID, "username": account.PreferredUsername})
	}
	return all, err
}

// There is no forced refresh.
func silent(app public.Client, username, scopes string) (answer, error) {
	account, err := find(app, username)
	if account == nil || err != nil {
		return answer{"nothing": true}, err
	}
	chosen := public.WithSilentAccount(*account)
	return told(app.AcquireTokenSilent(context.Background(), strings.Fields(scopes), chosen))
}

func signIn(app public.Client, scopes string) (answer, error) {
	code, err := app.AcquireTokenByDeviceCode(context.Background(), strings.Fields(scopes))
	if err != nil {
		return refusal(err)
	}
	return told(code.AuthenticationResult(context.Background()))
}

func remove(app public.Client, username string) (answer, error) {
	account, err := find(app, username)
	if account == nil || err != nil {
		return nil, fmt.Errorf("no such account: %w", err)
	}
	return answer{}, app.RemoveAccount(context.Background(), *account)
}

func drive(command string, parameters []string) (any, error) {
	app, err := application()
	if err != nil {
		return nil, err
	}
	switch command {
	case "accounts":
		return accounts(app)
	case "silent":
		return silent(app, parameters[0], parameters[1])
	case "sign_in":
		return signIn(app, parameters[0])
	case "remove":
		return remove(app, parameters[0])
	}
	return nil, errors.New("no such command: " + command)
}

func main() {
	var result any
	var err error
	switch os.Args[1] {
	case "driver":
		result, err = drive(os.Args[2], os.Args[3:])
	case "lock":
		err = lock(os.Args[2], os.Args[3])
	default:
		err = errors.New("no such program: " + os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if result != nil {
		printed, _ := json.Marshal(result)
		fmt.Println(string(printed))
	}
}
