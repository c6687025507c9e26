package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"interop/kit"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
)

// decimal is an amount, written so that no reader loses digits.
type decimal big.Int

func (d *decimal) MarshalText() ([]byte, error) { return []byte((*big.Int)(d).String()), nil }
func (d *decimal) UnmarshalText(text []byte) error {
	if _, ok := (*big.Int)(d).SetString(string(text), 10); !ok {
		return fmt.Errorf("%q is no amount", text)
	}
	return nil
}

func decimals(rows channel.Balances) (out [][]*decimal) {
	for _, row := range rows {
		var line []*decimal
		for _, amount := range row {
			line = append(line, (*decimal)(amount))
		}
		out = append(out, line)
	}
	return out
}

func balances(rows [][]*decimal) (out channel.Balances) {
	for _, row := range rows {
		var line []*big.Int
		for _, amount := range row {
			line = append(line, (*big.Int)(amount))
		}
		out = append(out, line)
	}
	return out
}

// view is how a channel stands.
type view struct {
	Channel  common.Hash   `json:"channel"`
	Index    channel.Index `json:"index"`
	Version  uint64        `json:"version"`
	Phase    string        `json:"phase"`
	Final    bool          `json:"final"`
	Balances [][]*decimal  `json:"balances"`
	Locked   []common.Hash `json:"locked"`
}

func look(c *client.Channel) view {
	s := c.State()
	if s == nil {
		return view{
			Channel: c.ID(), Index: c.Idx(), Phase: c.Phase().String() + ", no state",
			Balances: [][]*decimal{}, Locked: []common.Hash{},
		}
	}
	locked := []common.Hash{}
	for _, sub := range s.Locked {
		locked = append(locked, sub.ID)
	}
	return view{
		c.ID(), c.Idx(), s.Version, c.Phase().String(), s.IsFinal, decimals(s.Balances), locked,
	}
}

type channelArgs struct {
	Channel common.Hash `json:"channel"`
}

func state(_ context.Context, n *node, args channelArgs) (any, error) {
	c, err := n.client.Channel(channel.ID(args.Channel))
	if err != nil {
		return nil, err
	}
	return look(c), nil
}

type peerArgs struct {
	Name hexutil.Bytes `json:"name"`
	Host string        `json:"host"`
}

// addPeer tells where somebody listens; who starts again listens elsewhere.
func addPeer(_ context.Context, n *node, args peerArgs) (any, error) {
	name, err := readName(args.Name)
	if err == nil {
		n.dialer.Register(name, args.Host)
	}
	return struct{}{}, err
}

func readName(data []byte) (map[wallet.BackendID]wire.Address, error) {
	address := wire.NewAddress()
	err := address.UnmarshalBinary(data)
	return map[wallet.BackendID]wire.Address{kit.Ethereum: address}, err
}

// appArgs name a contract and give its first data.
type appArgs struct {
	App  *common.Address `json:"app,omitempty"`
	Data hexutil.Bytes   `json:"data,omitempty"`
}

func (a appArgs) options() client.ProposalOpts {
	if a.App == nil {
		return client.WithoutApp()
	}
	id := &ethchannel.AppID{Address: ethwallet.AsWalletAddr(*a.App)}
	return client.WithApp(&kit.App{ID: id}, &kit.Data{Bytes: a.Data})
}

type proposeArgs struct {
	Peer      hexutil.Bytes `json:"peer"`
	Challenge uint64        `json:"challenge"`
	Assets    []string      `json:"assets"`
	Balances  [][]*decimal  `json:"balances"`
	appArgs
}

func propose(ctx context.Context, n *node, args proposeArgs) (any, error) {
	peer, err := readName(args.Peer)
	if err != nil {
		return nil, err
	}
	outcome := &channel.Allocation{Balances: balances(args.Balances)}
	for _, name := range args.Assets {
		asset, ok := n.assets[name]
		if !ok {
			return nil, fmt.Errorf("no asset %q", name)
		}
		outcome.Assets = append(outcome.Assets, asset)
		outcome.Backends = append(outcome.Backends, kit.Ethereum)
	}
	peers := []map[wallet.BackendID]wire.Address{n.name, peer}
	proposal, err := client.NewLedgerChannelProposal(
		args.Challenge, n.wallet, outcome, peers, args.options())
	if err != nil {
		return nil, err
	}
	return n.open(ctx, proposal)
}

type subArgs struct {
	Parent    common.Hash  `json:"parent"`
	Challenge uint64       `json:"challenge"`
	Balances  [][]*decimal `json:"balances"`
	appArgs
}

func proposeSub(ctx context.Context, n *node, args subArgs) (any, error) {
	parent, err := n.client.Channel(channel.ID(args.Parent))
	if err != nil {
		return nil, err
	}
	above := parent.State()
	outcome := &channel.Allocation{
		Assets: above.Assets, Backends: above.Backends, Balances: balances(args.Balances),
	}
	proposal, err := client.NewSubChannelProposal(
		parent.ID(), args.Challenge, outcome, args.options())
	if err != nil {
		return nil, err
	}
	return n.open(ctx, proposal)
}

func (n *node) open(ctx context.Context, proposal client.ChannelProposal) (any, error) {
	c, err := n.client.ProposeChannel(ctx, proposal)
	if err != nil {
		n.keepUnfunded(c)
		return nil, err
	}
	return look(c), nil
}

// keepUnfunded remembers a channel whose funding failed: its user has to settle it, to get back what
// is in.
func (n *node) keepUnfunded(c *client.Channel) {
	if c == nil {
		return
	}
	n.mutex.Lock()
	n.unfunded[c.ID()] = c
	n.mutex.Unlock()
	id := common.Hash(c.ID())
	n.tell(happened{Event: "unfunded", Channel: &id})
}

type updateArgs struct {
	Channel common.Hash `json:"channel"`
	// From whoever asks to the other, this often; nothing, to change something else.
	Asset  int      `json:"asset"`
	Amount *decimal `json:"amount,omitempty"`
	Times  int      `json:"times"`
	// An app's new data, if there are any, and whether the last state is final.
	Data  hexutil.Bytes `json:"data,omitempty"`
	Final bool          `json:"final"`
}

// change makes the next state from the present one.
func (a updateArgs) change(own channel.Index, last bool) func(*channel.State) {
	return func(s *channel.State) {
		if a.Amount != nil {
			row, amount := s.Balances[a.Asset], (*big.Int)(a.Amount)
			row[own].Sub(row[own], amount)
			row[1-own].Add(row[1-own], amount)
		}
		if a.Data != nil {
			s.Data = &kit.Data{Bytes: a.Data}
		}
		s.IsFinal = a.Final && last
	}
}

func (a updateArgs) find(n *node) (*client.Channel, error) {
	c, err := n.client.Channel(channel.ID(a.Channel))
	if err == nil && (a.Asset < 0 || a.Asset >= len(c.State().Assets)) {
		err = errors.New("no such asset in the channel")
	}
	return c, err
}

func update(ctx context.Context, n *node, args updateArgs) (any, error) {
	c, err := args.find(n)
	if err != nil {
		return nil, err
	}
	for i := range args.Times {
		if err := c.Update(ctx, args.change(c.Idx(), i == args.Times-1)); err != nil {
			return nil, err
		}
	}
	return look(c), nil
}

func restore(ctx context.Context, n *node, _ struct{}) (any, error) {
	if err := n.client.Restore(ctx); err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	views := []view{}
	for _, id := range n.opened {
		c, err := n.client.Channel(id)
		if err != nil {
			return nil, err
		}
		views = append(views, look(c))
	}
	return views, nil
}
