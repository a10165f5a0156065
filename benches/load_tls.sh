#!/usr/bin/env bash
# Measures what HTTPS costs: the server's CPU time for each request of kept-alive connections over HTTPS, compared with
# plain HTTP, in alternating rounds; and what a handshake costs. Fails if HTTPS takes more than 1.5 times as much.
set -euo pipefail
export LC_ALL=C # sort and awk need a decimal point in numbers.
cd "$(dirname "$0")/.."

source benches/load_lib.sh
rounds=${ROUNDS:-5} connections=16 warm_up_s=1 measured_s=4 ratio_max=1.5 handshakes=400

site=$work/site
cp -r tests/plain_site "$site"
mkdir -p "$site/brands/demo/public"
echo hello >"$site/brands/demo/public/hello.txt"

# Starts the server, with HTTPS if the argument is `https`.
start_with() {
  server_data=$(mktemp -d -p "$work")
  mkdir "$server_data/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$server_data/tls/a.key" -out "$server_data/tls/a.crt" 2>/dev/null
  if [[ $1 == https ]]; then export SLUICE_SERVER__HTTPS=true; else unset SLUICE_SERVER__HTTPS; fi
  start_server "$site"
}

# measure URL: sets `cpu_us` for a request, and `rate`.
measure() {
  local before result requests duration_us bad status
  status=$(curl --silent --insecure --output /dev/null --write-out '%{http_code}' --max-time 10 "$1") || true
  [[ $status == 200 ]] || fail "$1 answers $status, not 200"
  (drive "$warm_up_s" "$connections" "$1") >/dev/null
  before=$(server_cpu_us)
  result=$(drive "$measured_s" "$connections" "$1" | sed -n 's/^result //p')
  cpu_us=$(($(server_cpu_us) - before))
  read -r requests duration_us _ _ bad <<<"$result"
  ((bad == 0)) || fail "$1: $bad of $requests answers were not 200; the figures are void"
  cpu_us=$(awk -v cpu="$cpu_us" -v n="$requests" 'BEGIN { printf "%.2f", cpu / n }')
  rate=$(awk -v n="$requests" -v us="$duration_us" 'BEGIN { printf "%.0f", n * 1e6 / us }')
}

for path in /hello.txt /weight/checkin; do
  for scheme in http https; do : >"$work/$scheme"; done
  for ((round = 0; round < rounds; round++)); do
    for scheme in http https; do
      start_with "$scheme"
      measure "$visitors$path"
      echo "$cpu_us $rate" >>"$work/$scheme"
      stop_server
    done
  done
  plain=$(cut -d ' ' -f 1 "$work/http" | median) secure=$(cut -d ' ' -f 1 "$work/https" | median)
  ratio=$(paste -d ' ' "$work/http" "$work/https" | awk '{ print $3 / $1 }' | median)
  printf '%-18s http %s µs (%s/s), https %s µs (%s/s), ratio %.2f\n' "$path" "$plain" \
    "$(cut -d ' ' -f 2 "$work/http" | median)" "$secure" "$(cut -d ' ' -f 2 "$work/https" | median)" "$ratio"
  awk -v ratio="$ratio" -v most="$ratio_max" 'BEGIN { exit !(ratio <= most) }' ||
    fail "HTTPS takes more than $ratio_max times as much for $path"
done

start_with https
before=$(server_cpu_us)
for ((n = 0; n < handshakes; n++)); do
  taskset -c "$client_core" curl --silent --insecure --output /dev/null --max-time 10 "$visitors/hello.txt"
done
awk -v cpu="$(($(server_cpu_us) - before))" -v n="$handshakes" \
  'BEGIN { printf "%-18s %.0f µs\n", "new connection", cpu / n }'
stop_server
