// Package kit fills what go-perun leaves to its users, so that its own encoders and decoders can
// run on every message: a second ledger whose names are plain bytes, and apps whose data are bytes.
package kit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"

	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/wallet"
	_ "perun.network/go-perun/wire/net/simple" // Registers the wire addresses.
)

// Ethereum and Second are the ledgers here. The second stands where CKB does.
const (
	Ethereum = wallet.BackendID(ethwallet.BackendID)
	Second   = wallet.BackendID(3)
)

var errOther = errors.New("not of this ledger")

// Name is a participant or an asset of the second ledger.
type Name struct{ Bytes []byte }

func (n *Name) MarshalBinary() ([]byte, error)    { return n.Bytes, nil }
func (n *Name) UnmarshalBinary(data []byte) error { n.Bytes = bytes.Clone(data); return nil }
func (n *Name) String() string                    { return hex.EncodeToString(n.Bytes) }
func (n *Name) BackendID() wallet.BackendID       { return Second }
func (n *Name) Address() []byte                   { return n.Bytes }
func (n *Name) equal(other any) bool {
	o, ok := other.(*Name)
	return ok && bytes.Equal(n.Bytes, o.Bytes)
}

// Party is a name as a wallet address; Asset as an asset.
type (
	Party struct{ Name }
	Asset struct{ Name }
)

func (p *Party) Equal(other wallet.Address) bool {
	o, ok := other.(*Party)
	return ok && p.equal(&o.Name)
}

func (a *Asset) Equal(other channel.Asset) bool {
	o, ok := other.(*Asset)
	return ok && a.equal(&o.Name)
}

type secondWallet struct{}

func (secondWallet) NewAddress() wallet.Address { return &Party{} }
func (secondWallet) DecodeSig(r io.Reader) (wallet.Sig, error) {
	return ethwallet.DecodeSig(r)
}
func (secondWallet) VerifySignature([]byte, wallet.Sig, wallet.Address) (bool, error) {
	return false, errOther
}

// What channels need is Ethereum's: it names them, and it signs for both.
type secondChannel struct{ *ethchannel.Backend }

func (secondChannel) NewAsset() channel.Asset { return &Asset{} }
func (secondChannel) CalcID(*channel.Params) (channel.ID, error) {
	return channel.ID{}, errOther
}

// App has bytes as its data, and allows everything.
type App struct{ ID channel.AppID }

func (a *App) Def() channel.AppID    { return a.ID }
func (a *App) NewData() channel.Data { return &Data{} }
func (a *App) ValidTransition(*channel.Params, *channel.State, *channel.State, channel.Index) error {
	return nil
}
func (a *App) ValidInit(*channel.Params, *channel.State) error { return nil }

// Data are the app's.
type Data struct{ Bytes []byte }

func (d *Data) MarshalBinary() ([]byte, error)    { return d.Bytes, nil }
func (d *Data) UnmarshalBinary(data []byte) error { d.Bytes = bytes.Clone(data); return nil }
func (d *Data) Clone() channel.Data               { return &Data{bytes.Clone(d.Bytes)} }

type resolver struct{}

func (resolver) Resolve(id channel.AppID) (channel.App, error) { return &App{id}, nil }

func init() {
	wallet.SetBackend(secondWallet{}, int(Second))
	channel.SetBackend(secondChannel{new(ethchannel.Backend)}, int(Second))
	channel.RegisterDefaultApp(resolver{})
}
