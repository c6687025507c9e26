package kit

import (
	"context"
	"net"
	"sync"

	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net"
)

// Dialer and Listener are go-perun's simple ones without TLS: the same connections on plain TCP.
type Dialer struct {
	mutex sync.Mutex
	hosts map[wire.AddrKey]string
}

// NewDialer knows nobody yet.
func NewDialer() *Dialer { return &Dialer{hosts: map[wire.AddrKey]string{}} }

// Register tells where a peer listens.
func (d *Dialer) Register(peer map[wallet.BackendID]wire.Address, host string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.hosts[wire.Keys(peer)] = host
}

// Dial connects to a peer.
func (d *Dialer) Dial(
	ctx context.Context, peer map[wallet.BackendID]wire.Address, s wire.EnvelopeSerializer,
) (wirenet.Conn, error) {
	d.mutex.Lock()
	host := d.hosts[wire.Keys(peer)]
	d.mutex.Unlock()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	return wirenet.NewIoConn(conn, s), nil
}

// Close has nothing to close.
func (d *Dialer) Close() error { return nil }

// Listener takes connections.
type Listener struct{ net.Listener }

// Accept takes one.
func (l Listener) Accept(s wire.EnvelopeSerializer) (wirenet.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wirenet.NewIoConn(conn, s), nil
}
