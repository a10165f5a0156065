#!/usr/bin/env bash
# Serves for a long time and fails if the server's memory, descriptors or threads grow: pages,
# sessions, files, rejected values, and a reload with a changed page every second. Prints a line for
# each minute. MINUTES=20 is the default; the first fifth is not judged.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

source benches/load_lib.sh
minutes=${MINUTES:-20}
((minutes >= 5)) || fail "MINUTES=$minutes: at least 5 are needed"
# What the resident memory may grow in an hour, as a share of its size.
growth_max=${GROWTH_MAX:-0.10}

brand=$work/site/brands/demo
mkdir -p "$brand/pages" "$brand/public"
printf 'default = true\n' >"$brand/brand.toml"
printf '<script scope="backend">session.set("n", (session.get("n") || 0) + 1); setVariable("n", 1)</script>{{ var.n }}' \
  >"$brand/pages/session.html"
printf '<script scope="backend">setVariable("rows", Array(1000).fill(Array(1000).fill([])))</script>{{ var.rows }}' \
  >"$brand/pages/dense.html"
head -c 100000 /dev/zero >"$brand/public/file.bin"
change_page() {
  printf '<script scope="backend">setVariable("n", %d)</script>{{ var.n }}' "$1" >"$brand/pages/index.html.new"
  mv "$brand/pages/index.html.new" "$brand/pages/index.html"
}
change_page 0
# The execution log and the database keep rows; the soak is about the process.
printf '[log]\nrows_max = 1000\n' >"$work/site/sluice.toml"
start_server "$work/site"

status() { sed -n "s/^$1:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$server_pid/status"; }
descriptors() { find "/proc/$server_pid/fd" -mindepth 1 2>/dev/null | wc -l; }

cookie=$(curl --silent --output /dev/null --dump-header - "$visitors/session" | sed -n 's/^set-cookie: \([^;]*\);.*/\1/Ip')
[[ -n $cookie ]] || fail "/session sets no session cookie"
printf '%8s%12s%14s%10s%12s%12s%12s%8s\n' minute "RSS, kB" descriptors threads requests p50 p99 "not 200"
for ((minute = 1; minute <= minutes; minute++)); do
  reloads() {
    for ((second = 0; second < 58; second++)); do
      change_page "$((minute * 100 + second))"
      kill -HUP "$server_pid"
      sleep 1
    done
  }
  reloads &
  loops_pid=$!
  # Runs go on when the client has gone, so the longest ones come first.
  (drive 10 48 "$visitors/dense") >"$work/dense"
  (drive 15 16 -H "Cookie: $cookie" "$visitors/session") >"$work/sessions"
  (drive 15 16 "$visitors/") >"$work/pages"
  (drive 15 16 "$visitors/file.bin") >"$work/files"
  wait "$loops_pid"
  loops_pid=''
  read -r requests _ p50_us p99_us bad < <(sed -n 's/^result //p' "$work/pages")
  bad=$((bad + $(sed -n 's/^result .* //p' "$work/sessions") + $(sed -n 's/^result .* //p' "$work/files")))
  line="$minute $(status VmRSS) $(descriptors) $(status Threads) $requests $p50_us $p99_us $bad"
  echo "$line" >>"$work/minutes"
  awk '{ printf "%8d%12d%14d%10d%12d%9.2f ms%9.2f ms%8d\n", $1, $2, $3, $4, $5, $6 / 1e3, $7 / 1e3, $8 }' <<<"$line"
done

# The slope of the line through the judged minutes, for each column.
awk -v minutes="$minutes" -v growth_max="$growth_max" '
  $1 > minutes / 5 {
    n++; x += $1; xx += $1 * $1; bad += $8
    for (i = 2; i <= 4; i++) { y[i] += $i; xy[i] += $1 * $i }
  }
  END {
    split("- RSS descriptors threads", names, " ")
    for (i = 2; i <= 4; i++) {
      slope = (n * xy[i] - x * y[i]) / (n * xx - x * x); mean = y[i] / n
      hour = slope * 60 / mean
      # Less than this is noise: pools and caches grow and shrink with the load.
      grows = hour > growth_max && slope * n > (i == 2 ? 0.05 * mean : 20)
      printf "%s: %+.1f %% in an hour%s\n", names[i], hour * 100, grows ? ", which is a leak" : ""
      failed += grows
    }
    if (bad > 0) { printf "%d answers were not 200\n", bad; failed++ }
    exit failed > 0
  }' "$work/minutes" || fail "the soak failed"
stop_server
