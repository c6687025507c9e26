// Peer is a node that runs go-perun, with its own client, bus and handshake, on plain TCP or, with
// go-perun's own dialer and listener, under TLS.
//
//	peer listen SERIALIZER [tls]               rejects every proposal, until its input ends
//	peer dial SERIALIZER HOST ADDRESS [tls]    proposes a channel to the peer with this address
//	peer meet SERIALIZER NAME HOST ADDRESS [tls]
//	                                           does the first under this name, and the second as well
//	                                           after a line of input
//
// A line of its output names it: where it listens, if it does, and its wire address. With TLS the
// next line gives its certificate, and one with its key for whom it talks to. Further lines tell what
// happens.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand"
	"os"
	"time"

	"interop/kit"

	"github.com/ethereum/go-ethereum/crypto"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"github.com/perun-network/perun-eth-backend/wallet/simple"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	"perun.network/go-perun/watcher/local"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net"
	wiresimple "perun.network/go-perun/wire/net/simple"
)

const patience = 30 * time.Second

// noLedger is never asked: no channel comes to be.
type noLedger struct {
	channel.Funder
	channel.Adjudicator
}

type node struct {
	client *client.Client
	bus    *wirenet.Bus
	dialer kit.Caller
	tls    *kit.TLS
	name   map[wallet.BackendID]wire.Address
	wallet wallet.Address
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: peer listen|dial|meet native|protobuf ... [tls]")

func run(args []string) (err error) {
	if len(args) < 2 || kit.Serializers[args[1]] == nil {
		return errUsage
	}
	var tls *kit.TLS
	if args[len(args)-1] == "tls" {
		args = args[:len(args)-1]
		if tls, err = kit.NewTLS(); err != nil {
			return err
		}
	}
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	account := wiresimple.NewRandomAccount(random)
	if args[0] == "meet" && len(args) == 5 {
		account.Address().(*wiresimple.Address).Name = args[2]
	}
	n, err := newNode(account, kit.Serializers[args[1]], tls)
	if err != nil {
		return err
	}
	switch {
	case args[0] == "listen" && len(args) == 2:
		return n.listen()
	case args[0] == "dial" && len(args) == 4:
		if err := n.tell("-"); err != nil {
			return err
		}
		return n.dial(args[2], args[3])
	case args[0] == "meet" && len(args) == 5:
		return n.meet(args[3], args[4])
	}
	return errUsage
}

func newNode(account wire.Account, serializer wire.EnvelopeSerializer, tls *kit.TLS) (*node, error) {
	accounts := map[wallet.BackendID]wire.Account{kit.Ethereum: account}
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	dialer := kit.NewCaller(tls, patience)
	bus := wirenet.NewBus(accounts, dialer, serializer)
	name := wire.AddressMapfromAccountMap(accounts)
	watcher, err := local.NewWatcher(noLedger{})
	if err != nil {
		return nil, err
	}
	wallets := map[wallet.BackendID]wallet.Wallet{kit.Ethereum: simple.NewWallet(key)}
	c, err := client.New(name, bus, noLedger{}, noLedger{}, wallets, watcher)
	address := ethwallet.AsWalletAddr(crypto.PubkeyToAddress(key.PublicKey))
	return &node{c, bus, dialer, tls, name, address}, err
}

func (n *node) tell(host string) error {
	address, err := n.name[kit.Ethereum].MarshalBinary()
	fmt.Println("here", host, hex.EncodeToString(address))
	if n.tls != nil {
		fmt.Printf("tls %x %x %x\n", n.tls.Own, n.tls.Peer, n.tls.PeerKey)
	}
	return err
}

func (n *node) listen() error {
	if err := n.serve(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func (n *node) meet(host, text string) error {
	if err := n.serve(); err != nil {
		return err
	}
	input := bufio.NewReader(os.Stdin)
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	if err := n.dial(host, text); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, input)
	return err
}

// serve listens, tells where, and rejects every proposal.
func (n *node) serve() error {
	listener, host, err := kit.Listen(n.tls)
	if err != nil {
		return err
	}
	go n.bus.Listen(listener)
	reject := func(proposal client.ChannelProposal, responder *client.ProposalResponder) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		id := proposal.Base().ProposalID
		fmt.Println("proposal", hex.EncodeToString(id[:]), proposal.Base().InitBals.Balances)
		if err := responder.Reject(ctx, "not today"); err != nil {
			fmt.Println("error", err)
		}
	}
	update := func(*channel.State, client.ChannelUpdate, *client.UpdateResponder) {}
	go n.client.Handle(client.ProposalHandlerFunc(reject), client.UpdateHandlerFunc(update))
	return n.tell(host)
}

func (n *node) dial(host, text string) error {
	data, err := hex.DecodeString(text)
	if err != nil {
		return err
	}
	address := wire.NewAddress()
	if err := address.UnmarshalBinary(data); err != nil {
		return err
	}
	peer := map[wallet.BackendID]wire.Address{kit.Ethereum: address}
	n.dialer.Register(peer, host)
	outcome := &channel.Allocation{
		Backends: []wallet.BackendID{kit.Ethereum},
		Assets:   []channel.Asset{ethchannel.NewAsset(big.NewInt(1337), [20]byte{0x77})},
		Balances: channel.Balances{{big.NewInt(100), big.NewInt(200)}},
	}
	own := map[wallet.BackendID]wallet.Address{kit.Ethereum: n.wallet}
	peers := []map[wallet.BackendID]wire.Address{n.name, peer}
	proposal, err := client.NewLedgerChannelProposal(60, own, outcome, peers)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = n.client.ProposeChannel(ctx, proposal)
	var rejected client.PeerRejectedError
	if errors.As(err, &rejected) {
		fmt.Println("rejected", rejected.ItemType+":", rejected.Reason)
		return nil
	}
	return fmt.Errorf("not rejected: %w", err)
}
