package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	"perun.network/go-perun/channel"
)

type settleArgs struct {
	Channel common.Hash `json:"channel"`
	// Somebody else will probably conclude it.
	Secondary bool `json:"secondary"`
}

func settle(ctx context.Context, n *node, args settleArgs) (any, error) {
	n.mutex.Lock()
	c, ok := n.unfunded[channel.ID(args.Channel)]
	n.mutex.Unlock()
	if !ok {
		var err error
		if c, err = n.client.Channel(channel.ID(args.Channel)); err != nil {
			return nil, err
		}
	}
	if err := c.Settle(ctx, args.Secondary); err != nil {
		return nil, err
	}
	return look(c), nil
}

// force makes a step of an app on the chain.
func force(ctx context.Context, n *node, args updateArgs) (any, error) {
	c, err := args.find(n)
	if err != nil {
		return nil, err
	}
	if err := c.ForceUpdate(ctx, args.change(c.Idx(), true)); err != nil {
		return nil, err
	}
	return look(c), nil
}

type cheatArgs struct {
	Channel common.Hash `json:"channel"`
	Version uint64      `json:"version"`
}

// cheat registers an old state, past go-perun's client, which would register the newest.
func cheat(ctx context.Context, n *node, args cheatArgs) (any, error) {
	request, err := n.records.request(channel.ID(args.Channel), args.Version)
	if err != nil {
		return nil, err
	}
	return struct{}{}, n.adjudicator.Register(ctx, *request, nil)
}

// watch lets go-perun's watcher look after a channel, until that is closed.
func watch(ctx context.Context, n *node, args channelArgs) (any, error) {
	c, err := n.client.Channel(channel.ID(args.Channel))
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(events{n}) }()
	select {
	case <-n.watcher.started:
	case err := <-ended:
		return nil, fmt.Errorf("the watcher ended at once: %w", err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	go func() { n.tellProblem("watching", <-ended) }()
	return struct{}{}, nil
}

type events struct{ *node }

// HandleAdjudicatorEvent tells what the chain says of a channel.
func (e events) HandleAdjudicatorEvent(event channel.AdjudicatorEvent) {
	id := common.Hash(event.ID())
	told := happened{Event: "chain", Channel: &id, Version: event.Version()}
	switch event.(type) {
	case *channel.RegisteredEvent:
		told.Kind = "registered"
	case *channel.ProgressedEvent:
		told.Kind = "progressed"
	case *channel.ConcludedEvent:
		told.Kind = "concluded"
	default:
		told.Kind = fmt.Sprintf("%T", event)
	}
	e.tell(told)
}

type deployArgs struct {
	RPC    string           `json:"rpc"`
	Key    hexutil.Bytes    `json:"key"`
	Owners []common.Address `json:"owners"`
	Each   *decimal         `json:"each"`
}

type deployed struct {
	Adjudicator common.Address `json:"adjudicator"`
	CoinHolder  common.Address `json:"coin_holder"`
	Token       common.Address `json:"token"`
	TokenHolder common.Address `json:"token_holder"`
	App         common.Address `json:"app"`
}

// deploy puts Perun's own contracts on the chain, with the code that the Go module has, and a token
// of which every owner has so much.
func deploy(ctx context.Context, _ *party, args deployArgs) (any, error) {
	if args.Each == nil {
		return nil, errors.New("how much is each owner's?")
	}
	p, err := openPurse(ctx, args.RPC, args.Key)
	if err != nil {
		return nil, err
	}
	var d deployed
	b, from := p.backend, p.account
	if d.Adjudicator, err = ethchannel.DeployAdjudicator(ctx, b, from); err != nil {
		return nil, err
	}
	if d.CoinHolder, err = ethchannel.DeployETHAssetholder(ctx, b, d.Adjudicator, from); err != nil {
		return nil, err
	}
	each := (*big.Int)(args.Each)
	if d.Token, err = ethchannel.DeployPerunToken(ctx, b, from, args.Owners, each); err != nil {
		return nil, err
	}
	d.TokenHolder, err = ethchannel.DeployERC20Assetholder(ctx, b, d.Adjudicator, d.Token, from)
	if err != nil {
		return nil, err
	}
	d.App, err = ethchannel.DeployTrivialApp(ctx, b, from)
	return d, err
}

type validateArgs struct {
	RPC         string         `json:"rpc"`
	Key         hexutil.Bytes  `json:"key"`
	Adjudicator common.Address `json:"adjudicator"`
	CoinHolder  common.Address `json:"coin_holder"`
}

// validate asks the backend whether it knows the contracts' code, as its example clients do.
func validate(ctx context.Context, _ *party, args validateArgs) (any, error) {
	p, err := openPurse(ctx, args.RPC, args.Key)
	if err != nil {
		return nil, err
	}
	says := func(err error) (bool, error) {
		if ethchannel.IsErrInvalidContractCode(err) {
			return false, nil
		}
		return err == nil, err
	}
	var known struct {
		Adjudicator bool `json:"adjudicator"`
		CoinHolder  bool `json:"coin_holder"`
	}
	known.Adjudicator, err = says(ethchannel.ValidateAdjudicator(ctx, p.backend, args.Adjudicator))
	if err != nil {
		return nil, err
	}
	known.CoinHolder, err = says(ethchannel.ValidateAssetHolderETH(
		ctx, p.backend, args.CoinHolder, args.Adjudicator))
	return known, err
}
