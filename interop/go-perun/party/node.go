package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"

	"interop/kit"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"github.com/perun-network/perun-eth-backend/wallet/simple"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/channel/persistence"
	"perun.network/go-perun/channel/persistence/keyvalue"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	"perun.network/go-perun/watcher/local"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net"
	"polycry.pt/poly-go/sortedkv/leveldb"
)

// What go-perun's own examples allow for: contracts that need more are of no use to its users.
const (
	gasCoinDeposit  = 50_000
	gasTokenDeposit = 100_000
	gasAdjudicator  = 1_000_000
	// finality is how many blocks make a transaction final: its own.
	finality = 1
)

type assetArgs struct {
	Name   string          `json:"name"`
	Holder common.Address  `json:"holder"`
	Token  *common.Address `json:"token,omitempty"`
}

type tlsArgs struct {
	Own     hexutil.Bytes `json:"own"`
	Key     hexutil.Bytes `json:"key"`
	Peer    hexutil.Bytes `json:"peer"`
	PeerKey hexutil.Bytes `json:"peer_key,omitempty"`
}

type startArgs struct {
	// Where the chain is: a WebSocket, because go-perun subscribes.
	RPC         string         `json:"rpc"`
	Adjudicator common.Address `json:"adjudicator"`
	Assets      []assetArgs    `json:"assets"`
	// The key that pays and signs, and where withdrawals go.
	Key      hexutil.Bytes  `json:"key"`
	Receiver common.Address `json:"receiver"`
	// native or protobuf
	Serializer string `json:"serializer"`
	// none, make (the answer tells what the peer needs), or given
	TLS   string   `json:"tls"`
	Given *tlsArgs `json:"given,omitempty"`
	// Where channels are kept; nowhere, if it is empty.
	Folder string `json:"folder,omitempty"`
}

type started struct {
	Host   string         `json:"host"`
	Name   hexutil.Bytes  `json:"name"`
	Wallet common.Address `json:"wallet"`
	TLS    *tlsArgs       `json:"tls,omitempty"`
}

// node is a running client and what it is made of.
type node struct {
	*party
	client      *client.Client
	adjudicator *ethchannel.Adjudicator
	bus         *mortalBus
	dialer      kit.Caller
	records     *recorder
	watcher     *watcher
	policy      policy
	name        map[wallet.BackendID]wire.Address
	wallet      map[wallet.BackendID]wallet.Address
	assets      map[string]*ethchannel.Asset
	mutex       sync.Mutex
	opened      []channel.ID
	unfunded    map[channel.ID]*client.Channel
}

// purse is a key with its chain.
type purse struct {
	backend ethchannel.ContractBackend
	account accounts.Account
	wallet  *simple.Wallet
	chain   *big.Int
}

func openPurse(ctx context.Context, rpc string, key []byte) (*purse, error) {
	secret, err := crypto.ToECDSA(key)
	if err != nil {
		return nil, err
	}
	node, err := ethclient.DialContext(ctx, rpc)
	if err != nil {
		return nil, err
	}
	chain, err := node.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	w := simple.NewWallet(secret)
	transactor := simple.NewTransactor(w, types.LatestSignerForChainID(chain))
	id := ethchannel.MakeChainID(chain)
	backend := ethchannel.NewContractBackend(node, id, transactor, finality)
	account := accounts.Account{Address: crypto.PubkeyToAddress(secret.PublicKey)}
	return &purse{backend, account, w, chain}, nil
}

