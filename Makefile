# The two commands to know: `make demo` shows the software at work, `make test` checks everything.
# Each step of `make test` is a target of its own, so `make lint` and so on can be called alone.

.PHONY: demo help test fmt tidy lint docs unit interop vectors vectors-spoilt evm-tools evm prove anvil xudt toolchain scripts node lint-onchain \
        costs real-node demo-embedded demo-real models seeds mutants fuzz disputes bench again setup

CARGO  := cargo
LOCKED := --locked
XTASK  := $(CARGO) run $(LOCKED) --quiet --package xtask --
# As in the README: with `--package` some crates would be compiled again, with other features.
PERUN  := $(CARGO) run $(LOCKED) --release --

# Crates with tests against a real node, behind their feature `real-node-tests`.
REAL_NODE_CRATES ?= perun-embedded-ckb perun-backend-ckb
# Crates whose tests also run on a real Anvil.
ANVIL_CRATES := perun-embedded-evm perun-backend-evm
# What the program is asked for to run its demo on real nodes instead of the embedded chains.
DEMO_REAL_ARGS   ?= demo --real-node
# Scripts of this folder are used instead of the committed ones (see `again`).
FRESH := target/onchain-fresh

# The order is by price: what fails fast comes first, what needs the CKB node comes last.
STEPS := fmt tidy lint docs unit evm-tools evm prove anvil xudt toolchain scripts lint-onchain demo-embedded models \
         seeds mutants disputes bench costs node real-node demo-real again

demo: demo-embedded

help:
	@echo "make demo        the software at work, on embedded chains"
	@echo "make demo-real   the same on a real CKB node and a real Anvil"
	@echo "make test        every check, in the order of their price; each is a target of its own:"
	@echo "                 $(STEPS)"
	@echo "make setup       the compilers, the node and Anvil, for those who want the waiting done before"
	@echo "make interop     the messages of go-perun against go-perun itself (needs Go)"
	@echo "make fuzz        ten million spoilt messages of go-perun peers"

test:
	@scripts/run-steps.sh $(STEPS)

# The compilers, the node and Anvil, for those who want the waiting done in advance.
setup: toolchain node evm-tools

fmt:
	$(CARGO) fmt --all --check

tidy:
	$(XTASK) tidy

lint:
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	set -e; for crate in $(REAL_NODE_CRATES); do \
	    $(CARGO) clippy $(LOCKED) --package $$crate --all-targets --features real-node-tests -- -D warnings; \
	done
	set -e; for crate in $(ANVIL_CRATES); do \
	    $(CARGO) clippy $(LOCKED) --package $$crate --all-targets --features anvil-tests -- -D warnings; \
	done
	$(CARGO) clippy $(LOCKED) --package perun-goperun --all-targets --features goperun-tests -- -D warnings
	$(CARGO) clippy $(LOCKED) --package perun-interop --all-targets --features interop-tests -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps

unit:
	$(CARGO) test $(LOCKED) --workspace

# Real go-perun: whether it still writes the committed messages, reads ours, talks to our connections,
# and lives whole channels on our contracts, on a real Anvil. Needs Go 1.26, which fetches go-perun.
interop: evm-tools
	cd interop/go-perun && test -z "$$(gofmt -l .)" && go vet ./...
	cd interop/go-perun && go run ./vectors -verify && go run ./vectors -check
	$(CARGO) test $(LOCKED) --package perun-goperun --features goperun-tests
	set -e; export PERUN_ANVIL_BIN="$$(onchain/evm/run.sh anvil)"; \
	    $(CARGO) test $(LOCKED) --package perun-interop --features interop-tests

# What is hashed and signed, by other implementations: viem (Node.js 18, npm) and go-perun with its
# Ethereum backend (Go 1.26). Each says how many rows of vectors/ it checked.
vectors:
	vectors/check/ts/run.sh
	cd interop/go-perun && test -z "$$(gofmt -l .)" && go vet ./vectors/signed
	cd interop/go-perun && go run ./vectors/signed

# Whether both notice each value that is spoilt; what is left out are swaps, which go-perun does not
# have, and what does not change why a swap is refused.
vectors-spoilt: vectors
	mkdir -p target && cd interop/go-perun && go build -o ../../target/vectors-signed ./vectors/signed
	vectors/check/spoil.py --except swap.json:states.swap --except swap.json:states.ledgers \
	    --except swap.json:states.all_moved --except swap.json:steps.step \
	    --except swap.json:steps.before --except swap.json:steps.after \
	    --except swap.json:steps.strange --except swap.json:refusals. \
	    target/vectors-signed -folder
	vectors/check/spoil.py --except swap.json:refusals.version \
	    --except swap.json:refusals.outcome --except swap.json:refusals.data \
	    --except swap.json:refusals.is_final vectors/check/ts/run.sh

