#!/usr/bin/env bash
# Makes the image, as an archive in the OCI layout: the program, the few libraries that it needs, and the
# certificates of public authorities. No daemon takes part, and nothing in the image runs.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need buildah buildah
need readelf binutils

debian=$WORK_DIR/$DIST_IMAGE_SUITE-$ARCH
context=$WORK_DIR/image
root=$context/root
layout=$WORK_DIR/layout

# The names of the libraries that the program loads, and of what loads them.
libraries() {
  readelf --dynamic "$PROGRAM" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
  readelf --program-headers "$PROGRAM" | sed -n 's#.*interpreter: .*/\(.*\)\]#\1#p'
}

add_libraries() {
  local name found loader=
  for name in $(libraries | sort -u); do
    found=$(find "$debian" -path "*/lib/$TRIPLE/$name" -print -quit)
    [ -n "$found" ] || die "Debian $DIST_IMAGE_SUITE has no $name"
    install -D "$(realpath "$found")" "$root/usr/lib/$TRIPLE/$name"
    [[ $name != ld-linux* ]] || loader=$name
  done
  # Where programs look for the loader.
  ln -s usr/lib "$root/lib"
  ln -s usr/lib "$root/lib64"
  ln -s "$TRIPLE/$loader" "$root/usr/lib/$loader"
}

add_certificates() {
  local folder=$root/etc/ssl/certs
  install -d "$folder"
  find "$debian/usr/share/ca-certificates/mozilla" -name '*.crt' -print0 | sort -z |
    xargs -0 cat >"$folder/ca-certificates.crt"
}

add_accounts() {
  echo 'sluice:x:10001:10001:Sluice:/data:/usr/sbin/nologin' >"$root/etc/passwd"
  echo 'sluice:x:10001:' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

add_licenses() {
  local package
  install -D -m 644 -t "$root/usr/share/doc/sluice" "$REPO_DIR/LICENSE" "$GENERATED/THIRD-PARTY-LICENSES"
  for package in libc6 libgcc-s1 ca-certificates; do
    install -D -m 644 "$(realpath "$debian/usr/share/doc/$package/copyright")" "$root/usr/share/doc/$package/copyright"
  done
}

# buildah keeps its files in folders of ours.
run_buildah() {
  buildah --root "$WORK_DIR/buildah/storage" --runroot "$WORK_DIR/buildah/run" --storage-driver vfs "$@"
}

unpack "$DIST_IMAGE_SUITE" "$debian" libc6,libgcc-s1,ca-certificates
rm -rf "$context" "$layout" "$WORK_DIR/buildah"
mkdir -p "$context/owned/data"
install -D "$PROGRAM" "$root/usr/bin/sluice"
add_libraries
add_certificates
add_accounts
add_licenses
settle "$context"
chmod 700 "$context/owned/data"

run_buildah build --quiet --isolation chroot --os linux --arch "$ARCH" --timestamp "$SOURCE_DATE_EPOCH" \
  --file "$DEPLOY_DIR/container/Containerfile.release" --tag "sluice:$VERSION" "$context" >/dev/null
run_buildah push --quiet "sluice:$VERSION" "oci:$layout:sluice:$VERSION" >/dev/null
settle "$layout"
pack "$layout" . >"$DIST_DIR/sluice-$VERSION-oci-$ARCH.tar"
rm -rf "$WORK_DIR/buildah"
