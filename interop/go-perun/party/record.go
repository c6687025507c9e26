package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"perun.network/go-perun/channel"
	"perun.network/go-perun/channel/persistence"
	"perun.network/go-perun/client"
	"perun.network/go-perun/wallet"
	gowatcher "perun.network/go-perun/watcher"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net"
)

// recorder keeps what go-perun gives its persister, and remembers every state that all signed: who
// wants to cheat needs old ones.
type recorder struct {
	persistence.PersistRestorer
	mutex  sync.Mutex
	params map[channel.ID]*channel.Params
	signed map[channel.ID]map[uint64]channel.Transaction
}

func newRecorder(store persistence.PersistRestorer) *recorder {
	return &recorder{
		PersistRestorer: store,
		params:          map[channel.ID]*channel.Params{},
		signed:          map[channel.ID]map[uint64]channel.Transaction{},
	}
}

func (r *recorder) ChannelCreated(
	ctx context.Context, source channel.Source,
	peers []map[wallet.BackendID]wire.Address, parent *channel.ID,
) error {
	r.keep(source)
	return r.PersistRestorer.ChannelCreated(ctx, source, peers, parent)
}

func (r *recorder) Enabled(ctx context.Context, source channel.Source) error {
	r.keep(source)
	return r.PersistRestorer.Enabled(ctx, source)
}

func (r *recorder) keep(source channel.Source) {
	current := source.CurrentTX()
	if current.State == nil || len(current.Sigs) != len(source.Params().Parts) {
		return
	}
	for _, signature := range current.Sigs {
		if signature == nil {
			return
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	id := source.ID()
	r.params[id] = source.Params()
	if r.signed[id] == nil {
		r.signed[id] = map[uint64]channel.Transaction{}
	}
	r.signed[id][current.Version] = current.Clone()
}

// request asks the adjudicator for one of these states, whatever came after it.
func (r *recorder) request(id channel.ID, version uint64) (*channel.AdjudicatorReq, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	transaction, ok := r.signed[id][version]
	if !ok {
		return nil, errors.New("no such signed state")
	}
	if len(transaction.Locked) != 0 {
		return nil, errors.New("a state with channels in it cannot be registered alone")
	}
	return &channel.AdjudicatorReq{Params: r.params[id], Tx: transaction}, nil
}

// mortalBus is go-perun's, except that it can be made to end the process in place of the next
// signature that it should send.
type mortalBus struct {
	*wirenet.Bus
	dies atomic.Bool
}

func (b *mortalBus) Publish(ctx context.Context, envelope *wire.Envelope) error {
	if _, ok := envelope.Msg.(*client.ChannelUpdateAccMsg); ok && b.dies.Load() {
		os.Exit(9)
	}
	return b.Bus.Publish(ctx, envelope)
}

// watcher is go-perun's, and tells when it has begun.
type watcher struct {
	gowatcher.Watcher
	started chan channel.ID
}

func (w *watcher) StartWatchingLedgerChannel(
	ctx context.Context, state channel.SignedState,
) (gowatcher.StatesPub, gowatcher.AdjudicatorSub, error) {
	states, events, err := w.Watcher.StartWatchingLedgerChannel(ctx, state)
	return states, events, w.told(ctx, state.State.ID, err)
}

func (w *watcher) StartWatchingSubChannel(
	ctx context.Context, parent channel.ID, state channel.SignedState,
) (gowatcher.StatesPub, gowatcher.AdjudicatorSub, error) {
	states, events, err := w.Watcher.StartWatchingSubChannel(ctx, parent, state)
	return states, events, w.told(ctx, state.State.ID, err)
}

func (w *watcher) told(ctx context.Context, id channel.ID, err error) error {
	if err != nil {
		return err
	}
	select {
	case w.started <- id:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
