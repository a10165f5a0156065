#!/usr/bin/env bash
# Lets the program write its manual pages, its completions and a first site, and lists what it is made of.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

rm -rf "$GENERATED"
mkdir -p "$GENERATED/man"
"$PROGRAM" --quiet man "$GENERATED/man" >/dev/null
for shell in bash zsh fish; do
  "$PROGRAM" completions $shell >"$GENERATED/completions.$shell"
done
"$PROGRAM" --quiet new --template plain "$GENERATED/site"
python3 "$SCRIPTS_DIR/contents.py" "$GENERATED"
settle "$GENERATED"
