module perun.example/interop

go 1.26

require (
	perun.network/go-perun v0.15.0
	github.com/perun-network/perun-eth-backend v0.6.0
)
