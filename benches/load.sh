#!/usr/bin/env bash
# Measures the release binary under load: requests per second, latency and CPU time for
# the pages of tests/plain_site. Then measures how endless loops of some visitors affect
# the latency of all other requests. The server and the clients have one core each, so
# that they do not disturb each other. Ends within 90 seconds.
set -euo pipefail
export LC_ALL=C # sort and awk need a decimal point in numbers.
cd "$(dirname "$0")/.."

if [[ -z ${LOAD_IS_BOUNDED:-} ]]; then
  LOAD_IS_BOUNDED=1 exec timeout --kill-after=5 90 benches/load.sh
fi

source benches/load_lib.sh
connections=16 warm_up_s=1 measured_s=5
# More connections than sandboxes, so that some requests wait.
looping_connections=200 loop_s=14 samples=200

# measure NAME [-H HEADER] URL: prints one line of the table. curl and wrk use the same
# option for a header.
measure() {
  local name=$1 before after result requests duration_us p50_us p99_us bad
  shift
  check_is_200 "$@"
  (drive "$warm_up_s" "$connections" "$@") >/dev/null
  before=$(server_cpu_us)
  result=$(drive "$measured_s" "$connections" "$@" | sed -n 's/^result //p')
  after=$(server_cpu_us)
  read -r requests duration_us p50_us p99_us bad <<<"$result"
  ((bad == 0)) || fail "$name: $bad of $requests answers were not 200; the figures are void"
  awk -v name="$name" -v n="$requests" -v us="$duration_us" -v p50="$p50_us" -v p99="$p99_us" -v cpu="$((after - before))" \
    'BEGIN { printf "%-30s%12.0f%9.2f ms%9.2f ms%12.0f µs\n", name, n * 1e6 / us, p50 / 1e3, p99 / 1e3, cpu / n }'
}

measure_pages() {
  start_server tests/plain_site
  local cookie
  cookie=$(curl --silent --output /dev/null --dump-header - "$visitors/" | sed -n 's/^set-cookie: \([^;]*\);.*/\1/Ip')
  [[ -n $cookie ]] || fail "/ sets no session cookie"
  printf '%-30s%12s%12s%12s%15s\n' "$connections connections" requests/s p50 p99 "CPU/request"
  measure "/, a new visitor each time" "$visitors/"
  measure "/, one visitor's session" -H "Cookie: $cookie" "$visitors/"
  measure "/weight/checkin" "$visitors/weight/checkin"
  measure "/healthz, operators" "$operators/healthz"
  stop_server
}

# A site whose only page loops until it times out.
looping_site() {
  local brand=$work/site/brands/demo
  mkdir -p "$brand/pages"
  : >"$work/site/sluice.toml"
  printf 'default = true\n[limits]\nfuel = 1_000_000_000_000\nwall_ms_max = 2_000\n' >"$brand/brand.toml"
  printf '<script scope="backend">while (true) {}</script>\n<p>never</p>\n' >"$brand/pages/index.html"
  echo "$work/site"
}

# sample_health NAME: measures the latency of /healthz for several seconds, with a new
# connection for each request.
sample_health() {
  local times=$work/times
  for ((i = 0; i < samples; i++)); do
    taskset -c "$client_core" curl --silent --output /dev/null --write-out '%{http_code} %{time_total}\n' \
      --max-time 10 "$operators/healthz"
    sleep 0.02
  done >"$times"
  if grep --quiet --invert-match '^200 ' "$times"; then
    fail "/healthz did not always answer 200; the figures are void"
  fi
  cut -d ' ' -f 2 "$times" | sort -n | awk -v name="$1" '
    { ms[NR] = $1 * 1e3 }
    function rank(share) { at = NR * share; return at == int(at) ? at : int(at) + 1 }
    END { printf "%-30s%9.2f ms%9.2f ms%9.2f ms\n", name, ms[rank(0.5)], ms[rank(0.99)], ms[NR] }'
}

measure_loops() {
  start_server "$(looping_site)"
  printf '\n%-30s%12s%12s%12s\n' "/healthz, $samples samples" p50 p99 max
  sample_health "idle"
  drive "$loop_s" "$looping_connections" "$visitors/" >"$work/loops" &
  loops_pid=$!
  sleep 0.5
  local before started busy_us passed_us ended bad
  before=$(server_cpu_us) started=${EPOCHREALTIME/./}
  sample_health "$looping_connections connections looping"
  busy_us=$(($(server_cpu_us) - before)) passed_us=$((${EPOCHREALTIME/./} - started))
  kill -0 "$loops_pid" 2>/dev/null || fail "the loops ended before the samples did; the figures are void"
  # The threshold is low because other processes can use the core, too. It only excludes
  # an idle core.
  ((busy_us * 4 > passed_us)) || fail "the loops kept the server's core only $((busy_us * 100 / passed_us)) % busy"
  wait "$loops_pid"
  loops_pid=''
  read -r ended _ _ _ bad < <(sed -n 's/^result //p' "$work/loops")
  echo "$ended loops ended by their deadline, $bad not answered with 200; the core was $((busy_us * 100 / passed_us)) % busy"
  stop_server
}

measure_pages
measure_loops
