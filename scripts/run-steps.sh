#!/usr/bin/env bash
# Runs make targets one after the other, each under a headline and with its duration, and stops at the
# first that fails. The CKB node, whose first build is long, is prepared beside the first steps; the step
# `node` waits for it. Every step named is run: there is no other outcome than passed, or stopped here.
#
#   scripts/run-steps.sh STEP...
set -euo pipefail
cd "$(dirname "$0")/.."

LOG=target/node-setup.log
mkdir -p target
summary=()
started=$SECONDS

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# In a process group of its own (-m), so that a failing run can end its compilers as well.
set -m
nice -n 10 scripts/setup-ckb-node.sh install >"$LOG" 2>&1 &
node=$!
set +m
trap 'kill -- -$node 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

await_node() {
    if wait "$node"; then
        tail -n 1 "$LOG"
    else
        echo "preparing the CKB node failed; the end of $LOG:"
        tail -n 30 "$LOG"
        return 1
    fi
}

while [ $# -gt 0 ]; do
    step=$1
    shift
    printf '\n==== %s ====\n' "$step"
    begin=$SECONDS
    status=0
    if [ "$step" = node ]; then
        await_node || status=$?
    else
        make --no-print-directory "$step" || status=$?
    fi
    took=$(clock $((SECONDS - begin)))
    if [ "$status" -ne 0 ]; then
        printf '\nFAILED: step %s (after %s; %s in all). The steps after it were not run: %s\n' \
            "$step" "$took" "$(clock $((SECONDS - started)))" "${*:-none}"
        exit 1
    fi
    printf -- '---- %s passed in %s\n' "$step" "$took"
    summary+=("$step $took")
done

printf '\nEverything passed in %s:\n' "$(clock $((SECONDS - started)))"
printf '  %s\n' "${summary[@]}"
