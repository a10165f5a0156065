#!/usr/bin/env bash
# Gets a toolchain for wasm32-wasip1, see README.md beside this file. Safe to run
# again: what is complete is kept, what was interrupted starts over.
#
# Every step works in `<name>.part` and renames that to `<name>` at its end, so a
# name without `.part` always means a finished step.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

begin() { rm -rf "$1.part" && mkdir -p "$1.part"; }
finish() { rm -rf "$1" && mv "$1.part" "$1"; }

# The packages, derived from what the distribution offers now: its newest Rust,
# and the LLVM that this Rust was built with.
debian_packages() {
  local std llvm z3
  std=$(dependency libstd-rust-web-dev 'libstd-rust-web-[0-9.]+')
  llvm=$(dependency "$std" 'libllvm[0-9]+')
  z3=$(dependency "$llvm" 'libz3-[0-9]+')
  llvm=${llvm#libllvm}
  echo rustc-web "$std" libstd-rust-web-dev rust-web-src \
    "clang-$llvm" "libclang-common-$llvm-dev" "libclang-cpp$llvm" "libclang1-$llvm" \
    "libllvm$llvm" "llvm-$llvm" "$z3"
}

# The first dependency of package $1 whose name matches $2.
dependency() {
  local found
  found=$(apt-cache show --no-all-versions "$1" 2>/dev/null |
    sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | grep -E -x -m1 "$2") ||
    die "apt knows no package '$1' that depends on '$2'. Run 'apt-get update';
  Debian 12 and newer have these packages in their security archive. On another
  system use rustup: 'rustup target add $GUEST_TARGET'."
  echo "$found"
}

fetch_debs() {
  local debs=$TOOLCHAIN_DIR/debs packages
  [ -d "$debs" ] && return
  for tool in apt-get apt-cache dpkg-deb; do
    need $tool "without rustup's $GUEST_TARGET the toolchain is made of Debian packages, and
  this is no Debian-like system. Either 'rustup target add $GUEST_TARGET', or build on Debian 12"
  done
  packages=$(debian_packages)
  say "downloading $(wc -w <<<"$packages") Debian packages, about 180 MB"
  begin "$debs"
  # shellcheck disable=SC2086  # a list of names
  (cd "$debs.part" && apt-get download -q $packages)
  finish "$debs"
}

unpack_debs() {
  local prefix=$TOOLCHAIN_DIR/prefix
  [ -d "$prefix" ] && return
  say "unpacking the Debian packages; nothing is installed system-wide"
  begin "$prefix"
  for deb in "$TOOLCHAIN_DIR"/debs/*.deb; do
    dpkg-deb -x "$deb" "$prefix.part"
  done
  finish "$prefix"
}

# The programs run from their private prefix, with the system's own libz, libxml2
# and the like, which a very small system may lack.
check_programs() {
  local missing
  missing=$(for program in "$PREFIX/bin/rustc" "$PREFIX"/lib/llvm-*/bin/clang \
    "$PREFIX"/lib/llvm-*/bin/llvm-ar "$PREFIX"/lib/llvm-*/lib/libclang-[0-9]*.so.*; do
    LD_LIBRARY_PATH=$DEBIAN_LIBS ldd "$program" | sed -n 's/^\t*\(.*\) => not found/\1/p'
  done | sort -u)
  [ -z "$missing" ] || die "the Debian programs lack these shared libraries; install them: $missing"
}

fetch_zig() {
  local wheel=$TOOLCHAIN_DIR/wheel zig=$TOOLCHAIN_DIR/zig
  if [ ! -d "$wheel" ]; then
    need python3 "it fetches zig, whose libc for WASI is used"
    say "downloading zig $ZIG_VERSION, about 100 MB"
    begin "$wheel"
    python3 -m pip download --quiet --no-deps --only-binary :all: \
      --dest "$wheel.part" "ziglang==$ZIG_VERSION"
    finish "$wheel"
  fi
  if [ ! -d "$zig" ]; then
    say "unpacking zig"
    begin "$zig"
    python3 -m zipfile -e "$wheel"/ziglang-"$ZIG_VERSION"-*.whl "$zig.part"
    chmod +x "$zig.part/ziglang/zig"
    finish "$zig"
  fi
}

# The path of file $2 in zig's link command, as logged in $1.
linked() {
  local path
  path=$(grep '^wasm-ld' "$1" | tr ' ' '\n' | grep "/$2\$") || die "zig did not link $2, see $1"
  realpath "$path"
}

