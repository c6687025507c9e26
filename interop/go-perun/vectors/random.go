package main

import (
	"crypto/rsa"
	"math/big"
	mathrand "math/rand"
	"time"

	"interop/kit"

	"github.com/ethereum/go-ethereum/crypto"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"github.com/perun-network/perun-eth-backend/wallet/simple"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net/simple"
)

// random makes parts of messages, the same ones for the same seed.
type random struct{ *mathrand.Rand }

type shape struct{ assets, parts int }

func newRandom(seed int64) *random { return &random{mathrand.New(mathrand.NewSource(seed))} }

func (r *random) bytes(length int) []byte {
	data := make([]byte, length)
	r.Read(data)
	return data
}

func (r *random) id() (id [32]byte) {
	r.Read(id[:])
	return id
}

func (r *random) aux() (aux channel.Aux) {
	r.Read(aux[:])
	return aux
}

func (r *random) words() string {
	return []string{"no", "not now, please", "пере\u00f1 \u2713", ""}[r.Intn(4)]
}

func (r *random) created() wire.PingPongMsg {
	return wire.PingPongMsg{Created: time.Unix(0, r.Int63())}
}

func (r *random) name(count int) map[wallet.BackendID]wire.Address {
	name := map[wallet.BackendID]wire.Address{}
	for kind := range count {
		address := wirenet.NewAddress(string(r.bytes(8)))
		// One address is on Ethereum; more are on the ledgers from 0 on.
		name[wallet.BackendID((kind+int(kit.Ethereum))%4)] = address
	}
	return name
}

// nameWithKey has an RSA key that the same seed gives again; it is no good key.
func (r *random) nameWithKey() map[wallet.BackendID]wire.Address {
	modulus := new(big.Int).SetBytes(append([]byte{0x80 | byte(r.Intn(128))}, r.bytes(255)...))
	key := &rsa.PublicKey{N: modulus, E: 65537}
	address := &wirenet.Address{Name: "with a key", PublicKey: key}
	return map[wallet.BackendID]wire.Address{kit.Ethereum: address}
}

func (r *random) ethereum() *ethwallet.Address {
	var address ethwallet.Address
	r.Read(address[:])
	return &address
}

// party is on one ledger, or on two in every second kind.
func (r *random) party(kind int) map[wallet.BackendID]wallet.Address {
	party := map[wallet.BackendID]wallet.Address{kit.Ethereum: r.ethereum()}
	if kind%2 == 1 {
		party[kit.Second] = &kit.Party{Name: kit.Name{Bytes: r.bytes(1 + r.Intn(40))}}
	}
	return party
}

// account has a key of this sequence; Go's own key generation would not repeat it.
func (r *random) account() wallet.Account {
	key, err := crypto.ToECDSA(r.bytes(32))
	if err != nil {
		panic(err)
	}
	address := ethwallet.AsWalletAddr(crypto.PubkeyToAddress(key.PublicKey))
	account, err := simple.NewWallet(key).Unlock(address)
	if err != nil {
		panic(err)
	}
	return account
}

func (r *random) signature() wallet.Sig {
	sig, err := r.account().SignData(r.bytes(32))
	if err != nil {
		panic(err)
	}
	return sig
}

func (r *random) signatures(count int) []wallet.Sig {
	sigs := make([]wallet.Sig, count)
	for i := range sigs {
		sigs[i] = r.signature()
	}
	return sigs
}

func (r *random) app() channel.App {
	return &kit.App{ID: &ethchannel.AppID{Address: r.ethereum()}}
}

func (r *random) assets() int { return 1 + r.Intn(3) }

func (r *random) asset(position int) (wallet.BackendID, channel.Asset) {
	if position%3 == 2 {
		return kit.Second, &kit.Asset{Name: kit.Name{Bytes: r.bytes(1 + r.Intn(33))}}
	}
	chain := big.NewInt(1 + int64(r.Intn(1<<(8*(1+position%3)))))
	return kit.Ethereum, ethchannel.NewAsset(chain, [20]byte(r.bytes(20)))
}

// amount has any length up to 15 bytes, so that sums stay below 128 bits.
func (r *random) amount() *big.Int { return new(big.Int).SetBytes(r.bytes(r.Intn(16))) }

func (r *random) amounts(count int) []channel.Bal {
	amounts := make([]channel.Bal, count)
	for i := range amounts {
		amounts[i] = r.amount()
	}
	return amounts
}

