#!/bin/sh
# Everything about the Ethereum contracts: run.sh install | build | test | gas | sizes |
# artifacts [--check] | fmt [--check]
set -eu
cd "$(dirname "$0")"

forge() {
    [ -x node_modules/.bin/forge ] || { echo "run.sh install comes first" >&2; exit 1; }
    node_modules/.bin/forge "$@"
}

command="${1:-}"
[ $# -eq 0 ] || shift
case "$command" in
    install) npm ci --ignore-scripts --no-audit --no-fund ;;
    build) forge build "$@" ;;
    test) forge test "$@" ;;
    # Every operation as a transaction of its own, with the code that is deployed.
    gas)
        PERUN_GAS_LIMITS=true FOUNDRY_PROFILE=release \
            forge test --isolate --match-contract GasTest -vv "$@"
        ;;
    sizes) FOUNDRY_PROFILE=release forge build --sizes --skip test "$@" ;;
    artifacts)
        FOUNDRY_PROFILE=release forge build --skip test
        node tools/artifacts.js "$@"
        ;;
    fmt) forge fmt "$@" ;;
    *) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac
