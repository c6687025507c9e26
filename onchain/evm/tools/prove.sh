#!/bin/sh
# Proves what test/proofs says, for all values, with halmos. Where it is not installed, this
# installs it into a folder of its own; if that fails, this fails.
# Environment: HALMOS (the program), PERUN_EVM_CACHE (the folder).
set -eu

VERSION=0.3.3
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/@foundry-rs/forge-linux-amd64/bin:$PWD/node_modules/.bin:$PATH"
export PATH

halmos=${HALMOS:-}
if [ -z "$halmos" ]; then
  cache=${PERUN_EVM_CACHE:-$HOME/.cache/perun-evm}
  halmos=$cache/halmos-$VERSION/bin/halmos
  if [ ! -x "$halmos" ]; then
    python3 -m venv "$cache/halmos-$VERSION"
    "$cache/halmos-$VERSION/bin/pip" install --quiet "halmos==$VERSION"
  fi
fi
# Its solvers lie beside it.
PATH="$(dirname "$halmos"):$PATH"
"$halmos" --version

# Only the proofs are compiled, into a folder of their own.
FOUNDRY_TEST=test/proofs
FOUNDRY_OUT=out/proofs
FOUNDRY_CACHE_PATH=out/cache/proofs
export FOUNDRY_TEST FOUNDRY_OUT FOUNDRY_CACHE_PATH

expected=$(grep -h 'function check_' test/proofs/*.t.sol | wc -l)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$halmos" --root . --forge-build-out out/proofs --loop 130 --solver-timeout-assertion 60s \
  "$@" | tee "$log"
if [ $# -eq 0 ]; then
  passed=$(grep -c '\[PASS\]' "$log" || true)
  echo "proved: $passed of $expected"
  [ "$passed" -eq "$expected" ]
fi
