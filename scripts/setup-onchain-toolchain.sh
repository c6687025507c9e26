#!/usr/bin/env bash
# Prepares the compiler for the on-chain scripts: rustc, clang and lld from Debian's packages, unpacked
# into a folder of their own, with `core` and `alloc` compiled for CKB-VM's instruction set. Nothing is
# installed system-wide. A finished folder is left as it is, so calling this again costs nothing.
#
#   scripts/setup-onchain-toolchain.sh     print the folder, after making it where it is missing
#
# PERUN_ONCHAIN_TOOLCHAIN   the folder (default: ~/.cache/perun-onchain-toolchain); no blanks in it
# PERUN_ONCHAIN_RUSTC_DEB   the Debian version of rustc-web to take (default: what apt offers)
set -euo pipefail

case ${1:-} in
'') ;;
-h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
*) echo "on-chain toolchain: unknown argument $1 (--help explains)" >&2; exit 2 ;;
esac

DEST=$(realpath -m "${PERUN_ONCHAIN_TOOLCHAIN:-$HOME/.cache/perun-onchain-toolchain}")
TARGET=riscv64imac-unknown-none-elf
# The B extension on, atomics off. LLVM counts zaamo and zalrsc apart from `a`, so all three are named.
FEATURES=+zba,+zbb,+zbc,+zbs,-a,-zaamo,-zalrsc
LIBS=usr/lib/x86_64-linux-gnu

note() { echo "on-chain toolchain: $*" >&2; }
fail() { note "$*"; exit 1; }

ready() {
    [ -x "$DEST/bin/onchain-cargo" ] && [ -s "$DEST/env.sh" ] && [ -s "$DEST/VERSION" ] &&
        compgen -G "$DEST/usr/lib/rustlib/$TARGET/lib/libcore-*.rlib" >/dev/null &&
        "$DEST/usr/bin/rustc" --version >/dev/null 2>&1
}

# ---- Debian packages ---------------------------------------------------------------------------

quiet_apt() { apt-get -qq -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 "$@"; }

fresh_lists() {
    note "reading Debian's package lists anew"
    if [ "$(id -u)" = 0 ]; then quiet_apt update; else sudo -n apt-get -qq update; fi
}

offered() { apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# fetch FOLDER PACKAGE[=VERSION]...  Lists can be older than the archive: one more try with fresh ones.
fetch() {
    local folder=$1 log=$1/apt.log
    shift
    mkdir -p "$folder"
    (cd "$folder" && quiet_apt download "$@") >"$log" 2>&1 && return
    fresh_lists || note "the lists could not be refreshed"
    (cd "$folder" && quiet_apt download "$@") >"$log" 2>&1 && return
    tail -n 5 "$log" >&2
    fail "Debian's archive did not give: $*"
}

# choose_versions: sets RUSTC_DEB (the package's version), RUST (1.96.0) and LLVM (22).
choose_versions() {
    RUSTC_DEB=${PERUN_ONCHAIN_RUSTC_DEB:-$(offered rustc-web)}
    if [ -z "$RUSTC_DEB" ]; then
        fresh_lists || note "the lists could not be refreshed"
        RUSTC_DEB=$(offered rustc-web)
    fi
    [ -n "$RUSTC_DEB" ] || fail "apt offers no rustc-web; it belongs to Debian 12 and its security archive"
    RUST=${RUSTC_DEB%%[+-]*}
    LLVM=$(apt-cache show "libstd-rust-web-${RUST%.*}=$RUSTC_DEB" |
        grep -m1 '^Depends:' | grep -om1 'libllvm[0-9]*' | tr -dc 0-9) || true
    [ -n "$LLVM" ] || fail "apt does not say which LLVM rustc-web $RUSTC_DEB was built with"
}

unpack_packages() { # into $1
    local root=$1 deb
    fetch "$root/debs" {rustc-web,libstd-rust-web-"${RUST%.*}",libstd-rust-web-dev,rust-web-src,rust-web-clippy}="$RUSTC_DEB" \
        {libllvm,lld-,clang-,llvm-,libclang-cpp}"$LLVM" "libclang-common-$LLVM-dev" patchelf
    for deb in "$root"/debs/*.deb; do
        case $(basename "$deb") in
        rust-web-src_*) dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$root" --wildcards "./usr/src/rustc-$RUST/library/*" './usr/lib/rustlib/src/*' ;;
        "llvm-${LLVM}_"*) dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$root" --wildcards './usr/lib/llvm-*/bin/llvm-'{ar,nm,objdump,readobj,readelf,size} ;;
        *) dpkg-deb -x "$deb" "$root" ;;
        esac
    done
}

