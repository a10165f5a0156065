#!/usr/bin/env bash
# Makes the release tarball. Its folders bin and share can be copied to /usr/local.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

top=$WORK_DIR/tarball/$NAME
share=$top/share
rm -rf "$WORK_DIR/tarball"
mkdir -p "$top"
install -D "$PROGRAM" "$top/bin/sluice"
install -D -m 644 -t "$share/man/man1" "$GENERATED"/man/*
install -D -m 644 "$GENERATED/completions.bash" "$share/bash-completion/completions/sluice"
install -D -m 644 "$GENERATED/completions.zsh" "$share/zsh/site-functions/_sluice"
install -D -m 644 "$GENERATED/completions.fish" "$share/fish/vendor_completions.d/sluice.fish"
cp "$REPO_DIR"/{LICENSE,README.md,CHANGELOG.md,SECURITY.md} "$GENERATED/THIRD-PARTY-LICENSES" "$top"
# As in the repository, so that links between the documents work. What is not committed stays out.
(cd "$REPO_DIR" && git ls-files -z docs scripts deploy/systemd deploy/prometheus deploy/grafana) |
  tar --create --directory="$REPO_DIR" --null --files-from=- | tar --extract --directory="$top"
settle "$top"
pack "$WORK_DIR/tarball" "$NAME" | gzip -9 --no-name >"$DIST_DIR/$NAME.tar.gz"
