# Values and functions that the scripts of this folder share. They source this file.
# shellcheck shell=bash disable=SC2034

say() { printf 'dist: %s\n' "$*"; }
die() {
  printf 'dist: %s\n' "$*" >&2
  exit 1
}
need() { command -v "$1" >/dev/null || die "$1 is missing: run '.ci/setup dist' (Debian: $2)"; }

SCRIPTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(cd "$SCRIPTS_DIR/../.." && pwd)
DEPLOY_DIR=$REPO_DIR/deploy
# What users get, and what is made on the way. Systems of Debian's packages are kept for the next time.
DIST_DIR=$REPO_DIR/target/dist
WORK_DIR=$REPO_DIR/target/dist-work

# The only processor so far, as Debian names it, as libraries are named for it, and as Linux names it.
ARCH=amd64
TRIPLE=x86_64-linux-gnu
MACHINE=x86_64

# The program is linked with the C library of this release of Debian, so it runs on every later one.
DIST_SUITE=${DIST_SUITE:-bullseye}
# The libraries and certificates in the image are those of this release.
DIST_IMAGE_SUITE=${DIST_IMAGE_SUITE:-trixie}

VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$REPO_DIR/Cargo.toml")
# Every time in the packages is that of the commit, so that the same commit gives the same bytes.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  SOURCE_DATE_EPOCH=$(git -C "$REPO_DIR" log -1 --format=%ct 2>/dev/null) ||
    die "this folder is no git repository: set SOURCE_DATE_EPOCH to the time of the sources, in Unix seconds"
fi
export SOURCE_DATE_EPOCH
export LC_ALL=C TZ=UTC
umask 022

NAME=sluice-$VERSION-$MACHINE-linux
SYSROOT=$WORK_DIR/$DIST_SUITE-$ARCH
# The program, and what it writes about itself: manual pages, completions and a first site.
PROGRAM=$WORK_DIR/program/sluice
GENERATED=$WORK_DIR/generated

# The Debian mirror that this machine uses. mmdebstrap knows another one if it uses none.
mirror() {
  # shellcheck disable=SC2016  # apt replaces these names
  apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's#^Debian/Debian ##p' | head -n 1
}

# Makes a system of a release of Debian, unless it is there: bootstrap SUITE MADE FORMAT [OPTION...]
bootstrap() {
  local suite=$1 made=$2 mirrors
  [ ! -e "$made" ] || return 0
  need mmdebstrap mmdebstrap
  mkdir -p "$(dirname "$made")"
  rm -rf "$made.part"
  read -ra mirrors <<<"$(mirror)"
  say "fetching packages of Debian $suite"
  mmdebstrap --quiet --format="$3" "${@:4}" "$suite" "$made.part" "${mirrors[@]}" ||
    die "the packages of Debian $suite cannot be fetched"
  mv "$made.part" "$made"
}

# Unpacks packages into a folder, without installing them: unpack SUITE FOLDER PACKAGES
unpack() {
  bootstrap "$1" "$2" directory --variant=extract --architectures="$ARCH" --include="$3"
  # An absolute link leads out of the folder, to the files of this machine.
  local link
  find "$2" -type l -lname '/*' | while read -r link; do
    ln --symbolic --force --no-dereference --relative "$2$(readlink "$link")" "$link"
  done
}

# Gives every file of a folder the same owner-independent permissions and the time of the commit.
settle() {
  chmod -R u=rwX,go=rX "$1"
  find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# Packs the entries of a folder, so that the same files give the same bytes: pack FOLDER ENTRY...
pack() {
  tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime="@$SOURCE_DATE_EPOCH" --directory="$1" "${@:2}"
}
