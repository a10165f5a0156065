#!/usr/bin/env bash
# Runs a command with a folder as its root, in name spaces of its own:
#   enter.sh ROOT [--user ID] [--read-only FOLDER...] -- COMMAND
# With --read-only, only the folders and /tmp can be written. When this process ends, so does the command.
set -euo pipefail

root=$1
shift
if [ "${ENTERED:-}" != yes ]; then
  ENTERED=yes exec unshare --mount --pid --fork --kill-child "$0" "$root" "$@"
fi
unset ENTERED
folders=() options=()
is_read_only=no
while [ "$1" != -- ]; do
  case $1 in
  --user)
    options=(--userspec="$2:$2" --groups=)
    shift
    ;;
  --read-only) is_read_only=yes ;;
  *) folders+=("$1") ;;
  esac
  shift
done
shift

# An image has no files for these.
mkdir -p "$root/proc" "$root/dev"
for device in null zero full random urandom; do
  [ -e "$root/dev/$device" ] || touch "$root/dev/$device"
done
mount --bind "$root" "$root"
if [ $is_read_only = yes ]; then
  for folder in "${folders[@]}"; do
    mount --bind "$root$folder" "$root$folder"
  done
  mount -o remount,bind,ro "$root"
  for folder in /tmp /var/tmp; do
    [ ! -d "$root$folder" ] || mount -t tmpfs -o mode=1777 tmpfs "$root$folder"
  done
fi
mount -t proc proc "$root/proc"
for device in null zero full random urandom; do
  mount --bind "/dev/$device" "$root/dev/$device"
done
exec chroot "${options[@]}" "$root" "$@"
