package kit

import (
	"net"
	"time"

	"perun.network/go-perun/wallet"
	"perun.network/go-perun/wire"
	wirenet "perun.network/go-perun/wire/net"
	"perun.network/go-perun/wire/net/simple"
)

// Caller dials who was registered.
type Caller interface {
	wirenet.Dialer
	Register(peer map[wallet.BackendID]wire.Address, host string)
}

// NewCaller is go-perun's own dialer under TLS, and ours without.
func NewCaller(tls *TLS, patience time.Duration) Caller {
	if tls != nil {
		return simple.NewTCPDialer(patience, tls.Config)
	}
	return NewDialer()
}

// Listen takes a free port, with go-perun's own listener under TLS and ours without, and tells where.
func Listen(tls *TLS) (wirenet.Listener, string, error) {
	const anywhere = "127.0.0.1:0"
	if tls != nil {
		listener, err := simple.NewTCPListener(anywhere, tls.Config)
		if err != nil {
			return nil, "", err
		}
		return listener, listener.Addr().String(), nil
	}
	listener, err := net.Listen("tcp", anywhere)
	if err != nil {
		return nil, "", err
	}
	return Listener{Listener: listener}, listener.Addr().String(), nil
}
