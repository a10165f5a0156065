#!/usr/bin/env bash
# Builds guest/engine.wasm and describes it in guest/engine.lock. Run prepare.sh
# first.
#
# The same sources and tools give the same bytes in any folder. Every path that could
# get into the module is replaced: Rust's by rustc.sh, those of QuickJS below.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Settings of the person who builds must not reach the engine.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR CFLAGS TARGET_CFLAGS

build_guest() {
  say "building the guest (route $ROUTE)"
  local options=(--locked --release --target "$GUEST_TARGET")
  [ "$ROUTE" = rustup ] || options+=(-Zbuild-std=std,panic_abort)
  # In a subshell: the link tool is built without any of this.
  (
    "use_$ROUTE"
    export RUSTC_WRAPPER=$SCRIPTS_DIR/rustc.sh
    export SLUICE_CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} SLUICE_RUST_SYSROOT=$HOST_SYSROOT
    export SLUICE_REPO_DIR=$REPO_DIR SLUICE_BUILD_DIR=$BUILD_DIR SLUICE_TOOLCHAIN_DIR=$TOOLCHAIN_DIR
    export CC_wasm32_wasip1=$SCRIPTS_DIR/clang.sh
    # QuickJS's assertions name their file, which cargo copies to a folder whose name
    # holds a hash. The bare file name says enough.
    # -O2, because -O3 unrolls QuickJS's interpreter loop into something that Cranelift
    # turns into slower machine code (an eighth on recursive calls) and more of it.
    # SLUICE_CHANGES is for cargo, which compiles C again when its flags change.
    local changes
    changes=$(cat "$SCRIPTS_DIR"/*.h "$SCRIPTS_DIR"/patches/* "$SCRIPTS_DIR"/clang.sh | sha256sum | cut -c -16)
    export CFLAGS_wasm32_wasip1="-O2 -include $SCRIPTS_DIR/quickjs.h -I$SCRIPTS_DIR -Wno-builtin-macro-redefined -D__FILE__=__FILE_NAME__ -DSLUICE_CHANGES=0x$changes"
    cd "$GUEST_DIR"
    "$HOST_CARGO" build "${options[@]}" --target-dir "$BUILD_DIR/guest"
  )
}

use_rustup() {
  export RUSTC=$HOST_SYSROOT/bin/rustc
}

use_debian() {
  [ -x "$DEBIAN_SDK/bin/rustc" ] || die "there is no toolchain in $TOOLCHAIN_DIR: run prepare.sh"
  export RUSTC=$DEBIAN_SDK/bin/rustc WASI_SDK=$DEBIAN_SDK
  # Standard library from source is an unstable option of cargo and rustc.
  export RUSTC_BOOTSTRAP=1
  # rust-lld itself: the wasm-ld beside it is a launcher that looks for it elsewhere.
  export CARGO_TARGET_WASM32_WASIP1_LINKER=$RUST_LLD
  # bindgen loads libclang into rquickjs-sys's build script.
  export CLANG_PATH=$DEBIAN_SDK/bin/clang LD_LIBRARY_PATH=$DEBIAN_LIBS
  LIBCLANG_PATH=$(echo "$PREFIX"/lib/llvm-*/lib)
  export LIBCLANG_PATH
}

link_engine() {
  say "linking the engine"
  (
    cd "$GUEST_DIR/link"
    "$HOST_CARGO" build --release --target-dir "$LINK_BUILD_DIR"
  )
  "$LINK_BUILD_DIR/release/sluice-engine-link" \
    "$BUILD_DIR/guest/$GUEST_TARGET/release/sluice_engine.wasm" "$BUILD_DIR/engine.wasm"
}

# The tools whose version can change the engine, as lines of TOML.
tools() {
  entry() { printf '"%s" = "%s"\n' "$1" "$2"; }
  locked() { awk -v name="$1" '$1 == "name" { hit = $3 == "\"" name "\"" }
    hit && $1 == "version" { gsub("\"", "", $3); print $3 }' "$GUEST_DIR/link/Cargo.lock"; }
  entry route "$ROUTE"
  entry host "$HOST_TRIPLE"
  entry cargo "$("$HOST_CARGO" --version)"
  "tools_$ROUTE"
  entry wasmtime-wizer "$(locked wasmtime-wizer)"
  entry wit-component "$(locked wit-component)"
}

tools_rustup() {
  entry rustc "$("$HOST_SYSROOT/bin/rustc" --version)"
  if [ -n "${WASI_SDK:-}" ]; then
    entry clang "$("$WASI_SDK/bin/clang" --version | head -n 1)"
    entry wasi-sdk "$(head -n 1 "$WASI_SDK/VERSION" 2>/dev/null || echo unknown)"
  else
    entry wasi-sdk "as fetched by rquickjs-sys"
  fi
}

tools_debian() {
  entry rustc "$("$DEBIAN_SDK/bin/rustc" --version)"
  entry rust-lld "$("$RUST_LLD" -flavor wasm --version)"
  entry clang "$("$DEBIAN_SDK/bin/clang" --version | head -n 1)"
  entry zig "$ZIG_VERSION"
  for deb in "$TOOLCHAIN_DIR"/debs/*.deb; do
    entry "debian/$(dpkg-deb -f "$deb" Package)" "$(dpkg-deb -f "$deb" Version)"
  done
}

# "HASH  FILE" becomes "FILE" = "HASH".
write_lock() {
  cat <<LOCK
# What engine.wasm was made of and with. Written by \`make guest\`, read by
# \`make guest-check\` and \`make guest-verify\`.

[engine]
sha256 = "$(sha256sum <"$BUILD_DIR/engine.wasm" | cut -d ' ' -f 1)"
bytes = $(wc -c <"$BUILD_DIR/engine.wasm")

[sources]
# Over the lines "HASH  FILE" of [sources.sha256_of], sorted by file.
sha256 = "$(sha256sum <<<"$SOURCES" | cut -d ' ' -f 1)"

[sources.sha256_of]
$(sed 's/^\([^ ]*\)  \(.*\)$/"\2" = "\1"/' <<<"$SOURCES")

# make guest-verify compares bytes only where all of these are the same.
[tools]
$(tools)
LOCK
}

SOURCES=$("$SCRIPTS_DIR/check.sh" --sources)
build_guest
link_engine
[ "$SOURCES" = "$("$SCRIPTS_DIR/check.sh" --sources)" ] ||
  die "a source was changed during the build: build again"
write_lock >"$BUILD_DIR/engine.lock"
mv "$BUILD_DIR/engine.wasm" "$GUEST_DIR/engine.wasm"
mv "$BUILD_DIR/engine.lock" "$GUEST_DIR/engine.lock"
say "wrote guest/engine.wasm and guest/engine.lock"
