package kit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// TLS is one end's configuration, and what the other end needs. Each end has a fresh certificate and
// knows the other's.
type TLS struct {
	Config             *tls.Config
	Own, Peer, PeerKey []byte
}

// serverName is what all certificates are for.
const serverName = "perun-peer"

// NewTLS makes keys and certificates for both ends.
func NewTLS() (*TLS, error) {
	own, ownKey, err := certificate(1)
	if err != nil {
		return nil, err
	}
	peer, peerKey, err := certificate(2)
	if err != nil {
		return nil, err
	}
	config, err := configure(own, ownKey, peer)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(peerKey)
	return &TLS{config, own, peer, key}, err
}

// GivenTLS is what the other end makes of what NewTLS tells it: its own certificate and key, and
// the certificate of whoever made them.
func GivenTLS(own, pkcs8, peer []byte) (*TLS, error) {
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, err
	}
	config, err := configure(own, key, peer)
	return &TLS{Config: config, Own: own, Peer: peer}, err
}

func configure(own []byte, key any, peer []byte) (*tls.Config, error) {
	known, err := x509.ParseCertificate(peer)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(known)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		ServerName: serverName, MinVersion: tls.VersionTLS12,
	}, nil
}

func certificate(serial int64) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{serverName},
		Subject:   pkix.Name{CommonName: serverName, SerialNumber: big.NewInt(serial).String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return data, key, err
}
