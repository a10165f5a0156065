#!/bin/sh
# cc's compiler while the guest is built. rquickjs-sys names the SDK's clang in `CC` and
# compiles copies of QuickJS's sources: the patches go into the fresh copies.
set -eu

# Applies what the patches do to file $2 of folder $1.
change() {
  for patch in "$patches"/[0-9]-*.patch "$patches"/[0-9][0-9]-*.patch; do
    # A copy that cargo's build script did not make anew is changed already, and fails here.
    awk -v file="$2" '/^--- /{ here = $2 == file } here' "$patch" |
      patch --quiet --forward --fuzz=0 "$1/$2" >&2
  done
}

patches=${0%/*}/patches
for argument; do
  case $argument in
  */quickjs.c)
    change "${argument%/*}" quickjs-opcode.h
    change "${argument%/*}" quickjs.c
    ;;
  */libregexp.c) change "${argument%/*}" libregexp.c ;;
  esac
done
exec "$CC" "$@"
