package kit

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"

	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
	"perun.network/go-perun/wire/net/simple"
)

// WireKey is a name with a key, and what go-perun makes of them. Whoever has the same key must make
// the same bytes. For tests only: everybody knows the key.
type WireKey struct {
	Name      string `json:"name"`
	PKCS8     string `json:"pkcs8"`
	Address   string `json:"address"`
	Message   string `json:"message"`
	Signature string `json:"signature"`
}

type account struct {
	address *simple.Address
	key     *rsa.PrivateKey
}

func (a account) Address() wire.Address { return a.address }
func (a account) Sign(message []byte) ([]byte, error) {
	hash := sha256.Sum256(message)
	return rsa.SignPKCS1v15(nil, a.key, crypto.SHA256, hash[:])
}

// Tell computes what there is to tell about a name and a key.
func Tell(name string, pkcs8 []byte) (WireKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return WireKey{}, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return WireKey{}, errors.New("no RSA key")
	}
	a := account{&simple.Address{Name: name, PublicKey: &private.PublicKey}, private}
	accounts := map[wallet.BackendID]wire.Account{Ethereum: a}
	// The handshake's own message is made by go-perun, and its signature checked by go-perun.
	auth, err := wire.NewAuthResponseMsg(accounts, Ethereum)
	if err != nil {
		return WireKey{}, err
	}
	signature := auth.(*wire.AuthResponseMsg).Signature
	address, err := a.address.MarshalBinary()
	if err != nil {
		return WireKey{}, err
	}
	message := append([]byte{1}, address...)
	if err := a.address.Verify(message, signature); err != nil {
		return WireKey{}, err
	}
	return WireKey{
		Name: name, PKCS8: hex.EncodeToString(pkcs8), Address: hex.EncodeToString(address),
		Message: hex.EncodeToString(message), Signature: hex.EncodeToString(signature),
	}, nil
}

// MakeKey writes a file about a new key.
func MakeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	told, err := Tell("a node for tests", pkcs8)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(told, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// CheckKey tells whether a file says of its key what go-perun makes of it.
func CheckKey(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var said WireKey
	if err := json.Unmarshal(data, &said); err != nil {
		return err
	}
	pkcs8, err := hex.DecodeString(said.PKCS8)
	if err != nil {
		return err
	}
	made, err := Tell(said.Name, pkcs8)
	if err == nil && made != said {
		err = errors.New(path + " is not what go-perun makes of its key")
	}
	return err
}
