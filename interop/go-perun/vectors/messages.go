package main

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"interop/kit"

	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wire"
)

type message struct {
	name string
	env  *wire.Envelope
	// Protobuf loses what is locked, or cannot write it at all.
	locks, nativeOnly bool
	// Its words are kept.
	special bool
}

// messages gives every kind a few times at random, then what is special.
func messages() []message {
	all := []message{}
	for round := range 3 {
		r := newRandom(int64(round))
		add := func(name string, msg wire.Msg) {
			env := &wire.Envelope{Sender: r.name(1), Recipient: r.name(1), Msg: msg}
			all = append(all, message{name: fmt.Sprintf("%s-%d", name, round), env: env})
		}
		add("ping", &wire.PingMsg{PingPongMsg: r.created()})
		add("pong", &wire.PongMsg{PingPongMsg: r.created()})
		add("shutdown", &wire.ShutdownMsg{Reason: r.words()})
		add("auth", auth(r.bytes(12+r.Intn(250))))
		add("ledger-proposal", r.ledgerProposal(shape{r.assets(), 2}))
		add("ledger-accept", &client.LedgerChannelProposalAccMsg{
			BaseChannelProposalAcc: r.accept(), Participant: r.party(round)})
		add("sub-proposal", &client.SubChannelProposalMsg{
			BaseChannelProposal: r.proposal(shape{r.assets(), 2}), Parent: r.id()})
		add("sub-accept", &client.SubChannelProposalAccMsg{BaseChannelProposalAcc: r.accept()})
		add("virtual-proposal", r.virtualProposal(round))
		add("virtual-accept", &client.VirtualChannelProposalAccMsg{
			BaseChannelProposalAcc: r.accept(), Responder: r.party(round)})
		add("proposal-reject", &client.ChannelProposalRejMsg{ProposalID: r.id(), Reason: r.words()})
		add("update", r.update(r.state(shape{r.assets(), 2}, 0)))
		add("virtual-funding", r.funding(round, 0))
		add("virtual-settlement", r.settlement(round, 0))
		add("update-accept", &client.ChannelUpdateAccMsg{
			ChannelID: r.id(), Version: r.Uint64(), Sig: r.signature()})
		add("update-reject", &client.ChannelUpdateRejMsg{
			ChannelID: r.id(), Version: r.Uint64(), Reason: r.words()})
		add("sync", r.sync(r.state(shape{r.assets(), 2}, 0)))
	}
	return append(all, special()...)
}

func special() []message {
	r := newRandom(99)
	all := []message{}
	add := func(name string, msg wire.Msg) *message {
		env := &wire.Envelope{Sender: r.name(1), Recipient: r.name(1), Msg: msg}
		all = append(all, message{name: name, env: env, special: true})
		return &all[len(all)-1]
	}
	add("ping-zero", &wire.PingMsg{PingPongMsg: wire.PingPongMsg{Created: time.Unix(0, 0)}})
	add("ping-first", &wire.PingMsg{PingPongMsg: wire.PingPongMsg{Created: time.Unix(0, math.MinInt64)}})
	add("pong-last", &wire.PongMsg{PingPongMsg: wire.PingPongMsg{Created: time.Unix(0, math.MaxInt64)}})
	add("shutdown-silent", &wire.ShutdownMsg{})
	add("auth-empty", auth([]byte{}))
	m := add("reason-longest", &client.ChannelProposalRejMsg{Reason: strings.Repeat("x", 4096)})
	m.special = false
	add("two-names", &wire.ShutdownMsg{Reason: "two"}).env.Sender = r.name(2)
	m = add("four-names", &wire.ShutdownMsg{Reason: "four"})
	m.env.Sender, m.env.Recipient = r.name(4), r.name(3)
	add("with-keys", auth(r.bytes(256))).env.Sender = r.nameWithKey()

	proposal := r.ledgerProposal(shape{1, 2})
	proposal.Participant, proposal.App, proposal.InitData = r.party(1), r.app(), &kit.Data{Bytes: []byte{}}
	proposal.Peers[0] = r.name(2)
	add("proposal-app", proposal)
	proposal = r.ledgerProposal(shape{1, 2})
	proposal.InitBals.Balances = channel.Balances{{big.NewInt(0), max128()}}
	proposal.FundingAgreement = channel.Balances{{max128(), big.NewInt(0)}}
	proposal.ChallengeDuration = math.MaxUint64
	add("proposal-agreement", proposal)
	m = add("proposal-many", r.ledgerProposal(shape{16, 16}))
	m.special = false

	virtual := r.virtualProposal(0)
	virtual.Parents, virtual.IndexMaps = []channel.ID{}, [][]channel.Index{{}, {math.MaxUint16}}
	add("virtual-odd", virtual)

	for _, count := range []int{1, 3} {
		name := fmt.Sprintf("update-locked-%d", count)
		add(name, r.update(r.state(shape{2, 2}, count))).locks = true
	}
	m = add("update-locked-most", r.update(r.state(shape{1, 2}, 32)))
	m.locks, m.special = true, false
	final := r.state(shape{1, 2}, 0)
	final.IsFinal, final.Version = true, math.MaxUint64
	final.App, final.Data = r.app(), &kit.Data{Bytes: r.bytes(1024)}
	update := r.update(final)
	update.ActorIdx = math.MaxUint16
	add("update-final-app", update)
	add("funding-locked", r.funding(1, 1)).locks = true
	add("settlement-locked", r.settlement(0, 1)).locks = true
	odd := r.settlement(0, 0)
	odd.Final.Params = channel.NewParamsUnsafe(1, odd.Final.Params.Parts, r.app(), big.NewInt(7),
		true, false, channel.Aux{})
	odd.Final.Sigs[0] = nil
	add("settlement-odd", odd)
	sparse := r.sync(r.state(shape{1, 11}, 0))
	for _, place := range []int{0, 3, 8, 9} {
		sparse.CurrentTX.Sigs[place] = nil
	}
	sparse.Phase = channel.Withdrawn
	add("sync-sparse", sparse)
	add("sync-nothing", &client.ChannelSyncMsg{Phase: channel.InitActing}).nativeOnly = true
	return all
}

func auth(signature []byte) *wire.AuthResponseMsg {
	return &wire.AuthResponseMsg{Signature: signature}
}

func max128() *big.Int {
	return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
}
