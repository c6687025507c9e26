// Signed checks what is hashed and signed in ../../vectors/ethereum.json and swap.json: go-perun
// and its Ethereum backend make the bytes, ids, digests and signatures of every row.
//
//	go run ./vectors/signed                     of the committed files
//	go run ./vectors/signed -folder FOLDER      of others
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"interop/kit"

	"github.com/ethereum/go-ethereum/crypto"
	ethchannel "github.com/perun-network/perun-eth-backend/channel"
	ethwallet "github.com/perun-network/perun-eth-backend/wallet"
	"perun.network/go-perun/channel"
	"perun.network/go-perun/wallet"
)

// checker holds what rows of other lists refer to, and what was found.
type checker struct {
	accounts map[string]wallet.Account
	params   map[string]*channel.Params
	file     string
	rows     int
	wrong    int
	// Where go-perun differs, and the rows concerned.
	differs map[string][]string
}

const (
	chainIsKind = "go-perun names the kind of ledger in place of the chain of an asset that is not" +
		" on Ethereum; so it takes nobody's signature over"
	dataWithoutApp = "go-perun drops the data of a channel without an app when it reads them; so" +
		" it cannot be sent"
)

func main() {
	folder := flag.String("folder", "../../vectors", "where the vectors are")
	flag.Parse()
	c := &checker{accounts: map[string]wallet.Account{}, params: map[string]*channel.Params{}}
	for _, one := range []struct {
		name  string
		check func(map[string]json.RawMessage)
	}{{"ethereum.json", c.ethereum}, {"swap.json", c.swap}} {
		c.file, c.rows, c.differs = one.name, 0, map[string][]string{}
		before := c.wrong
		lists, err := file(*folder, one.name)
		if c.ok("the file", err) {
			one.check(lists)
		}
		for _, reason := range []string{chainIsKind, dataWithoutApp} {
			if rows := c.differs[reason]; len(rows) > 0 {
				fmt.Printf("go-perun: %s: %s %s\n", one.name, reason, strings.Join(rows, ", "))
			}
		}
		fmt.Printf("go-perun: %s: %d rows, %d objections\n", one.name, c.rows, c.wrong-before)
	}
	if c.wrong > 0 {
		os.Exit(1)
	}
}

func (c *checker) ok(where string, err error) bool {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s: %v\n", c.file, where, err)
		c.wrong++
	}
	return err == nil
}

// each checks the rows of a list. What panics inside of go-perun is an objection as well.
func each[T any](c *checker, lists map[string]json.RawMessage, list string, check func(T) error) {
	read, err := rows[T](lists, list)
	c.ok(list, err)
	for i, row := range read {
		c.rows++
		err := func() (err error) {
			defer func() {
				if problem := recover(); problem != nil {
					err = fmt.Errorf("%v", problem)
				}
			}()
			return check(row)
		}()
		c.ok(fmt.Sprintf("%s[%d] %s", list, i, nameOf(row)), err)
	}
}

func (c *checker) unknown(lists map[string]json.RawMessage, known ...string) {
	for _, name := range strangers(lists, known...) {
		c.ok(name, fmt.Errorf("no check knows this list"))
	}
}

func nameOf(row any) string {
	switch row := row.(type) {
	case keyRow:
		return row.Name
	case paramsRow:
		return row.Name
	case stateRow:
		return row.Name
	case state:
		return row.Name
	case swapRow:
		return row.Name
	case fundingRow:
		return row.Name
	case withdrawalRow:
		return row.Name
	}
	return ""
}

func same(what string, made []byte, row raw) error {
	if !bytes.Equal(made, row) {
		return fmt.Errorf("%s is 0x%x, not 0x%x", what, made, []byte(row))
	}
	return nil
}

func (c *checker) ethereum(lists map[string]json.RawMessage) {
	c.unknown(lists, "keys", "params", "states", "funding", "withdrawals")
	each(c, lists, "keys", c.key)
	each(c, lists, "params", c.parameters)
	each(c, lists, "states", func(row stateRow) error {
		made, err := c.hashed(row.state)
		if err != nil {
			return err
		}
		if err := same("abi", made.bytes, row.Abi); err != nil {
			return err
		}
		if len(row.Signatures) == 0 {
			return fmt.Errorf("nobody signed it")
		}
		for _, one := range row.Signatures {
			if err := c.stateSigned(made, one); err != nil {
				return err
			}
		}
		return nil
	})
	each(c, lists, "funding", c.funding)
	each(c, lists, "withdrawals", c.withdrawal)
}

// swap checks what go-perun can know of swaps: they are data to it.
func (c *checker) swap(lists map[string]json.RawMessage) {
	c.unknown(lists, "states", "plain", "steps", "refusals", "preimages")
	each(c, lists, "states", func(row swapRow) error {
		_, err := c.hashed(row.state)
		return err
	})
	each(c, lists, "plain", func(row state) error {
		_, err := c.hashed(row)
		return err
	})
	each(c, lists, "preimages", func(row preimageRow) error {
		lock := sha256.Sum256(row.Preimage)
		if opens := bytes.Equal(lock[:], row.Lock); opens != row.Opens {
			return fmt.Errorf("opens is %v", opens)
		}
		return nil
	})
	for _, list := range []string{"steps", "refusals"} {
		read, err := rows[json.RawMessage](lists, list)
		c.ok(list, err)
		fmt.Printf("go-perun: swap.json: %d rows of %s left out: go-perun has no swaps\n",
			len(read), list)
	}
}

