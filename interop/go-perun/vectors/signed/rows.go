package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// raw is a byte string as the vectors write it.
type raw []byte

func (b *raw) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "0x")
	if !ok {
		return fmt.Errorf("%q does not begin with 0x", text)
	}
	data, err := hex.DecodeString(digits)
	if err == nil && hex.EncodeToString(data) != digits {
		err = fmt.Errorf("%q is not in lower case", text)
	}
	*b = data
	return err
}

// number is one that can leave 53 bits.
type number struct{ big.Int }

func (n *number) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if _, ok := n.SetString(text, 10); !ok || n.String() != text {
		return fmt.Errorf("%q is no number", text)
	}
	return nil
}

type keyRow struct {
	Name            string
	Secret, Address raw
}

type party struct{ Address, Foreign raw }

type paramsRow struct {
	Name, Note, Source string
	ChallengeSecs      number `json:"challenge_secs"`
	Nonce              raw
	Participants       []party
	App                raw
	IsLedger           bool `json:"is_ledger"`
	IsVirtual          bool `json:"is_virtual"`
	Abi, ID            raw
	WithoutOffset      raw `json:"id_without_offset_word"`
}

type asset struct {
	Backend         uint32
	Chain           number
	Holder, Foreign raw
}

type locked struct {
	ID       raw
	Balances []number
	IndexMap []uint16 `json:"index_map"`
}

// state are the fields that every state has, in both files.
type state struct {
	Name, Note, Source, Params string
	ID                         raw
	Version                    number
	Outcome                    struct {
		Assets   []asset
		Balances [][]number
		Locked   []locked
	}
	Data         raw
	IsFinal      bool `json:"is_final"`
	Hash, Digest raw
}

type signature struct {
	Key       string
	Signature raw
}

type stateRow struct {
	state
	Abi        raw
	Signatures []signature
}

type fundingRow struct {
	Name, Params string
	Participant  int
	Abi, ID      raw
}

type withdrawalRow struct {
	Name, Note, Params, Key string
	Foreign, Receiver       raw
	Amount                  number
	Abi, Hash, Digest       raw
	Signature               raw
}

// swapRow is a state with a swap. What the swap says beside the state's data is not for go-perun.
type swapRow struct {
	state
	Swap, Ledgers json.RawMessage
	AllMoved      json.RawMessage `json:"all_moved"`
}

type preimageRow struct {
	Lock, Preimage raw
	Opens          bool
}

// file reads one of the vectors' files as its lists; their rows are not read yet.
func file(folder, name string) (map[string]json.RawMessage, error) {
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	lists := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &lists); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	delete(lists, "about")
	return lists, nil
}

// rows reads a list. A field that its type does not have is an error, and so is an empty list.
func rows[T any](lists map[string]json.RawMessage, name string) ([]T, error) {
	var read []T
	decoder := json.NewDecoder(strings.NewReader(string(lists[name])))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return nil, fmt.Errorf("the list %s: %w", name, err)
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("the list %s is empty", name)
	}
	return read, nil
}

// strangers names the lists that no check knows.
func strangers(lists map[string]json.RawMessage, known ...string) []string {
	unknown := []string{}
	for name := range lists {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
