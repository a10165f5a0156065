#!/usr/bin/env bash
# Measures what a bad PostgreSQL costs. First: how long a page without a database call takes
# while 300 visitors request a page with six caught CRM reads, with the database answering
# and with the database stopped. Second: how many CRM reads fail when three hosts, each of
# which wants 16 connections, share a database that accepts 10. Ends within 240 seconds.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

if [[ -z ${LOAD_IS_BOUNDED:-} ]]; then
  LOAD_IS_BOUNDED=1 exec timeout --kill-after=5 240 benches/load_database.sh
fi

source benches/load_lib.sh
rounds=3 round_s=4 reader_count=300 limit=10 limit_s=10
server_cores=$server_core,$client_core

postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
[[ -x $postgres_bin/postgres ]] || postgres_bin=$(dirname "$(command -v postgres || echo /nowhere/)")
[[ -x $postgres_bin/postgres ]] || fail "PostgreSQL is missing: make setup"
# PostgreSQL refuses to run as root.
as_postgres=()
if [[ $(id -u) == 0 ]]; then
  # Unlike runuser, it leaves no process behind that stops with the database.
  as_postgres=(setpriv --reuid postgres --regid postgres --init-groups --reset-env)
  chmod 755 "$work"
fi

# start_database SETTING...: starts an empty PostgreSQL on a Unix socket, tells the hosts about it and sets
# database_pid.
start_database() {
  local folder=$work/postgres setting options=()
  mkdir "$folder"
  [[ $(id -u) != 0 ]] || chown postgres "$folder"
  "${as_postgres[@]}" "$postgres_bin/initdb" --auth trust --username sluice --no-sync "$folder/data" >/dev/null
  for setting in "$@"; do options+=(-c "$setting"); done
  "${as_postgres[@]}" "$postgres_bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= "${options[@]}" \
    2>"$work/postgres.log" &
  until "${as_postgres[@]}" "$postgres_bin/pg_isready" --quiet --host "$folder"; do sleep 0.1; done
  database_pid=$(head -1 "$folder/data/postmaster.pid")
  export SLUICE_DATABASE__URL="postgres://sluice@${folder//\//%2F}/postgres"
}

# signal_database SIGNAL: sends it to the main process and to those of the connections.
signal_database() {
  # A connection may end at this moment.
  pkill "-$1" --parent "$database_pid" || true
  kill "-$1" "$database_pid"
}

end_database() {
  # Nobody needs its data.
  signal_database KILL 2>/dev/null || true
  wait "$database_pid" 2>/dev/null || true
  rm -rf "$work/postgres"
  database_pid=''
}

database_pid='' host_pids=()
clean_up_all() {
  for pid in ${host_pids[@]+"${host_pids[@]}"}; do end "$pid"; done
  [[ -z $database_pid ]] || end_database
  clean_up
}
trap clean_up_all EXIT

make_site() {
  local brand=$work/site/brands/demo
  mkdir -p "$brand/pages"
  printf 'default = true\n' >"$brand/brand.toml"
  printf '[[entity]]\nslug = "lead"\n[[entity.field]]\nkey = "name"\n' >"$brand/crm.toml"
  printf '<script scope="backend">setVariable("n", 1 + 1)</script>\n<p>{{ var.n }}</p>\n' >"$brand/pages/plain.html"
  printf '<script scope="backend">for (let i = 0; i < 6; i++) { try { getCrmField({ slug: "lead", fieldKey: "name", referenceId: "a" }) } catch {} }\nresponse.json(1)</script>\n' \
    >"$brand/pages/reads.html"
  printf '<script scope="backend">response.json(getCrmField({ slug: "lead", fieldKey: "name", referenceId: "a" }))</script>\n' \
    >"$brand/pages/read.html"
  : >"$work/site/sluice.toml"
}

# sample FILE: appends p50 and p99 of the page without a database call, in microseconds.
sample() {
  local p50_us p99_us bad
  read -r _ _ p50_us p99_us bad < <((PAUSE_MS=2 drive "$round_s" 4 "$visitors/plain") | sed -n 's/^result //p')
  ((bad == 0)) || fail "$bad answers of the page without a database call were not 200"
  echo "$p50_us" >>"$1.p50"
  echo "$p99_us" >>"$1.p99"
}

print_line() {
  awk -v name="$1" -v p50="$(median <"$work/$2.p50")" -v p99="$(median <"$work/$2.p99")" -v normal="$(median <"$work/answers.p99")" \
    'BEGIN { printf "%-44s%9.2f ms%9.2f ms%9.1f x\n", name, p50 / 1e3, p99 / 1e3, p99 / normal }'
}

APP_KEY=$(head -c 32 /dev/urandom | base64)
export APP_KEY
make_site
start_database
start_server "$work/site"
check_is_200 "$visitors/plain"
check_is_200 "$visitors/reads"
sample "$work/idle"
# Visitors pause for a second between two requests.
(PAUSE_MS=1000 drive 120 "$reader_count" "$visitors/reads") >"$work/readers" &
loops_pid=$!
sleep 2
for ((round = 0; round < rounds; round++)); do
  sample "$work/answers"
  signal_database STOP
  sample "$work/hangs"
  signal_database CONT
  # The host finds out that the database answers again.
  until [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 "$visitors/read") == 200 ]]; do sleep 0.2; done
  sleep 1
done
kill -0 "$loops_pid" 2>/dev/null || fail "the readers ended before the samples did; the figures are void"
end "$loops_pid"
loops_pid=''
printf '%-44s%12s%12s%11s\n' "page without a database call, $rounds rounds" p50 p99 "p99/normal"
print_line "no readers" idle
print_line "$reader_count readers, the database answers" answers
print_line "$reader_count readers, the database hangs" hangs
echo "the goal is at most 2 x"
stop_server
end_database

# Three connections are kept for the superuser.
start_database "max_connections=$((limit + 3))" superuser_reserved_connections=3
"${as_postgres[@]}" "$postgres_bin/psql" --quiet --host "$work/postgres" --username sluice postgres \
  -c 'CREATE ROLE visitor LOGIN; GRANT ALL ON SCHEMA public TO visitor; GRANT CREATE ON DATABASE postgres TO visitor'
SLUICE_DATABASE__URL=${SLUICE_DATABASE__URL/sluice@/visitor@}
urls=()
for ((host = 0; host < 3; host++)); do
  start_server "$work/site"
  host_pids+=("$server_pid")
  urls+=("$visitors/read")
  check_is_200 "$visitors/read"
done
server_pid=''
client_pids=()
for ((host = 0; host < 3; host++)); do
  (drive "$limit_s" 16 "${urls[host]}") >"$work/limit.$host" &
  client_pids+=("$!")
done
wait "${client_pids[@]}"
cat "$work"/limit.* | sed -n 's/^result //p' | awk -v limit="$limit" '{ requests += $1; bad += $5 }
  END { printf "three hosts at a limit of %d connections: %d reads, %d failed (%.2f %%)\n", limit, requests, bad, 100 * bad / requests }'
echo "the goal is that none fails"
