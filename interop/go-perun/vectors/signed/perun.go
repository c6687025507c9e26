package main

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"math/big"

	"interop/kit"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/perun-network/perun-eth-backend/bindings/adjudicator"
	"github.com/perun-network/perun-eth-backend/bindings/assetholder"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"github.com/perun-network/perun-eth-backend/wallet/simple"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/wallet"
)

func address(data raw) *ethwallet.Address {
	return ethwallet.AsWalletAddr(common.BytesToAddress(data))
}

// noForeign is how go-perun writes that a participant has no address on another ledger.
func noForeign(data raw) bool {
	return len(data) == 32 && new(big.Int).SetBytes(data).Sign() == 0
}

func partyOf(p party) map[wallet.BackendID]wallet.Address {
	addresses := map[wallet.BackendID]wallet.Address{kit.Ethereum: address(p.Address)}
	if !noForeign(p.Foreign) {
		addresses[kit.Second] = &kit.Party{Name: kit.Name{Bytes: p.Foreign}}
	}
	return addresses
}

func appOf(data raw) channel.App {
	if (common.BytesToAddress(data) == common.Address{}) {
		return channel.NoApp()
	}
	return &kit.App{ID: &ethchannel.AppID{Address: address(data)}}
}

// paramsOf makes go-perun's parameters of a row; go-perun computes their channel's id.
func paramsOf(row paramsRow) (*channel.Params, error) {
	if !row.ChallengeSecs.IsUint64() {
		return nil, fmt.Errorf("%v is no duration", &row.ChallengeSecs.Int)
	}
	parts := []map[wallet.BackendID]wallet.Address{}
	for _, one := range row.Participants {
		parts = append(parts, partyOf(one))
	}
	nonce := new(big.Int).SetBytes(row.Nonce)
	challenge, app := row.ChallengeSecs.Uint64(), appOf(row.App)
	return channel.NewParams(
		challenge, parts, app, nonce, row.IsLedger, row.IsVirtual, channel.ZeroAux)
}

func amounts(numbers []number) []channel.Bal {
	bals := []channel.Bal{}
	for i := range numbers {
		bals = append(bals, &numbers[i].Int)
	}
	return bals
}

// stateOf makes go-perun's state of a row, as far as go-perun can say what the row says.
func stateOf(row state, params *channel.Params) (*channel.State, error) {
	allocation := channel.Allocation{}
	for _, one := range row.Outcome.Assets {
		id := wallet.BackendID(one.Backend)
		var made channel.Asset = &kit.Asset{Name: kit.Name{Bytes: one.Foreign}}
		if id == kit.Ethereum {
			made = ethchannel.NewAsset(&one.Chain.Int, common.BytesToAddress(one.Holder))
		}
		allocation.Assets = append(allocation.Assets, made)
		allocation.Backends = append(allocation.Backends, id)
	}
	for _, one := range row.Outcome.Balances {
		allocation.Balances = append(allocation.Balances, amounts(one))
	}
	for _, one := range row.Outcome.Locked {
		indices := []channel.Index{}
		for _, index := range one.IndexMap {
			indices = append(indices, channel.Index(index))
		}
		entry := channel.NewSubAlloc(channel.ID(one.ID), amounts(one.Balances), indices)
		allocation.Locked = append(allocation.Locked, *entry)
	}
	if !row.Version.IsUint64() {
		return nil, fmt.Errorf("%v is no version", &row.Version.Int)
	}
	made := &channel.State{
		ID: channel.ID(row.ID), Version: row.Version.Uint64(), Allocation: allocation,
		App: params.App, Data: &kit.Data{Bytes: row.Data}, IsFinal: row.IsFinal,
	}
	return made, allocation.Valid()
}

// encoded is go-perun's state of a row, the row's bytes, and whether go-perun's are the same.
type encoded struct {
	state *channel.State
	bytes []byte
	own   bool
}

// encode writes a row's state with go-perun's encoder. The row names the chain of every asset;
// go-perun writes the kind of ledger in its place where an asset is not on Ethereum.
func encode(row state, params *channel.Params) (*encoded, error) {
	made, err := stateOf(row, params)
	if err != nil {
		return nil, err
	}
	words := ethchannel.ToEthState(made)
	own, err := ethchannel.EncodeState(&words)
	if err != nil {
		return nil, err
	}
	for i := range row.Outcome.Assets {
		asset, written := &row.Outcome.Assets[i], &words.Outcome.Assets[i]
		if asset.Backend != uint32(kit.Ethereum) {
			written.ChainID = &asset.Chain.Int
		}
		if err := sameAsset(asset, written); err != nil {
			return nil, err
		}
	}
	all, err := ethchannel.EncodeState(&words)
	return &encoded{made, all, bytes.Equal(own, all)}, err
}

// sameAsset tells what of an asset go-perun has no place for: each has an address on one ledger
// only.
func sameAsset(row *asset, made *adjudicator.ChannelAsset) error {
	holder, foreign := common.BytesToAddress(row.Holder), string(row.Foreign)
	if made.EthHolder != holder || string(made.CcHolder) != foreign {
		return fmt.Errorf("go-perun writes the asset as (%x, %x)", made.EthHolder, made.CcHolder)
	}
	return nil
}

// withdrawal encodes an authorisation as the contracts' interface in the bindings has it.
func withdrawal(id channel.ID, row withdrawalRow, owner wallet.Address) ([]byte, error) {
	contract, err := assetholder.AssetholderMetaData.GetAbi()
	if err != nil {
		return nil, err
	}
	addresses := map[wallet.BackendID]wallet.Address{kit.Ethereum: owner}
	if len(row.Foreign) > 0 {
		addresses[kit.Second] = &kit.Party{Name: kit.Name{Bytes: row.Foreign}}
	}
	inputs := contract.Methods["withdraw"].Inputs
	if len(inputs) != 2 {
		return nil, fmt.Errorf("withdraw takes %d arguments", len(inputs))
	}
	return abi.Arguments{inputs[0]}.Pack(assetholder.AssetHolderWithdrawalAuth{
		ChannelID:   id,
		Participant: ethwallet.AsChannelParticipant(addresses),
		Receiver:    common.BytesToAddress(row.Receiver),
		Amount:      &row.Amount.Int,
	})
}

func accountOf(key *ecdsa.PrivateKey) (wallet.Account, error) {
	owner := ethwallet.AsWalletAddr(crypto.PubkeyToAddress(key.PublicKey))
	return simple.NewWallet(key).Unlock(owner)
}