# zig builds wasi-libc when something is linked for the first time. Link one
# command and one reactor, and take the archives and start files that it used.
build_libc() {
  local libc=$TOOLCHAIN_DIR/libc zig=$TOOLCHAIN_DIR/zig/ziglang/zig
  [ -d "$libc" ] && return
  say "building wasi-libc with zig"
  begin "$libc"
  (
    cd "$libc.part"
    mkdir work && cd work
    export ZIG_VERBOSE_LINK=1 ZIG_GLOBAL_CACHE_DIR=$PWD/cache ZIG_LOCAL_CACHE_DIR=$PWD/local-cache
    echo 'int main(void) { return 0; }' >command.c
    echo '__attribute__((export_name("f"))) int f(void) { return 0; }' >reactor.c
    "$zig" cc -target wasm32-wasi -O2 command.c -o command.wasm 2>command.log ||
      die "zig failed: $(tail -n 5 command.log)"
    "$zig" cc -target wasm32-wasi -mexec-model=reactor -O2 reactor.c -o reactor.wasm 2>reactor.log ||
      die "zig failed: $(tail -n 5 reactor.log)"
    cp "$(linked command.log crt1-command.o)" "$(linked reactor.log crt1-reactor.o)" ..
    # Relative names, because the script language of ar has no quoting.
    cp "$(linked reactor.log libc.a)" "$(linked reactor.log libzigc.a)" \
      "$(linked reactor.log libcompiler_rt.a)" .
    tool llvm-ar -M <<MRI
create ../libc.a
addlib libc.a
addlib libzigc.a
addlib libcompiler_rt.a
save
end
MRI
  )
  rm -rf "$libc.part/work"
  finish "$libc"
}

# Runs an LLVM program of the prefix.
tool() {
  LD_LIBRARY_PATH=$DEBIAN_LIBS "$PREFIX"/lib/llvm-*/bin/"$1" "${@:2}"
}

# rustc looks for libc.a and the start files in its own `self-contained` folder.
install_libc() {
  local folder=$PREFIX/lib/rustlib/$GUEST_TARGET/lib/self-contained
  [ -d "$folder" ] && return
  begin "$folder"
  cp "$TOOLCHAIN_DIR"/libc/* "$folder.part"
  finish "$folder"
}

# rquickjs-sys wants a WASI SDK: bin/clang, bin/ar and share/wasi-sysroot.
build_sdk() {
  local sdk=$DEBIAN_SDK sysroot include=$TOOLCHAIN_DIR/zig/ziglang/lib/libc/include
  [ -d "$sdk" ] && return
  say "assembling a folder of WASI SDK shape"
  begin "$sdk"
  sysroot=$sdk.part/share/wasi-sysroot
  mkdir -p "$sdk.part/bin" "$sysroot/include" "$sysroot/lib/$GUEST_TARGET"
  # zig searches these folders the other way round: the last one wins.
  for folder in any-wasi-any wasm32-wasi-any generic-musl wasm-wasi-musl; do
    if [ -d "$include/$folder" ]; then cp -rT "$include/$folder" "$sysroot/include"; fi
  done
  cp "$TOOLCHAIN_DIR"/libc/* "$sysroot/lib/$GUEST_TARGET"
  launcher "$sdk.part/bin/clang" '"$top"/prefix/usr/lib/llvm-*/bin/clang'
  launcher "$sdk.part/bin/ar" '"$top"/prefix/usr/lib/llvm-*/bin/llvm-ar'
  # The SDK's own rustc: not part of the shape, but the same need for a launcher.
  launcher "$sdk.part/bin/rustc" '"$top"/prefix/usr/bin/rustc'
  finish "$sdk"
}

# A program of the prefix finds its libraries only when told where they are. Paths
# are relative to the launcher, so the toolchain's folder can be moved.
launcher() {
  cat >"$1" <<LAUNCHER
#!/bin/sh
top=\$(cd "\$(dirname "\$0")/../.." && pwd)
LD_LIBRARY_PATH=\$top/prefix/usr/lib/$(uname -m)-linux-gnu exec $2 "\$@"
LAUNCHER
  chmod +x "$1"
}

prepare_debian() {
  need cc "build scripts and procedural macros are linked with it (Debian: gcc)"
  [ -x "$RUST_LLD" ] || die "rust-lld is missing in $HOST_SYSROOT: the pinned toolchain must come from rustup"
  fetch_debs
  unpack_debs
  check_programs
  fetch_zig
  build_libc
  install_libc
  build_sdk
  "$DEBIAN_SDK/bin/rustc" --version >/dev/null || die "the unpacked rustc does not run"
}

prepare_rustup() {
  [ -d "$HOST_SYSROOT/lib/rustlib/$GUEST_TARGET/lib" ] ||
    die "run 'rustup target add $GUEST_TARGET' for the toolchain that rust-toolchain.toml pins"
  if [ -n "${WASI_SDK:-}" ]; then
    [ -x "$WASI_SDK/bin/clang" ] || die "WASI_SDK is set, but $WASI_SDK/bin/clang does not exist"
  else
    need curl "rquickjs-sys fetches the WASI SDK with it; or set WASI_SDK"
    say "WASI_SDK is not set: rquickjs-sys will fetch one"
  fi
  say "bindgen needs libclang; if the build does not find it, install it or set LIBCLANG_PATH"
}

need patch "clang.sh changes QuickJS with it (Debian: patch)"
"prepare_$ROUTE"
say "toolchain ready (route $ROUTE)"
