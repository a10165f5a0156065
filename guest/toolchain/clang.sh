#!/bin/sh
# cc's compiler while the guest is built. rquickjs-sys names the SDK's clang in `CC` and
# compiles copies of QuickJS's sources: quickjs.patch goes into the fresh copy.
set -eu
for argument; do
  case $argument in
  */quickjs.c)
    # A copy that cargo's build script did not make anew is changed already, and fails here.
    patch --quiet --forward --fuzz=0 "$argument" "${0%/*}/quickjs.patch" >&2
    ;;
  esac
done
exec "$CC" "$@"
