# Shared code of the load scripts: picks two cores, runs the server on one and the clients
# on the other, and ends both. Source it from the root of the repository.

sluice=${SLUICE_BINARY:-${CARGO_TARGET_DIR:-target}/release/sluice}
fail() {
  echo "load: $*" >&2
  exit 1
}

for tool in wrk curl taskset; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done
[[ -x $sluice ]] || fail "$sluice is missing: cargo build --release"

# The first two cores that this process is allowed to use.
cores=()
for ((core = 0; core < 1024 && ${#cores[@]} < 2; core++)); do
  if taskset -c "$core" true 2>/dev/null; then cores+=("$core"); fi
done
((${#cores[@]} == 2)) || fail "two cores are needed, one for the server and one for the clients"
server_core=${cores[0]} client_core=${cores[1]}

work=$(mktemp -d)
server_pid='' loops_pid='' receiver_pid=''
# end PID: kills a child of this script.
end() {
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
clean_up() {
  for pid in $server_pid $loops_pid $receiver_pid; do
    end "$pid"
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# start_server SITE: starts a server and sets server_pid, visitors and operators. It runs on
# one core, unless server_cores names others, with a new data folder, unless server_data names one.
start_server() {
  local out=$work/out
  : >"$out"
  taskset -c "${server_cores:-$server_core}" "$sluice" serve "$1" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
    --data "${server_data:-$(mktemp -d -p "$work")}" >"$out" 2>"$work/log" &
  server_pid=$!
  until operators=$(sed -n 's/^sluice: operators on //p' "$out") && [[ -n $operators ]]; do
    kill -0 "$server_pid" 2>/dev/null || fail "the server did not start: $(<"$work/log")"
    sleep 0.1
  done
  visitors=$(sed -n 's/^sluice: serving on //p' "$out")
}

stop_server() {
  end "$server_pid"
  server_pid=''
}

# Prints the CPU time that the server has used so far, in microseconds.
server_cpu_us() {
  # The second field can contain spaces, so count fields from its closing parenthesis.
  sed 's/.*) //' "/proc/$server_pid/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%d", ($12 + $13) * 1e6 / hz }'
}

# Prints the median of the numbers in its input, one a line.
median() {
  sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# check_is_200 [CURL OPTIONS] URL: fails unless the response has status 200.
check_is_200() {
  local status
  status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 "$@") || true
  [[ $status == 200 ]] || fail "${*: -1} answers $status, not 200"
}

# drive SECONDS CONNECTIONS [WRK OPTIONS] URL: runs wrk. The output contains the line that
# load.lua prints. Call it in a subshell: the subshell becomes wrk, so killing the subshell
# ends wrk.
drive() {
  exec taskset -c "$client_core" wrk --threads 1 --duration "$1s" --connections "$2" --timeout 30s --script benches/load.lua "${@:3}"
}
