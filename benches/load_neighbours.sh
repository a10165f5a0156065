#!/usr/bin/env bash
# Measures how long the page of one brand takes while 200 connections of another brand request
# a page that loops until its time limit, or a page that uses a few milliseconds each time.
# Server and clients share two cores. Each figure is the median of five rounds. Ends within
# 150 seconds.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

if [[ -z ${LOAD_IS_BOUNDED:-} ]]; then
  LOAD_IS_BOUNDED=1 exec timeout --kill-after=5 150 benches/load_neighbours.sh
fi

source benches/load_lib.sh
rounds=5 round_s=3 attack_connections=200
# The server has both cores.
server_cores=$server_core,$client_core

# Two brands. The pages of `attack` use as much of the processors as they can.
two_brands() {
  local brand pages
  for brand in attack guest; do
    pages=$work/site/brands/$brand/pages
    mkdir -p "$pages"
    printf 'domains = ["%s.test"]\n[limits]\nfuel = 1_000_000_000_000\nwall_ms_max = 2_000\n' "$brand" \
      >"$work/site/brands/$brand/brand.toml"
  done
  : >"$work/site/sluice.toml"
  printf '<script scope="backend">while (true) {}</script>\n' >"$work/site/brands/attack/pages/loops.html"
  printf '<script scope="backend">let s = 0; for (let i = 0; i < 60000; i++) s += i; response.json(s)</script>\n' \
    >"$work/site/brands/attack/pages/short.html"
  printf '<script scope="backend">setVariable("n", 1 + 1)</script>\n<p>{{ var.n }}</p>\n' >"$pages/index.html"
  echo "$work/site"
}

# sample FILE: appends p50 and p99 of the page of `guest`, in microseconds.
sample() {
  local p50_us p99_us bad
  read -r _ _ p50_us p99_us bad < <((drive "$round_s" 1 -H 'Host: guest.test' "$visitors/") | sed -n 's/^result //p')
  ((bad == 0)) || fail "$bad answers of the page were not 200; the figures are void"
  echo "$p50_us" >>"$1.p50"
  echo "$p99_us" >>"$1.p99"
}

# attacked NAME PATH: takes one round of samples while `attack` is attacked.
attacked() {
  (drive 30 "$attack_connections" -H 'Host: attack.test' "$visitors/$2") >"$work/attack" &
  loops_pid=$!
  sleep 1
  sample "$work/$1"
  kill -0 "$loops_pid" 2>/dev/null || fail "the attack ended before the samples did; the figures are void"
  end "$loops_pid"
  loops_pid=''
  # Runs go on when their client is gone.
  until curl --silent "$operators/metrics" | grep --quiet '^sluice_sandbox_running.* 0$'; do sleep 0.1; done
}

print_line() {
  awk -v name="$1" -v p50="$(median <"$work/$2.p50")" -v p99="$(median <"$work/$2.p99")" -v idle="$(median <"$work/idle.p99")" \
    'BEGIN { printf "%-44s%9.2f ms%9.2f ms%9.1f x\n", name, p50 / 1e3, p99 / 1e3, p99 / idle }'
}

start_server "$(two_brands)"
check_is_200 -H 'Host: guest.test' "$visitors/"
check_is_200 -H 'Host: attack.test' "$visitors/short"
for ((round = 0; round < rounds; round++)); do
  sample "$work/idle"
  attacked loops loops
  attacked short short
done
printf '%-44s%12s%12s%11s\n' "page of a brand, $rounds rounds" p50 p99 "p99/idle"
print_line "idle" idle
print_line "$attack_connections connections of another brand: loops" loops
print_line "$attack_connections connections of another brand: 3 ms" short
echo "the goal is at most 10 x"
