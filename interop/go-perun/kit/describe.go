package kit

import (
	"encoding"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
)

// Describe tells an envelope in words, one field per line. Whoever reads the same bytes must come
// to the same lines, so that no two fields can be taken for one another.
func Describe(env *wire.Envelope) []string {
	d := &description{}
	d.add("from", addresses(env.Sender))
	d.add("to", addresses(env.Recipient))
	d.add("type", fmt.Sprint(uint8(env.Msg.Type())))
	d.message(env.Msg)
	return d.lines
}

type description struct{ lines []string }

func (d *description) add(name, value string) { d.lines = append(d.lines, name+" "+value) }

func (d *description) message(msg wire.Msg) {
	switch m := msg.(type) {
	case *wire.PingMsg:
		d.add("created", fmt.Sprint(m.Created.UnixNano()))
	case *wire.PongMsg:
		d.add("created", fmt.Sprint(m.Created.UnixNano()))
	case *wire.ShutdownMsg:
		d.add("reason", hex.EncodeToString([]byte(m.Reason)))
	case *wire.AuthResponseMsg:
		d.add("signature", hex.EncodeToString(m.Signature))
	case *client.LedgerChannelProposalMsg:
		d.proposal(&m.BaseChannelProposal)
		d.add("participant", addresses(m.Participant))
		d.add("peers", list(m.Peers, addresses))
	case *client.LedgerChannelProposalAccMsg:
		d.accept(m.BaseChannelProposalAcc)
		d.add("participant", addresses(m.Participant))
	case *client.SubChannelProposalMsg:
		d.proposal(&m.BaseChannelProposal)
		d.add("parent", hex.EncodeToString(m.Parent[:]))
	case *client.SubChannelProposalAccMsg:
		d.accept(m.BaseChannelProposalAcc)
	case *client.VirtualChannelProposalMsg:
		d.proposal(&m.BaseChannelProposal)
		d.add("participant", addresses(m.Proposer))
		d.add("peers", list(m.Peers, addresses))
		d.add("parents", list(m.Parents, func(id channel.ID) string { return hex.EncodeToString(id[:]) }))
		d.add("maps", list(m.IndexMaps, indices))
	case *client.VirtualChannelProposalAccMsg:
		d.accept(m.BaseChannelProposalAcc)
		d.add("participant", addresses(m.Responder))
	case *client.ChannelProposalRejMsg:
		d.add("proposal", hex.EncodeToString(m.ProposalID[:]))
		d.add("reason", hex.EncodeToString([]byte(m.Reason)))
	case *client.ChannelUpdateMsg:
		d.update(m)
	case *client.VirtualChannelFundingProposalMsg:
		d.update(&m.ChannelUpdateMsg)
		d.signed(&m.Initial)
		d.add("map", indices(m.IndexMap))
	case *client.VirtualChannelSettlementProposalMsg:
		d.update(&m.ChannelUpdateMsg)
		d.signed(&m.Final)
	case *client.ChannelUpdateAccMsg:
		d.answer(m.ChannelID, m.Version)
		d.add("signature", hex.EncodeToString(m.Sig))
	case *client.ChannelUpdateRejMsg:
		d.answer(m.ChannelID, m.Version)
		d.add("reason", hex.EncodeToString([]byte(m.Reason)))
	case *client.ChannelSyncMsg:
		d.add("phase", fmt.Sprint(uint8(m.Phase)))
		if m.CurrentTX.State != nil {
			d.state("", m.CurrentTX.State)
			d.add("signatures", list(m.CurrentTX.Sigs, signature))
		}
	default:
		panic(fmt.Sprintf("no words for %T", msg))
	}
}

func (d *description) proposal(p *client.BaseChannelProposal) {
	d.add("proposal", hex.EncodeToString(p.ProposalID[:]))
	d.add("challenge", fmt.Sprint(p.ChallengeDuration))
	d.add("share", hex.EncodeToString(p.NonceShare[:]))
	d.app("", p.App, p.InitData)
	d.outcome("", p.InitBals)
	d.add("funding", balances(p.FundingAgreement))
	d.add("aux", hex.EncodeToString(p.Aux[:]))
}

