#!/usr/bin/env bash
# Measures how long a server takes until it serves a page, at the first start and after
# restarts, by number of pages.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$PWD/target/release/sluice
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

site() { # pages
  local pages=$folder/$1/brands/demo/pages
  mkdir -p "$pages"
  echo 'default = true' >"$folder/$1/brands/demo/brand.toml"
  local n
  for ((n = 0; n < $1; n++)); do
    printf '<script scope="backend">\nsetVariable("n", %d + 1);\n</script>\n<h1>{{ var.n }}</h1>\n' "$n" >"$pages/p$n.html"
  done
}

start() { # pages: prints the milliseconds to the first response, and the process's mappings and memory
  local began ended line pid
  began=$(date +%s%N)
  exec 3< <(SLUICE_LOG=error exec "$binary" serve "$folder/$1" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
    --data "$folder/data-$1" 2>/dev/null & echo "$!"; wait)
  read -r pid <&3
  read -r line <&3
  curl --silent --fail --output /dev/null "${line##* }/p7"
  ended=$(date +%s%N)
  local maps resident
  maps=$(wc -l <"/proc/$pid/maps")
  resident=$(awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status")
  printf '%8s %12s ms %10s mappings %8s MB\n' "$1" $(((ended - began) / 1000000)) "$maps" "$resident"
  kill "$pid"
  cat <&3 >/dev/null
  exec 3<&-
}

for pages in "${@:-10}"; do
  site "$pages"
  echo "first start, then twice again, with this many pages:"
  start "$pages"
  start "$pages"
  start "$pages"
done
