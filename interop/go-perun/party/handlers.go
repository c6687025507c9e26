package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
)

// What is done about the peer's proposals and updates.
const (
	accept = "accept"
	reject = "reject"
	// The next is rejected, later ones are accepted.
	rejectNext = "reject-next"
	// The next is accepted and kept; the process ends before the peer learns of it.
	dieNext = "die-next"
)

type policy struct {
	mutex     sync.Mutex
	proposals string
	updates   string
}

type policyArgs struct {
	Proposals string `json:"proposals,omitempty"`
	Updates   string `json:"updates,omitempty"`
}

func setPolicy(_ context.Context, n *node, args policyArgs) (any, error) {
	switch args.Proposals {
	case "", accept, reject:
	default:
		return nil, fmt.Errorf("no policy %q for proposals", args.Proposals)
	}
	switch args.Updates {
	case "", accept, rejectNext, dieNext:
	default:
		return nil, fmt.Errorf("no policy %q for updates", args.Updates)
	}
	n.policy.mutex.Lock()
	defer n.policy.mutex.Unlock()
	if args.Proposals != "" {
		n.policy.proposals = args.Proposals
	}
	if args.Updates != "" {
		n.policy.updates = args.Updates
	}
	return struct{}{}, nil
}

type happened struct {
	Event    string       `json:"event"`
	Channel  *common.Hash `json:"channel,omitempty"`
	Parent   *common.Hash `json:"parent,omitempty"`
	Kind     string       `json:"kind,omitempty"`
	Version  uint64       `json:"version"`
	Final    bool         `json:"final"`
	Balances [][]*decimal `json:"balances,omitempty"`
	Verdict  string       `json:"verdict,omitempty"`
	Text     string       `json:"text,omitempty"`
}

func (n *node) tellProblem(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		n.tell(happened{Event: "problem", Kind: what, Text: err.Error()})
	}
}

// keep remembers a channel that was opened or restored.
func (n *node) keep(c *client.Channel) {
	n.mutex.Lock()
	n.opened = append(n.opened, c.ID())
	n.mutex.Unlock()
	id := common.Hash(c.ID())
	event := happened{Event: "channel", Channel: &id}
	if c.Parent() != nil {
		parent := common.Hash(c.Parent().ID())
		event.Parent = &parent
	}
	n.tell(event)
}

// onProposal answers when the handler has returned: go-perun holds the parent's lock until then, and
// who opens a sub-channel has to change the parent before Accept is done.
func (n *node) onProposal(proposal client.ChannelProposal, responder *client.ProposalResponder) {
	go n.answerProposal(proposal, responder)
}

func (n *node) answerProposal(proposal client.ChannelProposal, responder *client.ProposalResponder) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n.policy.mutex.Lock()
	verdict := n.policy.proposals
	n.policy.mutex.Unlock()
	var answer client.ChannelProposalAccept
	switch p := proposal.(type) {
	case *client.LedgerChannelProposalMsg:
		answer = p.Accept(n.wallet, client.WithRandomNonce())
	case *client.SubChannelProposalMsg:
		answer = p.Accept(client.WithRandomNonce())
	}
	if verdict == "" {
		verdict = accept
	}
	if answer == nil {
		verdict = reject
	}
	n.tell(happened{
		Event: "proposal", Verdict: verdict,
		Balances: decimals(proposal.Base().InitBals.Balances),
	})
	if verdict == reject {
		n.tellProblem("rejecting a proposal", responder.Reject(ctx, "not today"))
		return
	}
	c, err := responder.Accept(ctx, answer)
	if err != nil {
		n.keepUnfunded(c)
	}
	n.tellProblem("accepting a proposal", err)
}

func (n *node) onUpdate(
	_ *channel.State, update client.ChannelUpdate, responder *client.UpdateResponder,
) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n.policy.mutex.Lock()
	verdict := n.policy.updates
	if verdict == rejectNext {
		n.policy.updates = accept
	}
	n.policy.mutex.Unlock()
	if verdict == "" {
		verdict = accept
	}
	id := common.Hash(update.State.ID)
	event := happened{
		Event: "update", Channel: &id, Verdict: verdict, Version: update.State.Version,
		Final: update.State.IsFinal, Balances: decimals(update.State.Balances),
	}
	if verdict == rejectNext {
		n.tell(event)
		n.tellProblem("rejecting an update", responder.Reject(ctx, "not this one"))
		return
	}
	n.bus.dies.Store(verdict == dieNext)
	err := responder.Accept(ctx)
	n.tellProblem("accepting an update", err)
	// Told when it is done: whoever hears of it may go on.
	if err == nil {
		n.tell(event)
	}
}