func (d *description) accept(a client.BaseChannelProposalAcc) {
	d.add("proposal", hex.EncodeToString(a.ProposalID[:]))
	d.add("share", hex.EncodeToString(a.NonceShare[:]))
}

func (d *description) update(m *client.ChannelUpdateMsg) {
	d.state("", m.State)
	d.add("actor", fmt.Sprint(m.ActorIdx))
	d.add("signature", hex.EncodeToString(m.Sig))
}

func (d *description) answer(id channel.ID, version uint64) {
	d.add("channel", hex.EncodeToString(id[:]))
	d.add("version", fmt.Sprint(version))
}

func (d *description) signed(s *channel.SignedState) {
	p, id := s.Params, s.Params.ID()
	d.add("params.id", hex.EncodeToString(id[:]))
	d.add("params.challenge", fmt.Sprint(p.ChallengeDuration))
	d.add("params.parties", list(p.Parts, addresses))
	d.add("params.app", app(p.App))
	d.add("params.nonce", hex.EncodeToString(p.Nonce.FillBytes(make([]byte, 32))))
	d.add("params.kind", fmt.Sprint(p.LedgerChannel, p.VirtualChannel))
	d.add("params.aux", hex.EncodeToString(p.Aux[:]))
	d.state("virtual.", s.State)
	d.add("virtual.signatures", list(s.Sigs, signature))
}

func (d *description) state(prefix string, s *channel.State) {
	d.add(prefix+"id", hex.EncodeToString(s.ID[:]))
	d.add(prefix+"version", fmt.Sprint(s.Version))
	d.app(prefix, s.App, s.Data)
	d.outcome(prefix, &s.Allocation)
	d.add(prefix+"final", fmt.Sprint(s.IsFinal))
}

func (d *description) app(prefix string, a channel.App, data channel.Data) {
	d.add(prefix+"app", app(a))
	d.add(prefix+"data", marshaled(data))
}

func (d *description) outcome(prefix string, a *channel.Allocation) {
	assets := make([]string, len(a.Assets))
	for i, asset := range a.Assets {
		assets[i] = fmt.Sprintf("%d:%s", a.Backends[i], marshaled(asset))
	}
	d.add(prefix+"assets", "["+strings.Join(assets, ",")+"]")
	d.add(prefix+"balances", balances(a.Balances))
	for _, l := range a.Locked {
		d.add(prefix+"locked", hex.EncodeToString(l.ID[:])+" "+amounts(l.Bals)+" "+indices(l.IndexMap))
	}
}

func app(a channel.App) string {
	if channel.IsNoApp(a) {
		return ""
	}
	return marshaled(a.Def())
}

func balances(b channel.Balances) string { return list(b, amounts) }

func amounts(a []channel.Bal) string { return list(a, func(b *big.Int) string { return b.String() }) }

func indices(m []channel.Index) string {
	return list(m, func(i channel.Index) string { return fmt.Sprint(i) })
}

func signature(s wallet.Sig) string {
	if len(s) == 0 {
		return "-"
	}
	return hex.EncodeToString(s)
}

func addresses[A encoding.BinaryMarshaler](m map[wallet.BackendID]A) string {
	kinds := make([]wallet.BackendID, 0, len(m))
	for kind := range m {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return list(kinds, func(kind wallet.BackendID) string {
		return fmt.Sprintf("%d:%s", kind, marshaled(m[kind]))
	})
}

func marshaled(value encoding.BinaryMarshaler) string {
	data, err := value.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(data)
}

func list[T any](items []T, show func(T) string) string {
	shown := make([]string, len(items))
	for i, item := range items {
		shown[i] = show(item)
	}
	return "[" + strings.Join(shown, ",") + "]"
}
