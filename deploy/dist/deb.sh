#!/usr/bin/env bash
# Makes the package for Debian and Ubuntu. deploy/debian has what only the package has.
set -euo pipefail
# shellcheck source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need dpkg-deb dpkg

debian=$DEPLOY_DIR/debian
root=$WORK_DIR/deb
rm -rf "$root"

# The service of the package runs the program of the package, with a user that can own files.
write_unit() {
  local unit=$DEPLOY_DIR/systemd/sluice.service line
  for line in ExecStart=/usr/local/bin/sluice EnvironmentFile=-/etc/sluice.env DynamicUser=yes; do
    grep -q "^$line" "$unit" || die "$unit has no line '$line'"
  done
  sed -e '1,/^$/d' \
    -e 's#^ExecStart=/usr/local/bin/#ExecStart=/usr/bin/#' \
    -e 's#^EnvironmentFile=.*#EnvironmentFile=-/etc/sluice/https.env\nEnvironmentFile=-/etc/sluice/sluice.env#' \
    -e 's#^DynamicUser=yes#User=sluice\nGroup=sluice#' \
    -e '/^# With server.https/,/^# AmbientCapabilities/d' "$unit"
}

compressed() { gzip -9 --no-name --stdout "$1"; }

install -D "$PROGRAM" "$root/usr/bin/sluice"
install -D "$debian/sluice-https" "$root/usr/sbin/sluice-https"
install -d "$root/usr/lib/systemd/system"
write_unit >"$root/usr/lib/systemd/system/sluice.service"
# Keys and passwords can be in it.
install -D -m 600 "$debian/sluice.env" "$root/etc/sluice/sluice.env"

share=$root/usr/share
install -d "$share/man/man1" "$share/man/man8"
for page in "$GENERATED"/man/*; do
  compressed "$page" >"$share/man/man1/$(basename "$page").gz"
done
compressed "$debian/sluice-https.8" >"$share/man/man8/sluice-https.8.gz"
install -D -m 644 "$GENERATED/completions.bash" "$share/bash-completion/completions/sluice"
install -D -m 644 "$GENERATED/completions.zsh" "$share/zsh/vendor-completions/_sluice"
install -D -m 644 "$GENERATED/completions.fish" "$share/fish/vendor_completions.d/sluice.fish"
install -d "$share/sluice"
cp -r "$GENERATED/site" "$share/sluice/site"

doc=$share/doc/sluice
install -d "$doc"
cat "$debian/copyright" >"$doc/copyright"
compressed "$GENERATED/THIRD-PARTY-LICENSES" >"$doc/THIRD-PARTY-LICENSES.gz"
compressed "$REPO_DIR/CHANGELOG.md" >"$doc/CHANGELOG.md.gz"
{
  echo "sluice ($VERSION) unstable; urgency=medium"
  printf '\n  * See CHANGELOG.md.gz in this folder.\n\n'
  echo " -- $(sed -n 's/^Maintainer: //p' "$debian/control")  $(date --date="@$SOURCE_DATE_EPOCH" --rfc-email)"
} | gzip -9 --no-name >"$doc/changelog.gz"

settle "$root"
chmod 600 "$root/etc/sluice/sluice.env"

size=$(du --summarize --apparent-size --block-size=1024 "$root" | cut -f 1)
install -d "$root/DEBIAN"
sed -e "s/@VERSION@/$VERSION/; s/@ARCH@/$ARCH/; s/@SIZE@/$size/; s/@GLIBC@/$(cat "$PROGRAM.glibc")/" \
  "$debian/control" >"$root/DEBIAN/control"
echo /etc/sluice/sluice.env >"$root/DEBIAN/conffiles"
install "$debian"/{postinst,prerm,postrm} "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
touch --date="@$SOURCE_DATE_EPOCH" "$root"/DEBIAN/* "$root/DEBIAN"
dpkg-deb --root-owner-group -Zxz --build "$root" "$DIST_DIR/sluice_${VERSION}_$ARCH.deb" >/dev/null
