#!/usr/bin/env bash
# Makes what a release consists of, in target/dist.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Only a finished release is in target/dist.
rm -rf "$DIST_DIR"
mkdir -p "$DIST_DIR"
for step in program generate tarball deb image; do
  "$SCRIPTS_DIR/$step.sh"
done
cp "$GENERATED/sbom.cdx.json" "$DIST_DIR/sluice-$VERSION.cdx.json"
(cd "$DIST_DIR" && sha256sum -- * >"$WORK_DIR/SHA256SUMS" && mv "$WORK_DIR/SHA256SUMS" .)

# A row of the table of sizes: row NAME FILE
row() {
  printf '| %s | %s |\n' "$1" "$(stat --format=%s "$2" | numfmt --to=si --suffix=B --round=nearest --format=%.1f)"
}

say "made at commit $(git -C "$REPO_DIR" rev-parse --short HEAD 2>/dev/null || echo unknown), in target/dist:"
printf '\n| file | size |\n| --- | --- |\n'
for file in "$DIST_DIR"/*; do
  row "${file##*/}" "$file"
done
row "the program alone" "$PROGRAM"