# Forge, the Solidity compiler and Anvil, from npm.
evm-tools:
	onchain/evm/run.sh install

# The contracts' own tests, and whether the committed bytecode is what the compiler makes of them.
evm: evm-tools
	onchain/evm/run.sh fmt --check
	onchain/evm/run.sh test
	onchain/evm/run.sh artifacts --check

# What the contracts' accounting, records and signatures promise, for all values. Needs Python 3 with venv.
prove: evm-tools
	onchain/evm/run.sh prove

# The chain in the process answers as Anvil does, and the backend works on both.
anvil: evm-tools
	set -e; export PERUN_ANVIL_BIN="$$(onchain/evm/run.sh anvil)"; \
	    $(CARGO) test $(LOCKED) --package perun-embedded-evm --features anvil-tests --test anvil; \
	    $(CARGO) test $(LOCKED) --package perun-backend-evm --features anvil-tests --test chain anvil

# Optional: the program of xUDT is in no package. Nothing is skipped where its file is named.
xudt:
	set -e; if [ -n "$${PERUN_XUDT_BIN:-}" ]; then \
	    $(CARGO) test $(LOCKED) --package perun-backend-ckb --features xudt-tests --test chain xudt; \
	else \
	    echo "NOT RUN (optional): the test with xUDT; set PERUN_XUDT_BIN to the file of its program"; \
	fi

toolchain:
	scripts/setup-onchain-toolchain.sh

scripts: toolchain
	$(XTASK) scripts --check

# The code behind cfg(target_arch = "riscv64") is invisible to the ordinary clippy.
lint-onchain: toolchain
	$(XTASK) scripts --lint

demo-embedded:
	$(PERUN) demo

models:
	$(XTASK) models

# Lives of two parties with losses, crashes and reorganisations.
seeds:
	$(CARGO) run $(LOCKED) --release --package perun-sim --example seeds -- 10000

# Damaged transactions, more than 100,000, for the committed programs and the pure verdict.
mutants:
	$(CARGO) test $(LOCKED) --release --package perun-onchain-tests --features long --test chance

# Ten million spoilt messages and handshakes of go-perun peers; not a part of `make test`.
fuzz:
	$(CARGO) run $(LOCKED) --release --package perun-goperun --example fuzz -- 10000000

# A hundred thousand disputes for the rules, the contracts in the EVM and the scripts in CKB's machine.
disputes:
	$(CARGO) test $(LOCKED) --release --package perun-disputes --features long --test disputes -- --nocapture

# Fails if an update costs more than 1.15 times its signatures.
bench:
	$(CARGO) bench $(LOCKED) --package perun-channel --bench full_update

costs:
	$(XTASK) costs --check

node:
	scripts/setup-ckb-node.sh install

real-node: node
	set -e; for crate in $(REAL_NODE_CRATES); do \
	    echo "real-node tests of $$crate"; \
	    PERUN_CKB_BIN="$$(scripts/setup-ckb-node.sh path)" \
	        $(CARGO) test $(LOCKED) --package $$crate --features real-node-tests; \
	done

# On a real CKB node and a real Anvil together.
demo-real: node evm-tools
	set -e; PERUN_ANVIL_BIN="$$(onchain/evm/run.sh anvil)"; PERUN_CKB_BIN="$$(scripts/setup-ckb-node.sh path)"; \
	    export PERUN_ANVIL_BIN PERUN_CKB_BIN; $(PERUN) $(DEMO_REAL_ARGS)

# Where Debian's compiler is not the one of the committed scripts, `scripts` cannot compare bytes and
# leaves what it built in $(FRESH): then every test that runs the scripts is run on those too.
again:
	set -e; if [ -d $(FRESH) ]; then \
	    echo "another compiler than that of the committed scripts: running their tests on $(FRESH) too"; \
	    PERUN_SCRIPTS_DIR="$(CURDIR)/$(FRESH)" $(MAKE) --no-print-directory unit demo-embedded real-node demo-real; \
	else \
	    echo "the committed scripts are what this compiler makes of the sources: nothing to repeat"; \
	fi
