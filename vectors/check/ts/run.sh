#!/bin/sh
# Checks the vectors with viem, after installing and compiling what is missing:
# run.sh [folder of the vectors]
set -eu
folder="${1:-$(dirname "$0")/../..}"
folder="$(cd "$folder" && pwd)"
cd "$(dirname "$0")"
major="$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)"
if [ "$major" -lt 18 ]; then
    echo "this check needs Node.js 18 or newer, with npm: install it first" >&2
    exit 1
fi
if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json node_modules/.installed
fi
if ! cat tsconfig.json src/*.ts | cmp -s - out/.compiled; then
    node node_modules/typescript/bin/tsc
    cat tsconfig.json src/*.ts > out/.compiled
fi
exec node out/main.js "$folder"
