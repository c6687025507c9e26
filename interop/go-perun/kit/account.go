package kit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"perun.network/go-perun/wire"
	"perun.network/go-perun/wire/net/simple"
)

const accountFile = "wire.key"

// NewAccount is a wire account with a new key.
func NewAccount() (wire.Account, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return accountOf(key), nil
}

// FolderAccount is the wire account of this folder, the same at every start.
func FolderAccount(folder string) (wire.Account, error) {
	path := filepath.Join(folder, accountFile)
	data, err := os.ReadFile(path)
	if err == nil {
		key, err := x509.ParsePKCS8PrivateKey(data)
		if err != nil {
			return nil, err
		}
		private, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New(path + " is no RSA key")
		}
		return accountOf(private), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	if data, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, err
	}
	return accountOf(private), os.WriteFile(path, data, 0o600)
}

func accountOf(key *rsa.PrivateKey) wire.Account {
	return account{&simple.Address{Name: "a party of tests", PublicKey: &key.PublicKey}, key}
}
