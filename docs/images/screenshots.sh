#!/usr/bin/env bash
# Takes the pictures in README.md from the running program: overlay.png shows a mistake in a
# page under `sluice dev`, and console.png shows the overview of the operators' console. Works
# on a copy of the sample site, and drives Chromium through its WebDriver, as the tests do.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

sluice=${SLUICE:-${CARGO_TARGET_DIR:-target}/release/sluice}
images=${IMAGES:-docs/images}
width=1280 image_bytes_max=150000
patience_s=60
token=screenshots-of-the-console

# Code that this compiles stays out of the user's own cache, as in .cargo/config.toml.
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$PWD/target/tmp/cache}

fail() {
  echo "screenshots: $*" >&2
  exit 1
}

for tool in chromedriver curl python3; do
  command -v "$tool" >/dev/null || fail "$tool is missing: run \`make setup\`"
done
[[ -x $sluice ]] || fail "$sluice is missing: run \`cargo build --release\`"

work=$(mktemp -d)
server_pid='' driver_pid='' session=''
clean_up() {
  [[ -z $session ]] || browser DELETE "" >/dev/null || true
  for pid in $server_pid $driver_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# wait_for WHAT COMMAND...: repeats the command until it succeeds.
wait_for() {
  local what=$1 end=$((SECONDS + patience_s))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "$what did not happen within $patience_s s"
    sleep 0.1
  done
}

# line FILE BEFORE: prints the rest of the first line that starts with BEFORE.
line() {
  local text
  text=$(sed -n "s|^$2||p" "$1" 2>/dev/null | head -n 1)
  [[ -n $text ]] && echo "$text"
}

# start COMMAND: starts `sluice serve` or `sluice dev` on the copy of the site.
start() {
  : >"$work/server"
  env -u APP_KEY SLUICE_ADMIN__TOKEN="$token" "$sluice" "$1" "$work/site" --listen 127.0.0.1:0 \
    --admin-listen 127.0.0.1:0 --data "$work/data" >"$work/server" 2>&1 &
  server_pid=$!
  wait_for "the start of sluice $1" is_serving
  visitors=$(line "$work/server" 'sluice: serving on ')
  operators=$(line "$work/server" 'sluice: operators on ')
}

is_serving() {
  kill -0 "$server_pid" 2>/dev/null || fail "the server did not start: $(<"$work/server")"
  line "$work/server" 'sluice: operators on ' >/dev/null
}

# Ends the server in order, so that all runs are in the execution log.
stop() {
  kill "$server_pid"
  wait "$server_pid" || fail "the server did not stop in order: $(<"$work/server")"
  server_pid=''
}

# request PATH [JSON]: sends what a browser, or a form of the sample site, sends.
request() {
  curl --silent --show-error --fail --output /dev/null --cookie "$work/cookies" --cookie-jar "$work/cookies" \
    ${2:+--header 'content-type: application/json' --data "$2"} "$visitors$1"
}

# visit TIMES: a visitor logs in and checks in several times.
visit() {
  request /login '{"email": "ann@example.com", "name": "Ann"}'
  request /dashboard '{"goal": 170}'
  for ((n = 0; n < $1; n++)); do
    request /
    request /weight/checkin
    request /weight/checkin "{\"weight\": $((182 - n / 4)), \"unit\": \"lbs\", \"notes\": \"day $n\"}"
    request /dashboard
  done
}

# The console draws one point for each quarter of an hour. So that its charts have lines, every
# round of visits is moved back by a quarter of an hour before the next round begins.
make_history() {
  local times
  for times in 8 13 21 18 26 34 23 29; do
    start serve
    visit "$times"
    stop
    python3 - "$work/data/runs.db" <<'PYTHON'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as log:
    log.execute("UPDATE page_stats SET starts_at = starts_at - 900000")
    log.execute("UPDATE execution SET at_ms = at_ms - 900000")
PYTHON
  done
}

# Misspells `session` in the start page.
make_a_mistake() {
  local page=$work/site/brands/demo/pages/index.html
  sed 's/session\.get("visits")/sesion.get("visits")/' "$page" >"$work/index.html"
  ! cmp --silent "$page" "$work/index.html" || fail "the start page has no session.get(\"visits\") to misspell"
  mv "$work/index.html" "$page"
}

start_browser() {
  chromedriver --port=0 >"$work/driver" 2>/dev/null &
  driver_pid=$!
  wait_for "the start of chromedriver" has_port
  driver=http://127.0.0.1:$(driver_port)
  local arguments='"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--force-device-scale-factor=1", "--hide-scrollbars"'
  local answer
  answer=$(curl --silent --show-error --data \
    "{\"capabilities\": {\"alwaysMatch\": {\"goog:chromeOptions\": {\"args\": [$arguments]}}}}" "$driver/session")
  session=$(sed -n 's/.*"sessionId":"\([^"]*\)".*/\1/p' <<<"$answer")
  [[ -n $session ]] || fail "Chromium did not start: $answer"
  devtools Emulation.setEmulatedMedia '{"features": [{"name": "prefers-color-scheme", "value": "light"}]}' >/dev/null
}

driver_port() {
  sed -n 's/.*successfully on port \([0-9]*\).*/\1/p' "$work/driver"
}

has_port() {
  [[ -n $(driver_port) ]]
}

# browser METHOD PATH [JSON]: sends a command to the browser and prints its answer.
browser() {
  curl --silent --show-error --fail --request "$1" ${3:+--data "$3"} "$driver/session/$session$2"
}

# devtools COMMAND JSON: sends a command of the DevTools protocol.
devtools() {
  browser POST /goog/cdp/execute "{\"cmd\": \"$1\", \"params\": $2}"
}

go() {
  browser POST /url "{\"url\": \"$1\"}" >/dev/null
}

# is_true EXPRESSION: whether the JavaScript expression, which has no double quotes, is true in the page.
is_true() {
  browser POST /execute/sync "{\"script\": \"return !!($1)\", \"args\": []}" | grep --quiet '"value":true'
}

# picture NAME HEIGHT
picture() {
  local file=$images/$1.png
  devtools Page.captureScreenshot '{"format": "png"}' | sed 's/.*"data":"\([^"]*\)".*/\1/' | base64 --decode >"$work/$1.png"
  local bytes
  bytes=$(wc -c <"$work/$1.png")
  ((bytes <= image_bytes_max)) || fail "$1.png has $bytes bytes; the limit is $image_bytes_max"
  mv "$work/$1.png" "$file"
  echo "$file: $bytes bytes"
}

# resize HEIGHT: sets the size of the window's content.
resize() {
  devtools Emulation.setDeviceMetricsOverride \
    "{\"width\": $width, \"height\": $1, \"deviceScaleFactor\": 1, \"mobile\": false}" >/dev/null
}

# The page is open when the mistake is saved, so the browser reloads it.
take_overlay() {
  resize 640
  go "$visitors/"
  wait_for "the start page" is_true "document.querySelector('h1')"
  make_a_mistake
  wait_for "the overlay" is_true "document.querySelector('sluice-overlay')?.shadowRoot.querySelector('dialog').open"
  picture overlay
}

take_console() {
  resize 856
  go "$operators/login"
  wait_for "the log-in page" is_true "document.querySelector('#token')"
  is_true "(document.querySelector('#token').value = '$token', document.querySelector('form').submit(), true)"
  wait_for "the log-in" is_true "document.querySelector('h1') && document.querySelector('h1').textContent === 'Overview'"
  picture console
}

cp -R tests/plain_site "$work/site"
rm -rf "$work/site/data"
make_history
start dev
visit 31
start_browser
take_overlay
take_console
