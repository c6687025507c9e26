// Party is one client of go-perun on an Ethereum chain, with the funder, adjudicator, wallet and
// watcher that go-perun and its Ethereum backend have, unchanged. Whoever starts it drives it by
// lines of JSON; README.md lists them.
//
//	{"id": 1, "do": "propose", "with": {...}}     a request
//	{"id": 1, "ok": {...}}                        its answer
//	{"id": 1, "error": {"kind": ..., "text": ...}}
//	{"event": "update", ...}                      what happens by itself
//
// Requests run at once, so a slow one keeps no other waiting. It ends with its input.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"perun.network/go-perun/client"
	plogrus "perun.network/go-perun/log/logrus"
)

const (
	// patience is how long one request may take, unless it says otherwise.
	patience = 60 * time.Second
	// lineMax is how long a request may be.
	lineMax = 1 << 20
)

type request struct {
	ID      uint64          `json:"id"`
	Do      string          `json:"do"`
	Seconds uint64          `json:"seconds,omitempty"`
	With    json.RawMessage `json:"with,omitempty"`
}

type answer struct {
	ID    uint64 `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error *wrong `json:"error,omitempty"`
}

// wrong is why a request was not done. Kinds are rejected, timeout and failed.
type wrong struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// party is the process: before `start` it has no node.
type party struct {
	output sync.Mutex
	lines  io.Writer
	node   *node
}

type command func(context.Context, *party, json.RawMessage) (any, error)

// command reads its arguments strictly: an unknown name is a mistake of the driver's.
func takes[A any](do func(context.Context, *party, A) (any, error)) command {
	return func(ctx context.Context, p *party, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) != 0 {
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&args); err != nil {
				return nil, fmt.Errorf("reading the request: %w", err)
			}
		}
		return do(ctx, p, args)
	}
}

// of is a command that needs the node.
func of[A any](do func(context.Context, *node, A) (any, error)) command {
	return takes(func(ctx context.Context, p *party, args A) (any, error) {
		if p.node == nil {
			return nil, errors.New("start comes first")
		}
		return do(ctx, p.node, args)
	})
}

var commands = map[string]command{
	"deploy":   takes(deploy),
	"validate": takes(validate),
	"start":    takes(start),
	"peer":     of(addPeer),
	"policy":   of(setPolicy),
	"propose":  of(propose),
	"sub":      of(proposeSub),
	"update":   of(update),
	"force":    of(force),
	"settle":   of(settle),
	"cheat":    of(cheat),
	"watch":    of(watch),
	"restore":  of(restore),
	"state":    of(state),
	"close":    of(closeNode),
	"kill":     takes(kill),
}

func main() {
	// What others print is no answer.
	p := &party{lines: os.Stdout}
	os.Stdout = os.Stderr
	plogrus.Set(logrus.WarnLevel, &logrus.TextFormatter{})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			p.tell(answer{Error: &wrong{"failed", "no request: " + err.Error()}})
			continue
		}
		// The node is there once `start` is answered; everything else may take its time.
		if r.Do == "start" {
			p.run(r)
		} else {
			go p.run(r)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (p *party) run(r request) {
	do, ok := commands[r.Do]
	if !ok {
		p.tell(answer{ID: r.ID, Error: &wrong{"failed", "no command " + r.Do}})
		return
	}
	limit := patience
	if r.Seconds != 0 {
		limit = time.Duration(r.Seconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	result, err := do(ctx, p, r.With)
	if err != nil {
		p.tell(answer{ID: r.ID, Error: describe(err)})
		return
	}
	p.tell(answer{ID: r.ID, OK: result})
	if r.Do == "close" {
		os.Exit(0)
	}
}

func describe(err error) *wrong {
	var rejected client.PeerRejectedError
	var late client.RequestTimedOutError
	switch {
	case errors.As(err, &rejected):
		return &wrong{"rejected", rejected.ItemType + ": " + rejected.Reason}
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return &wrong{"timeout", err.Error()}
	}
	return &wrong{"failed", err.Error()}
}

// tell writes one line.
func (p *party) tell(line any) {
	data, err := json.Marshal(line)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.output.Lock()
	defer p.output.Unlock()
	if _, err := p.lines.Write(append(data, '\n')); err != nil {
		os.Exit(1)
	}
}

// kill ends the process without a farewell to anybody.
func kill(context.Context, *party, struct{}) (any, error) {
	os.Exit(9)
	return nil, nil
}