func (r *random) outcome(s shape, locked int) channel.Allocation {
	outcome := channel.Allocation{Locked: []channel.SubAlloc{}}
	for i := range s.assets {
		kind, asset := r.asset(i)
		outcome.Backends = append(outcome.Backends, kind)
		outcome.Assets = append(outcome.Assets, asset)
		outcome.Balances = append(outcome.Balances, r.amounts(s.parts))
	}
	for i := range locked {
		entry := channel.SubAlloc{ID: r.id(), Bals: r.amounts(s.assets), IndexMap: []channel.Index{}}
		if i%2 == 0 {
			entry.IndexMap = []channel.Index{1, 0}
		}
		outcome.Locked = append(outcome.Locked, entry)
	}
	return outcome
}

func (r *random) state(s shape, locked int) *channel.State {
	state := &channel.State{
		ID: r.id(), Version: r.Uint64(), App: channel.NoApp(), Data: channel.NoData(),
		Allocation: r.outcome(s, locked), IsFinal: r.Intn(2) == 1,
	}
	if r.Intn(2) == 1 {
		state.App, state.Data = r.app(), &kit.Data{Bytes: r.bytes(r.Intn(40))}
	}
	return state
}

func (r *random) proposal(s shape) client.BaseChannelProposal {
	outcome := r.outcome(s, 0)
	return client.BaseChannelProposal{
		ProposalID: r.id(), ChallengeDuration: r.Uint64(), NonceShare: r.id(),
		App: channel.NoApp(), InitData: channel.NoData(),
		InitBals: &outcome, FundingAgreement: outcome.Balances, Aux: r.aux(),
	}
}

func (r *random) ledgerProposal(s shape) *client.LedgerChannelProposalMsg {
	proposal := &client.LedgerChannelProposalMsg{
		BaseChannelProposal: r.proposal(s), Participant: r.party(0),
	}
	for range s.parts {
		proposal.Peers = append(proposal.Peers, r.name(1))
	}
	return proposal
}

func (r *random) virtualProposal(kind int) *client.VirtualChannelProposalMsg {
	return &client.VirtualChannelProposalMsg{
		BaseChannelProposal: r.proposal(shape{r.assets(), 2}), Proposer: r.party(kind),
		Peers:     []map[wallet.BackendID]wire.Address{r.name(1), r.name(1)},
		Parents:   []channel.ID{r.id(), r.id()},
		IndexMaps: [][]channel.Index{{0, 1}, {1, 0}},
	}
}

func (r *random) accept() client.BaseChannelProposalAcc {
	return client.BaseChannelProposalAcc{ProposalID: r.id(), NonceShare: r.id()}
}

func (r *random) update(state *channel.State) *client.ChannelUpdateMsg {
	return &client.ChannelUpdateMsg{
		ChannelUpdate: client.ChannelUpdate{State: state, ActorIdx: channel.Index(r.Intn(2))},
		Sig:           r.signature(),
	}
}

// signed is a state that its two participants have really signed.
func (r *random) signed(kind int) channel.SignedState {
	accounts := []wallet.Account{r.account(), r.account()}
	parties := []map[wallet.BackendID]wallet.Address{r.party(kind), r.party(kind / 2)}
	for i, account := range accounts {
		parties[i][kit.Ethereum] = account.Address()
	}
	nonce := new(big.Int).SetBytes(r.bytes(r.Intn(33)))
	state := r.state(shape{r.assets(), 2}, 0)
	params := channel.NewParamsUnsafe(r.Uint64(), parties, state.App, nonce, false, true, r.aux())
	state.ID = params.ID()
	signed := channel.SignedState{Params: params, State: state}
	for _, account := range accounts {
		sig, err := channel.Sign(account, state, kit.Ethereum)
		if err != nil {
			panic(err)
		}
		signed.Sigs = append(signed.Sigs, sig)
	}
	return signed
}

func (r *random) funding(kind, locked int) *client.VirtualChannelFundingProposalMsg {
	return &client.VirtualChannelFundingProposalMsg{
		ChannelUpdateMsg: *r.update(r.state(shape{r.assets(), 2}, locked)),
		Initial:          r.signed(kind), IndexMap: []channel.Index{0, 1},
	}
}

func (r *random) settlement(kind, locked int) *client.VirtualChannelSettlementProposalMsg {
	return &client.VirtualChannelSettlementProposalMsg{
		ChannelUpdateMsg: *r.update(r.state(shape{r.assets(), 2}, locked)),
		Final:            r.signed(kind),
	}
}

func (r *random) sync(state *channel.State) *client.ChannelSyncMsg {
	tx := channel.Transaction{State: state, Sigs: r.signatures(state.NumParts())}
	return &client.ChannelSyncMsg{Phase: channel.Acting, CurrentTX: tx}
}
