// Owns the commands that a test can give to the lock of MSAL for Go. The lock itself is internal to its module, which
// holds it while it writes; so these are writes.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"

	extensions "github.com/AzureAD/microsoft-authentication-extensions-for-go/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
)

// What happens while the lock is held.
type held func() error

func (held) Delete(context.Context) error               { return nil }
func (held) Read(context.Context) ([]byte, error)       { return nil, nil }
func (do held) Write(_ context.Context, _ []byte) error { return do() }

type nothing struct{}

func (nothing) Marshal() ([]byte, error) { return nil, nil }

func locked(path string, do held) error {
	keeper, err := extensions.New(do, path)
	if err != nil {
		return err
	}
	return keeper.Export(context.Background(), nothing{}, cache.ExportHints{})
}

func lock(path, mode string) error {
	switch mode {
	case "hold":
		return locked(path, func() error {
			fmt.Println("held")
			_, err := bufio.NewReader(os.Stdin).ReadString('\n')
			return err
		})
	case "try":
		if locked(path, func() error { return nil }) != nil {
			fmt.Println("refused")
		} else {
			fmt.Println("got it")
		}
		return nil
	case "count":
		for range [20]struct{}{} {
			err := locked(path, func() error {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				number, err := strconv.Atoi(string(text))
				if err != nil {
					return err
				}
				return os.WriteFile(path, []byte(strconv.Itoa(number+1)), 0o600)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no such mode: %s", mode)
}