# The programs were built to live in /usr: point them at the libraries of this folder instead.
relocate() {
    local root=$1 llvm=$1/usr/lib/llvm-$LLVM/bin program
    for program in rustc rustdoc clippy-driver cargo-clippy; do
        "$root/usr/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN/../lib/x86_64-linux-gnu" "$root/usr/bin/$program"
    done
    mkdir -p "$root/bin" "$root/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin"
    for program in clang lld llvm-ar llvm-nm llvm-objdump llvm-readobj llvm-size; do
        "$root/usr/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN/../../x86_64-linux-gnu" "$(realpath "$llvm/$program")"
    done
    for program in clang lld ld.lld llvm-ar llvm-nm llvm-objdump llvm-readelf llvm-size; do
        ln -s "../usr/lib/llvm-$LLVM/bin/$program" "$root/bin/$program"
    done
    ln -s "../../../llvm-$LLVM/bin/lld" "$root/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
}

lacking() { # By their real names: ldd takes a link's own folder for \$ORIGIN.
    realpath "$1/usr/bin/rustc" "$1"/bin/{clang,lld,llvm-ar} | xargs -n1 ldd | awk '/not found/ { print $1 }' | sort -u
}

# A lean machine lacks some libraries that LLVM wants: take the packages that LLVM depends on too.
add_libraries() {
    local root=$1 deb
    [ -n "$(lacking "$root")" ] || return 0
    note "also taking the libraries that this machine lacks: $(lacking "$root" | xargs)"
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "libllvm$LLVM" | grep '^[a-z]' |
        grep -vE '^(libc6|libcrypt1|libgcc-s1|libstdc\+\+6|gcc-.*-base|libllvm.*)$' | sort -u >"$root/wanted"
    # shellcheck disable=SC2046  # one argument per package is meant
    fetch "$root/debs/more" $(cat "$root/wanted")
    for deb in "$root"/debs/more/*.deb; do dpkg-deb -x "$deb" "$root/debs/more/root"; done
    find "$root/debs/more/root" -name '*.so*' -exec cp -an {} "$root/$LIBS/" \;
    # libLLVM's own RUNPATH would hide the programs' RPATH from it.
    find "$root/$LIBS" -maxdepth 1 -type f -name '*.so*' \
        -exec "$root/usr/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN" {} \;
    [ -z "$(lacking "$root")" ] || fail "libraries still missing: $(lacking "$root" | xargs)"
}

# ---- what cargo gets to see --------------------------------------------------------------------

# C code on chain has no libc. These declarations are enough for libsecp256k1; the compiler's own
# runtime defines the memory functions.
write_headers() {
    mkdir -p "$1/include"
    cat >"$1/include/string.h" <<'C'
#pragma once
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);
C
    cat >"$1/include/stdlib.h" <<'C'
#pragma once
#include <stddef.h>
void *malloc(size_t n);
void free(void *at);
void abort(void);
C
    printf '#pragma once\n#define fprintf(...) ((void)0)\n#define stderr ((void *)0)\n' >"$1/include/stdio.h"
    printf '#pragma once\n#define assert(condition) ((void)0)\n' >"$1/include/assert.h"
}

# The flags are kept in this one place: code built with other features than `core` is not inlined with it.
write_env() {
    cat >"$1/env.sh" <<ENV
# Makes this shell's cargo build for CKB-VM. Add to the flags with PERUN_ONCHAIN_RV_RUSTFLAGS and _CFLAGS.
export PERUN_ONCHAIN_TOOLCHAIN="$DEST"
FEATURES="$FEATURES"
ENV
    cat >>"$1/env.sh" <<'ENV'
# A stray variable of the caller would change the bytes without a word.
unset RUSTC_BOOTSTRAP RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
export RUSTC="$PERUN_ONCHAIN_TOOLCHAIN/usr/bin/rustc" RUSTDOC="$PERUN_ONCHAIN_TOOLCHAIN/usr/bin/rustdoc"
# The remapped path keeps this machine's folders out of the bytes.
export CARGO_TARGET_RISCV64IMAC_UNKNOWN_NONE_ELF_RUSTFLAGS="-C target-feature=$FEATURES --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/cargo ${PERUN_ONCHAIN_RV_RUSTFLAGS:-}"
export CLANG="$PERUN_ONCHAIN_TOOLCHAIN/bin/clang"
export CC_riscv64imac_unknown_none_elf="$CLANG" AR_riscv64imac_unknown_none_elf="$PERUN_ONCHAIN_TOOLCHAIN/bin/llvm-ar"
export CFLAGS_riscv64imac_unknown_none_elf="-march=rv64imc_zba_zbb_zbc_zbs -mabi=lp64 -Wno-unused-command-line-argument -nostdlibinc -isystem $PERUN_ONCHAIN_TOOLCHAIN/include ${PERUN_ONCHAIN_RV_CFLAGS:-}"
unset FEATURES
ENV
    cat >"$1/bin/onchain-cargo" <<'CARGO'
#!/bin/sh
# The machine's cargo with the on-chain compiler; `onchain-cargo clippy` takes the clippy that belongs to it.
set -eu
root=$(dirname "$(dirname "$(realpath "$0")")")
. "$root/env.sh"
[ "${1:-}" != clippy ] || exec "$root/usr/bin/cargo-clippy" "$@"
exec cargo "$@"
CARGO
    chmod +x "$1/bin/onchain-cargo"
}

# ---- core and alloc ----------------------------------------------------------------------------

# Debian's source package carries the crates that the standard library needs, so this step is offline.
# It alone uses cargo's unstable -Zbuild-std, so that no build of the project has to.
compile_core() {
    local root=$1 src=$1/usr/lib/rustlib/src/rust work commit
    work=$(mktemp -d)
    commit=$("$root/usr/bin/rustc" -vV | awk '$1 == "commit-hash:" { print $2 }')
    mkdir "$work/src" && echo '#![no_std]' >"$work/src/lib.rs"
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "seed"
version = "0.0.0"
edition = "2021"
[workspace]
[profile.release]
debug = 0
codegen-units = 1
[profile.release.package.compiler_builtins]
codegen-units = 10000
TOML
    note "compiling core and alloc for $TARGET"
    (cd "$work" && env -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER \
        CARGO_HOME="$work/home" CARGO_TARGET_DIR="$work/target" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" \
        RUSTC="$root/usr/bin/rustc" RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS="-C target-feature=$FEATURES -C embed-bitcode=yes --remap-path-prefix=$src=/rustc/$commit --remap-path-prefix=$(realpath "$src")=/rustc/$commit" \
        cargo build --offline --release --target "$TARGET" -Zbuild-std=core,alloc \
        --config 'source.crates-io.replace-with="std"' \
        --config "source.std.directory=\"$src/library/vendor\"") >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; fail "core did not compile; the whole log is $work/log"; }
    mkdir -p "$root/usr/lib/rustlib/$TARGET/lib"
    find "$work/target/$TARGET/release/deps" -name '*.rlib' ! -name 'libseed-*' \
        -exec cp {} "$root/usr/lib/rustlib/$TARGET/lib/" \;
    rm -rf "$work"
}

# A linked program and a C file: better to fail here than in the middle of the first real build.
prove() {
    local work
    work=$(mktemp -d)
    cat >"$work/p.rs" <<'RUST'
#![no_std]
#![no_main]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo) -> ! { loop {} }
#[unsafe(no_mangle)]
pub extern "C" fn _start(a: u64, b: u64) -> u64 { (u128::from(a) * u128::from(b) >> 64) as u64 }
RUST
    echo 'long high(long a, long b) { return (unsigned __int128)a * b >> 64; }' >"$work/p.c"
    (
        # shellcheck disable=SC1091
        . "$1/env.sh"
        # shellcheck disable=SC2086  # the flags are lists
        {
            "$1/usr/bin/rustc" --edition 2024 --target $TARGET -O -C panic=abort \
                $CARGO_TARGET_RISCV64IMAC_UNKNOWN_NONE_ELF_RUSTFLAGS "$work/p.rs" -o "$work/p" &&
                "$1/bin/clang" --target=riscv64-unknown-none-elf $CFLAGS_riscv64imac_unknown_none_elf -O2 -c "$work/p.c" -o "$work/p.o" &&
                "$1/bin/llvm-readelf" -h "$work/p" | grep -q RISC-V
        } >"$work/log" 2>&1
    ) && compgen -G "$1/usr/lib/rustlib/$TARGET/lib/liballoc-*.rlib" >/dev/null || { cat "$work/log" >&2; fail "the new compiler cannot build a RISC-V program"; }
    rm -rf "$work"
}

make_it() {
    local root=$DEST.new
    for tool in apt-get apt-cache dpkg-deb cargo cc; do
        command -v $tool >/dev/null || fail "$tool is missing: this needs Debian 12 or later with gcc and a stable cargo"
    done
    rm -rf "$root" && mkdir -p "$root"
    choose_versions
    note "making $DEST from Debian's rustc $RUSTC_DEB and LLVM $LLVM"
    unpack_packages "$root"
    relocate "$root"
    add_libraries "$root"
    write_headers "$root"
    write_env "$root"
    [ "$("$root/usr/bin/rustc" -vV | awk '$1 == "release:" { print $2 }')" = "$RUST" ] ||
        fail "the unpacked rustc does not run, or is not $RUST"
    compile_core "$root"
    rm -rf "$root/debs" "$DEST"
    mv "$root" "$DEST"
    prove "$DEST"
    # Written last: a folder without it is not finished.
    printf 'rustc %s\ndebian %s\nllvm %s\n' "$RUST" "$RUSTC_DEB" "$LLVM" >"$DEST/VERSION"
}

case $DEST in *[[:space:]]*) fail "the folder's name goes into compiler flags and must have no blanks: $DEST" ;; esac
[ "$(uname -sm)" = "Linux x86_64" ] || fail "only Linux on x86_64 is supported"
if ! ready; then
    mkdir -p "$(dirname "$DEST")"
    exec 9>"$DEST.lock"
    flock 9 # Two runs at once: the second finds the folder finished.
    ready || make_it
    ready || fail "the folder is still not complete: $DEST"
fi
note "$(tr '\n' ' ' <"$DEST/VERSION")"
echo "$DEST"