func (c *checker) key(row keyRow) error {
	key, err := crypto.ToECDSA(row.Secret)
	if err != nil {
		return err
	}
	account, err := accountOf(key)
	if err != nil {
		return err
	}
	c.accounts[row.Name] = account
	made, err := account.Address().MarshalBinary()
	if err != nil {
		return err
	}
	return same("address", made, row.Address)
}

func (c *checker) parameters(row paramsRow) error {
	made, err := paramsOf(row)
	if err != nil {
		return err
	}
	c.params[row.Name] = made
	words := ethchannel.ToEthParams(made)
	encoded, err := ethchannel.EncodeParams(&words)
	if err != nil {
		return err
	}
	if err := same("abi", encoded, row.Abi); err != nil {
		return err
	}
	if row.WithoutOffset != nil {
		made := crypto.Keccak256(encoded[32:])
		if err := same("id_without_offset_word", made, row.WithoutOffset); err != nil {
			return err
		}
	}
	id := made.ID()
	return same("id", id[:], row.ID)
}

// hashed makes a state of a row, and compares its hash and digest.
func (c *checker) hashed(row state) (*encoded, error) {
	params, ok := c.params[row.Params]
	if !ok {
		return nil, fmt.Errorf("there are no parameters %s", row.Params)
	}
	id := params.ID()
	if err := same("id", id[:], row.ID); err != nil {
		return nil, err
	}
	made, err := encode(row, params)
	if err != nil {
		return nil, err
	}
	hash := ethchannel.HashState(made.state)
	if !made.own {
		c.differs[chainIsKind] = append(c.differs[chainIsKind], row.Name)
		hash = channel.ID(crypto.Keccak256(made.bytes))
	}
	if len(row.Data) > 0 && channel.IsNoApp(params.App) {
		c.differs[dataWithoutApp] = append(c.differs[dataWithoutApp], row.Name)
	}
	if err := same("hash", hash[:], row.Hash); err != nil {
		return nil, err
	}
	return made, same("digest", ethwallet.PrefixedHash(made.bytes), row.Digest)
}

// stateSigned asks go-perun for the signature over a state, and whether it takes the row's: only if
// the state's bytes are its own.
func (c *checker) stateSigned(made *encoded, one signature) error {
	if err := c.signed(made.bytes, one.Key, one.Signature); err != nil {
		return err
	}
	account := c.accounts[one.Key]
	valid, err := channel.Verify(account.Address(), made.state, wallet.Sig(one.Signature))
	if err == nil && valid != made.own {
		err = fmt.Errorf("whether go-perun takes the signature of %s: %v", one.Key, valid)
	}
	if err != nil || !made.own {
		return err
	}
	again, err := channel.Sign(account, made.state, kit.Ethereum)
	if err != nil {
		return err
	}
	return same("go-perun's signature with "+one.Key, again, one.Signature)
}

func (c *checker) signed(message []byte, key string, row raw) error {
	account, ok := c.accounts[key]
	if !ok {
		return fmt.Errorf("there is no key %s", key)
	}
	made, err := account.SignData(message)
	if err != nil {
		return err
	}
	if err := same("signature of "+key, made, row); err != nil {
		return err
	}
	valid, err := ethwallet.VerifySignature(message, wallet.Sig(row), account.Address())
	if err == nil && !valid {
		err = fmt.Errorf("the signature of %s is not valid", key)
	}
	return err
}

func (c *checker) funding(row fundingRow) error {
	params, ok := c.params[row.Params]
	if !ok || row.Participant < 0 || row.Participant >= len(params.Parts) {
		return fmt.Errorf("there is no participant %d of %s", row.Participant, row.Params)
	}
	ids := ethchannel.FundingIDs(params.ID(), params.Parts...)
	if err := same("the hash of abi", crypto.Keccak256(row.Abi), row.ID); err != nil {
		return err
	}
	return same("id", ids[row.Participant][:], row.ID)
}

func (c *checker) withdrawal(row withdrawalRow) error {
	params, account := c.params[row.Params], c.accounts[row.Key]
	if params == nil || account == nil {
		return fmt.Errorf("there is no channel %s, or no key %s", row.Params, row.Key)
	}
	encoded, err := withdrawal(params.ID(), row, account.Address())
	if err != nil {
		return err
	}
	if err := same("abi", encoded, row.Abi); err != nil {
		return err
	}
	if err := same("hash", crypto.Keccak256(encoded), row.Hash); err != nil {
		return err
	}
	if err := same("digest", ethwallet.PrefixedHash(encoded), row.Digest); err != nil {
		return err
	}
	return c.signed(encoded, row.Key, row.Signature)
}
