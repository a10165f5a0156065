#!/bin/sh
# Is guest/engine.wasm the one that guest/engine.lock describes, and are the sources
# still those that it was made of? Needs no toolchain and takes no time.
#
# `check.sh --sources` prints the sources instead, as "HASH  FILE" sorted by file.
set -eu
cd "$(dirname "$0")/../.."

# Everything that decides what the engine is. The scripts that only look at the
# result, this one and verify.sh, are no part of it.
sources() {
  for path in guest/.cargo guest/Cargo.lock guest/Cargo.toml guest/build.rs \
    guest/link/Cargo.lock guest/link/Cargo.toml guest/link/src guest/src \
    guest/toolchain/build.sh guest/toolchain/clang.sh guest/toolchain/env.sh \
    guest/toolchain/prepare.sh guest/toolchain/*.h guest/toolchain/patches \
    guest/toolchain/rustc.sh wit; do
    if [ -e "$path" ]; then find "$path" -type f ! -name '.*' ! -name '*~'; fi
  done | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum --
}

if [ "${1:-}" = --sources ]; then
  sources
  exit
fi

fail() {
  printf '%s\n' "$@" 'Run `make guest` and commit guest/engine.wasm with guest/engine.lock.' >&2
  exit 1
}

# The value of `sha256` in section $1.
recorded() { sed -n "/^\[$1\]/,/^\[/ s/^sha256 = \"\(.*\)\"\$/\1/p" guest/engine.lock; }

[ -f guest/engine.wasm ] && [ -f guest/engine.lock ] || fail 'The engine has not been built.'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources >"$work/now"
if [ "$(sha256sum <"$work/now" | cut -d ' ' -f 1)" != "$(recorded sources)" ]; then
  sed -n '/^\[sources.sha256_of\]/,/^$/ s/^"\(.*\)" = "\(.*\)"$/\2  \1/p' guest/engine.lock >"$work/then"
  # Lines in only one of the two lists; the names of those, once.
  changed=$(LC_ALL=C sort "$work/now" "$work/then" | uniq -u | cut -d ' ' -f 3- | LC_ALL=C sort -u | sed 's/^/  /')
  fail 'These sources are not the ones that guest/engine.wasm was made of:' "$changed"
fi
[ "$(sha256sum <guest/engine.wasm | cut -d ' ' -f 1)" = "$(recorded engine)" ] ||
  fail 'guest/engine.wasm is not the file that guest/engine.lock describes.'
