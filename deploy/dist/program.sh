#!/usr/bin/env bash
# Builds the program, linked with the C library of DIST_SUITE, and checks that it needs no newer one.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Builds what `cargo build --release` builds, so a warm target folder is used, and links it once more. That takes
# seconds, while other options for the linker would make rustc compile the whole program again.
build() {
  local program=$REPO_DIR/target/release/sluice
  need cargo rustup
  need cc build-essential
  (
    cd "$REPO_DIR"
    # Settings of the person who builds must not reach the program.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR
    # Nothing in the program depends on it, but the C sources, wasmtime and all that uses them would be compiled again,
    # here and in the next build without it.
    unset SOURCE_DATE_EPOCH
    cargo build --release --locked -p sluice
    # cargo links when a program is missing. It has two names for it.
    find "$REPO_DIR/target/release" -maxdepth 2 -samefile "$program" -delete
    PATH=$SCRIPTS_DIR/linker:$PATH SLUICE_SYSROOT=$SYSROOT SLUICE_TRIPLE=$TRIPLE \
      cargo build --release --locked -p sluice
  )
  strip --strip-all -o "$PROGRAM" "$program"
}

# The newest version of the C library that a file asks for or, if it is the C library itself, has.
newest_glibc() {
  objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1
}

check() {
  local needed there library
  needed=$(newest_glibc "$PROGRAM")
  there=$(newest_glibc "$SYSROOT/lib/$TRIPLE/libc.so.6")
  [ "$(printf '%s\n' "$needed" "$there" | sort -V | tail -n 1)" = "$there" ] ||
    die "the program needs glibc $needed, but Debian $DIST_SUITE has $there"
  objdump -p "$PROGRAM" | sed -n 's/^ *NEEDED *//p' | while read -r library; do
    case $library in
    libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libgcc_s.so.1 | ld-linux-*) ;;
    *) die "the program needs $library, which a bare system does not have" ;;
    esac
  done
  echo "$needed" >"$PROGRAM.glibc"
  say "the program needs glibc $needed"
}

need objdump binutils
mkdir -p "$(dirname "$PROGRAM")"
unpack "$DIST_SUITE" "$SYSROOT" libc6-dev,libgcc-s1
# The name by which linkers look for it. The packages of gcc have another one in a folder of their own.
ln -sf "../../../lib/$TRIPLE/libgcc_s.so.1" "$SYSROOT/usr/lib/$TRIPLE/libgcc_s.so"
build
check
