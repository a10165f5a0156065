#!/usr/bin/env bash
# Builds the engine again in another folder and compares it with guest/engine.wasm.
# Run prepare.sh first.
#
# Bytes can only be the same where the tools are. With other tools this says so, and
# proves no more than that the sources build.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

"$SCRIPTS_DIR/check.sh"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# Only what engine.lock lists is copied: a source that is missing in that list breaks
# the build here.
copied() {
  "$SCRIPTS_DIR/check.sh" --sources | cut -d ' ' -f 3-
  printf '%s\n' rust-toolchain.toml guest/toolchain/check.sh
}
(cd "$REPO_DIR" && copied | tr '\n' '\0' | xargs -0 cp --parents -t "$copy")

say "building a copy in $copy"
SLUICE_GUEST_TOOLCHAIN=$TOOLCHAIN_DIR SLUICE_GUEST_BUILD=$copy/target \
  SLUICE_GUEST_LINK_BUILD=$LINK_BUILD_DIR "$copy/guest/toolchain/build.sh"

tools() { sed -n '/^\[tools\]/,$p' "$1/engine.lock"; }
if ! diff -u --label "guest/engine.lock" --label "this machine" \
  <(tools "$GUEST_DIR") <(tools "$copy/guest"); then
  say "the tools differ from those in guest/engine.lock, so the bytes were not compared"
  say "the sources build with the tools of this machine"
elif cmp "$GUEST_DIR/engine.wasm" "$copy/guest/engine.wasm"; then
  say "identical: guest/engine.wasm is what its sources give"
else
  die "the same sources and tools gave another engine.wasm"
fi
