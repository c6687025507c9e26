#!/bin/sh
# Everything about the Ethereum contracts: run.sh install | anvil | build | prove | mutants | test | gas | sizes |
# artifacts [--check] | fmt [--check]
set -eu
me="$(realpath "$0")"
cd "$(dirname "$me")"

forge() {
    [ -x node_modules/.bin/forge ] || { echo "run.sh install comes first" >&2; exit 1; }
    node_modules/.bin/forge "$@"
}

command="${1:-}"
[ $# -eq 0 ] || shift
case "$command" in
    # The compiler, forge, Anvil and the libraries of the lock file; nothing if they are here.
    install)
        major="$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)"
        if [ "$major" -lt 18 ]; then
            echo "the Ethereum contracts need Node.js 18 or newer, with npm: install it first" >&2
            exit 1
        fi
        cmp -s package-lock.json node_modules/.installed && exit 0
        npm ci --ignore-scripts --no-audit --no-fund
        cp package-lock.json node_modules/.installed
        ;;
    # The path of Anvil's program.
    anvil)
        program="$PWD/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
        [ -x "$program" ] || { echo "run.sh install comes first, on Linux on x86-64" >&2; exit 1; }
        echo "$program"
        ;;
    build) forge build "$@" ;;
    test) forge test "$@" ;;
    # Properties for all values, and a check that the tests notice what is taken away.
    prove) tools/prove.sh "$@" ;;
    mutants) tools/mutants.sh "$@" ;;
    sizes) FOUNDRY_PROFILE=release forge build --sizes --skip test "$@" ;;
    artifacts)
        FOUNDRY_PROFILE=release forge build --skip test
        node tools/artifacts.js "$@"
        ;;
    fmt) forge fmt "$@" ;;
    *) sed -n '2,3s/^# //p' "$me" >&2; exit 2 ;;
esac
