#!/usr/bin/env bash
# Measures what HTTPS costs: the server's CPU time for each request of kept-alive connections over HTTPS, compared with
# plain HTTP, in alternating rounds; HTTP/2 in the same way, compared with HTTP/1.1; and what a handshake costs. Fails if
# HTTPS takes more than 1.5 times as much as plain HTTP, or HTTP/2 answers fewer requests a second than HTTP/1.1.
set -euo pipefail
export LC_ALL=C # sort and awk need a decimal point in numbers.
cd "$(dirname "$0")/.."

source benches/load_lib.sh
command -v h2load >/dev/null || fail "h2load is missing"
rounds=${ROUNDS:-5} connections=16 warm_up_s=1 measured_s=4 ratio_max=1.5 h2_ratio_min=1 handshakes=400

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

# measure_h2load URL OPTIONS: the same with h2load, which speaks HTTP/2 and HTTP/1.1.
measure_h2load() {
  local before
  run_h2load() {
    taskset -c "$client_core" h2load --threads 1 --clients "$connections" "${@:2}" "$1" >"$work/h2load"
  }
  run_h2load "$1" --requests "$h2load_warm_up" "${@:2}"
  before=$(server_cpu_us)
  run_h2load "$1" --requests "$h2load_requests" "${@:2}"
  cpu_us=$(awk -v cpu="$(($(server_cpu_us) - before))" -v n="$h2load_requests" 'BEGIN { printf "%.2f", cpu / n }')
  rate=$(sed -n 's|^finished in .*, \([0-9]*\)[0-9.]* req/s.*|\1|p' "$work/h2load")
  grep -q "^status codes: $h2load_requests 2xx" "$work/h2load" ||
    fail "$1: not all $h2load_requests answers were 200; the figures are void"
}

# HTTP/2 with one and with eight requests at a time on each connection. The latter is how browsers use it, so it decides.
for path in /hello.txt /weight/checkin; do
  case $path in
    /hello.txt) h2load_warm_up=5000 h2load_requests=40000 ;;
    *) h2load_warm_up=2000 h2load_requests=8000 ;;
  esac
  start_with https
  for kind in http1 1 8; do : >"$work/$kind"; done
  for ((round = 0; round < rounds; round++)); do
    for kind in http1 1 8; do
      options=(--max-concurrent-streams "$kind")
      if [[ $kind == http1 ]]; then options=(--h1); fi
      measure_h2load "$visitors$path" "${options[@]}"
      echo "$cpu_us $rate" >>"$work/$kind"
    done
  done
  stop_server
  old=$(cut -d ' ' -f 1 "$work/http1" | median) old_rate=$(cut -d ' ' -f 2 "$work/http1" | median)
  for kind in 1 8; do
    new=$(cut -d ' ' -f 1 "$work/$kind" | median) new_rate=$(cut -d ' ' -f 2 "$work/$kind" | median)
    ratio=$(paste -d ' ' "$work/http1" "$work/$kind" | awk '{ print $4 / $2 }' | median)
    printf '%-18s HTTP/1.1 %s µs (%s/s), HTTP/2, %s at a time %s µs (%s/s), ratio of rates %.2f\n' "$path" \
      "$old" "$old_rate" "$kind" "$new" "$new_rate" "$ratio"
  done
  awk -v ratio="$ratio" -v least="$h2_ratio_min" 'BEGIN { exit !(ratio >= least) }' ||
    fail "HTTP/2 answers fewer requests for $path than HTTP/1.1"
done

start_with https
before=$(server_cpu_us)
for ((n = 0; n < handshakes; n++)); do
  taskset -c "$client_core" curl --silent --insecure --output /dev/null --max-time 10 "$visitors/hello.txt"
done
awk -v cpu="$(($(server_cpu_us) - before))" -v n="$handshakes" \
  'BEGIN { printf "%-18s %.0f µs\n", "new connection", cpu / n }'
stop_server
