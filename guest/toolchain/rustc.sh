#!/bin/sh
# cargo's RUSTC_WRAPPER while the guest is built, called as `rustc.sh RUSTC ARG…`.
# Replaces what a build would otherwise know of the machine's folders, so that it
# gives the same bytes everywhere.
#
# This is not done with RUSTFLAGS, because cargo mixes those into the crates' names:
# the folders would leave the messages and stay in the order of the functions.
set -eu
rustc=$1
shift

# Where several prefixes fit a path, the last one counts.
for registry in "$SLUICE_CARGO_HOME"/registry/src/*; do
  set -- "$@" "--remap-path-prefix=$registry=/cargo"
done
exec "$rustc" "$@" \
  "--remap-path-prefix=$SLUICE_RUST_SYSROOT=/rust" \
  "--remap-path-prefix=$SLUICE_REPO_DIR=/sluice" \
  "--remap-path-prefix=$SLUICE_BUILD_DIR=/build" \
  "--remap-path-prefix=$SLUICE_TOOLCHAIN_DIR=/toolchain"
