// Owns the configuration of MSAL for Go in tests: its client, its server and its cache file, all from the environment.
package main

import (
	"context"
	"errors"
	"os"

	extensions "github.com/AzureAD/microsoft-authentication-extensions-for-go/cache"
	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache/accessor/file"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// Read before each access and written after it, as the documentation of MSAL recommends.
type plain string

func (path plain) Replace(_ context.Context, to cache.Unmarshaler, _ cache.ReplaceHints) error {
	data, err := os.ReadFile(string(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return to.Unmarshal(data)
}

func (path plain) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) error {
	data, err := from.Marshal()
	if err != nil {
		return err
	}
	return os.WriteFile(string(path), data, 0o600)
}

// `extensions`: locked, as the module of the extensions does, with the lock beside the file as the other languages have
// it. `plain`: as above.
func keeper(path, name string) (cache.ExportReplace, error) {
	if name != "extensions" {
		return plain(path), nil
	}
	storage, err := file.New(path)
	if err != nil {
		return nil, err
	}
	return extensions.New(storage, path)
}

func application() (public.Client, error) {
	settings := []public.Option{public.WithAuthority(os.Getenv("AUTHORITY"))}
	if path := os.Getenv("CACHE"); path != "" {
		kept, err := keeper(path, os.Getenv("KEEPER"))
		if err != nil {
			return public.Client{}, err
		}
		settings = append(settings, public.WithCache(kept))
	}
	if os.Getenv("PRIVATE_AUTHORITY") != "" {
		settings = append(settings, public.WithInstanceDiscovery(false))
	}
	return public.New(os.Getenv("CLIENT_ID"), settings...)
}
