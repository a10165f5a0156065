# shellcheck shell=bash
# Folders and small helpers that the scripts here share. Sourced, not run.
#
# What can be set from outside:
#   SLUICE_GUEST_TOOLCHAIN  where the toolchain is kept     (target/guest-toolchain)
#   SLUICE_GUEST_BUILD      where things are built          (target/guest)
#   SLUICE_GUEST_LINK_BUILD where the link tool is built    (target/guest/link)
#   SLUICE_GUEST_ROUTE      `rustup` or `debian`, instead of what is found
#   WASI_SDK                a WASI SDK, for the rustup route

GUEST_TARGET=wasm32-wasip1

SCRIPTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO_DIR=$(cd "$SCRIPTS_DIR/../.." && pwd -P)
GUEST_DIR=$REPO_DIR/guest

say() { printf '%s\n' "guest: $*" >&2; }
die() {
  printf '%s\n' "guest: error: $*" >&2
  exit 1
}
need() { command -v "$1" >/dev/null || die "'$1' is needed: $2"; }

# A folder's absolute path without symbolic links; made when it is missing.
folder() { mkdir -p "$1" && (cd "$1" && pwd -P); }

TOOLCHAIN_DIR=$(folder "${SLUICE_GUEST_TOOLCHAIN:-$REPO_DIR/target/guest-toolchain}")
BUILD_DIR=$(folder "${SLUICE_GUEST_BUILD:-$REPO_DIR/target/guest}")
# Apart, because verify.sh lends the compiled link tool's dependencies to its copy.
LINK_BUILD_DIR=$(folder "${SLUICE_GUEST_LINK_BUILD:-$BUILD_DIR/link}")

need rustc "install Rust with rustup"
# The compiler that rust-toolchain.toml pins. It builds the link tool, and lends
# its cargo and its linker to the guest.
HOST_SYSROOT=$(cd "$REPO_DIR" && rustc --print sysroot)
HOST_TRIPLE=$("$HOST_SYSROOT/bin/rustc" -vV | sed -n 's/^host: //p')
HOST_CARGO=$HOST_SYSROOT/bin/cargo
[ -x "$HOST_CARGO" ] || HOST_CARGO=$(command -v cargo) || die "cargo is needed"
RUST_LLD=$HOST_SYSROOT/lib/rustlib/$HOST_TRIPLE/bin/rust-lld

# Route `rustup`: the target's standard library is installed beside the pinned
# compiler. Route `debian`: everything comes out of Debian packages and zig.
guest_route() {
  if [ -n "${SLUICE_GUEST_ROUTE:-}" ]; then
    echo "$SLUICE_GUEST_ROUTE"
  elif [ -d "$HOST_SYSROOT/lib/rustlib/$GUEST_TARGET/lib" ]; then
    echo rustup
  else
    echo debian
  fi
}
ROUTE=$(guest_route)
case $ROUTE in
rustup | debian) ;;
*) die "SLUICE_GUEST_ROUTE is '$ROUTE', but must be 'rustup' or 'debian'" ;;
esac

# Parts of the Debian route, made by prepare.sh.
ZIG_VERSION=0.17.0 # 0.15 lacks pthread symbols that Rust's std wants
PREFIX=$TOOLCHAIN_DIR/prefix/usr
DEBIAN_LIBS=$PREFIX/lib/$(uname -m)-linux-gnu
DEBIAN_SDK=$TOOLCHAIN_DIR/wasi-sdk