func start(ctx context.Context, p *party, args startArgs) (any, error) {
	if p.node != nil {
		return nil, errors.New("started already")
	}
	serializer := kit.Serializers[args.Serializer]
	if serializer == nil {
		return nil, fmt.Errorf("no serializer %q", args.Serializer)
	}
	security, err := args.security()
	if err != nil {
		return nil, err
	}
	purse, err := openPurse(ctx, args.RPC, args.Key)
	if err != nil {
		return nil, fmt.Errorf("opening the purse: %w", err)
	}
	account, store, err := args.storage()
	if err != nil {
		return nil, fmt.Errorf("opening the folder: %w", err)
	}
	n := &node{
		party: p, records: newRecorder(store), assets: map[string]*ethchannel.Asset{},
		unfunded: map[channel.ID]*client.Channel{},
	}
	funder := n.fund(purse, args.Assets)
	n.adjudicator = ethchannel.NewAdjudicator(
		purse.backend, args.Adjudicator, args.Receiver, purse.account, gasAdjudicator)
	n.meet(account, serializer, security)
	own, err := local.NewWatcher(n.adjudicator)
	if err != nil {
		return nil, err
	}
	n.watcher = &watcher{Watcher: own, started: make(chan channel.ID)}
	wallets := map[wallet.BackendID]wallet.Wallet{kit.Ethereum: purse.wallet}
	n.client, err = client.New(n.name, n.bus, funder, n.adjudicator, wallets, n.watcher)
	if err != nil {
		return nil, err
	}
	n.client.EnablePersistence(n.records)
	n.client.OnNewChannel(n.keep)
	go n.client.Handle(client.ProposalHandlerFunc(n.onProposal), client.UpdateHandlerFunc(n.onUpdate))
	listener, host, err := kit.Listen(security)
	if err != nil {
		return nil, err
	}
	go n.bus.Listen(listener)
	name, err := n.name[kit.Ethereum].MarshalBinary()
	p.node = n
	return started{host, name, purse.account.Address, tell(security)}, err
}

// fund makes the funder, and gives the assets their names.
func (n *node) fund(p *purse, assets []assetArgs) *ethchannel.Funder {
	n.wallet = map[wallet.BackendID]wallet.Address{
		kit.Ethereum: ethwallet.AsWalletAddr(p.account.Address),
	}
	funder := ethchannel.NewFunder(p.backend)
	for _, asset := range assets {
		named := ethchannel.NewAsset(p.chain, asset.Holder)
		n.assets[asset.Name] = named
		var depositor ethchannel.Depositor = ethchannel.NewETHDepositor(gasCoinDeposit)
		if asset.Token != nil {
			depositor = ethchannel.NewERC20Depositor(*asset.Token, gasTokenDeposit)
		}
		funder.RegisterAsset(*named, depositor, p.account)
	}
	return funder
}

// meet makes the bus.
func (n *node) meet(account wire.Account, serializer wire.EnvelopeSerializer, tls *kit.TLS) {
	accounts := map[wallet.BackendID]wire.Account{kit.Ethereum: account}
	n.dialer = kit.NewCaller(tls, patience)
	n.bus = &mortalBus{Bus: wirenet.NewBus(accounts, n.dialer, serializer)}
	n.name = wire.AddressMapfromAccountMap(accounts)
}

func (a startArgs) security() (*kit.TLS, error) {
	switch {
	case a.TLS == "none":
		return nil, nil
	case a.TLS == "make":
		return kit.NewTLS()
	case a.TLS == "given" && a.Given != nil:
		return kit.GivenTLS(a.Given.Own, a.Given.Key, a.Given.Peer)
	}
	return nil, fmt.Errorf("no kind of TLS %q", a.TLS)
}

// tell says what the other end of TLS needs.
func tell(security *kit.TLS) *tlsArgs {
	if security == nil || security.PeerKey == nil {
		return nil
	}
	return &tlsArgs{Own: security.Peer, Key: security.PeerKey, Peer: security.Own}
}

// storage opens the folder, if there is one.
func (a startArgs) storage() (wire.Account, persistence.PersistRestorer, error) {
	if a.Folder == "" {
		account, err := kit.NewAccount()
		return account, persistence.NonPersistRestorer, err
	}
	if err := os.MkdirAll(a.Folder, 0o700); err != nil {
		return nil, nil, err
	}
	account, err := kit.FolderAccount(a.Folder)
	if err != nil {
		return nil, nil, err
	}
	database, err := leveldb.LoadDatabase(filepath.Join(a.Folder, "channels"))
	if err != nil {
		return nil, nil, err
	}
	return account, keyvalue.NewPersistRestorer(database), nil
}

func closeNode(_ context.Context, n *node, _ struct{}) (any, error) {
	return struct{}{}, errors.Join(n.client.Close(), n.bus.Close(), n.records.Close())
}
