#!/usr/bin/env bash
# Checks two promises to operators. Each result is a ratio of medians of five alternating
# runs: a stalled OTLP receiver compared with a working one (p99 of all requests), and a
# load of ten times the capacity compared with half of it (p99 of admitted requests).
# Ends within 150 seconds.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

if [[ -z ${LOAD_IS_BOUNDED:-} ]]; then
  LOAD_IS_BOUNDED=1 exec timeout --kill-after=5 150 benches/load_ops.sh
fi

source benches/load_lib.sh
command -v python3 >/dev/null || fail "python3 is missing (it receives the telemetry)"
rounds=5 round_s=3

# start_receiver answering|stalled: starts a receiver and sets receiver_pid and receiver.
start_receiver() {
  local port=$work/port
  rm -f "$port"
  taskset -c "$client_core" python3 - "$1" "$port" <<'PYTHON' &
import http.server, socket, sys, time
how, port_file = sys.argv[1:]
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
if how == "answering":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    port = server.server_address[1]
else:
    # The kernel accepts the connections, but nothing reads from them.
    server = socket.create_server(("127.0.0.1", 0)); port = server.getsockname()[1]
open(port_file + ".new", "w").write(str(port)); import os; os.rename(port_file + ".new", port_file)
server.serve_forever() if how == "answering" else time.sleep(1e6)
PYTHON
  receiver_pid=$!
  until [[ -s $port ]]; do sleep 0.05; done
  receiver=http://127.0.0.1:$(<"$port")
}

stop_receiver() {
  end "$receiver_pid"
  receiver_pid=''
}

# Appends the p99 of the check-in page of tests/plain_site, in microseconds, to a file.
p99_with_receiver() {
  start_receiver "$1"
  OTEL_EXPORTER_OTLP_ENDPOINT=$receiver start_server tests/plain_site
  (drive 1 16 "$visitors/weight/checkin") >/dev/null
  (drive "$round_s" 16 "$visitors/weight/checkin") | awk '/^result / { print $5 }' >>"$work/p99.$1"
  stop_server
  stop_receiver
}

compare_receivers() {
  for ((round = 0; round < rounds; round++)); do
    p99_with_receiver answering
    p99_with_receiver stalled
  done
  awk -v stalled="$(median <"$work/p99.stalled")" -v normal="$(median <"$work/p99.answering")" 'BEGIN {
    printf "p99, OTLP receiver stalled / answering: %.2f ms / %.2f ms = %.2f x (goal 1.25)\n", stalled / 1e3, normal / 1e3, stalled / normal }'
}

# A site whose page uses about a millisecond of CPU time on the server's core.
burning_site() {
  local brand=$work/burning/brands/demo
  mkdir -p "$brand/pages"
  printf 'default = true\n' >"$brand/brand.toml"
  printf '<script scope="backend">let s = 0; for (let i = 0; i < 20000; i++) s += i; response.json(s)</script>\n' \
    >"$brand/pages/index.html"
  echo "$work/burning"
}

# sample_admitted FILE: appends the p99 of the responses with status 200, in microseconds.
sample_admitted() {
  for ((i = 0; i < 250; i++)); do
    taskset -c "$client_core" curl --silent --output /dev/null --write-out '%{http_code} %{time_total}\n' \
      --max-time 10 "$visitors/" || true
  done | awk '$1 == 200 { print int($2 * 1e6) }' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR * 99 + 99) / 100)] }' >>"$1"
}

# loaded NAME CONNECTIONS: takes one round of samples while wrk generates load.
loaded() {
  (drive 30 "$2" "$visitors/") >"$work/loaded" &
  loops_pid=$!
  sleep 0.3
  sample_admitted "$work/p99.$1"
  end "$loops_pid"
  loops_pid=''
}

# counted METRIC: prints the sum over all labels of the metric.
counted() {
  curl --silent "$operators/metrics" | awk -v name="$1" 'index($1, name) == 1 { n += $NF } END { print n + 0 }'
}

compare_overload() {
  # One core runs one such script at a time. Each place in the queue delays an admitted
  # request by one more run.
  export SLUICE_LIMITS__MAX__CONCURRENT_RUNS=1 SLUICE_SERVER__QUEUE_REQUESTS_MAX=1
  start_server "$(burning_site)"
  for ((round = 0; round < rounds; round++)); do
    sample_admitted "$work/p99.unloaded"
    loaded overload 100
  done
  local refused answered
  refused=$(counted sluice_requests_rejected_total)
  answered=$(counted sluice_run_duration_seconds_count)
  ((refused > 0)) || fail "no request was rejected: there was no overload"
  awk -v over="$(median <"$work/p99.overload")" -v un="$(median <"$work/p99.unloaded")" -v refused="$refused" -v answered="$answered" 'BEGIN {
    printf "p99, admitted under overload / unloaded: %.2f ms / %.2f ms = %.2f x (goal 3); %d admitted, %d rejected\n", over / 1e3, un / 1e3, over / un, answered, refused }'
  stop_server
}

compare_receivers
compare_overload
