#!/usr/bin/env bash
# Makes a bare system of a Debian release for the tests of the packages, and prints the name of its tar file:
# root.sh [SUITE]. What the package needs is downloaded, but not installed, so that the tests need no network.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need flock util-linux

suite=${1:-$DIST_SUITE}
made=$WORK_DIR/root-$suite.tar
mkdir -p "$WORK_DIR"
# Tests run at the same time.
exec 9>"$WORK_DIR/root-$suite.lock"
flock 9
# shellcheck disable=SC2016  # mmdebstrap's shell replaces $1
bootstrap "$suite" "$made" tar --variant=minbase --skip=cleanup/apt \
  --customize-hook='chroot "$1" sh -c "apt-get clean && apt-get install --download-only --yes --quiet adduser ca-certificates >/dev/null"' >&2
echo "$made"
