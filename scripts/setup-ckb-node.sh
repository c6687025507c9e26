#!/usr/bin/env bash
# Builds the official CKB node, which the real-node tests and `perun demo` against a node run on, and
# keeps it in a cache folder. Two cores need 13 to 25 minutes the first time; afterwards nothing is done.
#
#   scripts/setup-ckb-node.sh install    build where missing, then print the path of the program
#   scripts/setup-ckb-node.sh path       print the path, or fail where there is no node
#   scripts/setup-ckb-node.sh start [PORT]  run a dev chain on it, with known keys, sUDT, Omnilock,
#                                        anyone-can-pay and multisig v2, until Ctrl-C; its RPC is on
#                                        127.0.0.1, at PORT (default: 8114)
#
# PERUN_XUDT_BIN      a file with the xUDT program, which no package has: it is on the chain too
# PERUN_DEVNET_HOME   the folder (default: ~/.cache/perun-devnet)
set -euo pipefail

VERSION=0.210.0
PROJECT=$(dirname "$(dirname "$(realpath "$0")")")
HOME_DIR=$(realpath -m "${PERUN_DEVNET_HOME:-$HOME/.cache/perun-devnet}")
NODE=$HOME_DIR/ckb-$VERSION/bin/ckb
BUILD=$HOME_DIR/build/ckb-$VERSION
LOG=$HOME_DIR/ckb-$VERSION-build.log
SPACE_MB=5000

note() { echo "ckb node: $*" >&2; }
fail() { note "$*"; exit 1; }

present() { [ -x "$NODE" ] && [[ "$("$NODE" --version 2>/dev/null)" == "ckb $VERSION"* ]]; }

# RocksDB's bindings load libclang while they are built; the system's OpenSSL spares a build of it.
need_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc)
    command -v c++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    command -v clang++ >/dev/null || missing+=(clang)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] || missing+=(libclang-dev)
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        fail "please install first: ${missing[*]}"
    fi
    note "installing ${missing[*]}"
    {
        apt-get -o DPkg::Lock::Timeout=300 update
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
    } >>"$LOG" 2>&1 || { tail -n 5 "$LOG" >&2; fail "Debian's packages could not be installed: ${missing[*]}"; }
}

# The crate brings its own lock file. What is changed here saves time and changes no behaviour: little
# optimisation (scripts run in hand-written assembly all the same), none for RocksDB, no debug info.
compile() {
    mkdir -p "$BUILD"
    cd "$BUILD" || return # Away from the configuration of the folder we were called in.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER \
        CXX="${CXX:-clang++}" OPENSSL_NO_VENDOR=1 CARGO_NET_RETRY=5 CARGO_TARGET_DIR="$BUILD/target" \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_OPT_LEVEL=0 \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols \
        cargo install ckb --version "=$VERSION" --locked --force --root "$HOME_DIR/ckb-$VERSION" \
        --config profile.release.package.ckb-librocksdb-sys.opt-level=0
}

install() {
    mkdir -p "$HOME_DIR/bin"
    if ! present; then
        exec 9>"$HOME_DIR/.ckb-build.lock"
        flock --nonblock 9 || { note "another process is building it; waiting"; flock 9; }
    fi
    if ! present; then
        : >"$LOG"
        need_packages
        local free started=$SECONDS
        free=$(df -Pm "$HOME_DIR" | awk 'END { print $4 }')
        [ "$free" -ge $SPACE_MB ] || fail "the build needs $SPACE_MB MB under $HOME_DIR, and $free are free"
        note "building ckb $VERSION, 13 to 25 minutes on two cores; the log is $LOG"
        # The compilers must not inherit the lock: it is to end with this script.
        (compile 9>&-) >>"$LOG" 2>&1 ||
            { tail -n 30 "$LOG" >&2; fail "the build failed (finished crates are kept; the next run goes on from there)"; }
        present || fail "$NODE is not ckb $VERSION, although its build succeeded"
        rm -rf "$BUILD"
        note "built in $(((SECONDS - started) / 60)) minutes"
    fi
    ln -sfn "$NODE" "$HOME_DIR/bin/ckb"
    echo "$NODE"
}

start() {
    local node port=${1:-8114}
    node=$(install)
    cd "$PROJECT" || return
    note "building what starts it and puts the scripts on its chain; some minutes the first time"
    PERUN_CKB_BIN=$node exec cargo run --locked --package perun-embedded-ckb \
        --features real-node,well-known --example dev_node -- "$port"
}

case ${1:-install} in
install) install ;;
path) present || fail "no ckb $VERSION in $HOME_DIR; scripts/setup-ckb-node.sh install builds it"; echo "$NODE" ;;
start) start "${2:-}" ;;
-h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" ;;
*) fail "unknown command $1 (install, path, start)" ;;
esac
