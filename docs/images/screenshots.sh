#!/usr/bin/env bash
# Takes pictures of every page of the sample site and of the console, of the drawer "Behind this page", and of the
# overlay that shows a mistake under `sluice dev`: at 1280 and 390 px, light and dark, in target/screenshots.
# README.md shows four of them, from docs/images. Works on a copy of the sample site, and drives Chromium through
# its WebDriver, as the tests do.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

sluice=${SLUICE:-${CARGO_TARGET_DIR:-target}/release/sluice}
images=${IMAGES:-docs/images}
all=${ALL_IMAGES:-target/screenshots}
width=1280 image_bytes_max=250000
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

# request PATH [FORM]: sends what a browser, or a form of the sample site, sends. Pages that fail on purpose do not matter.
request() {
  curl --silent --show-error --output "$work/answer" --cookie "$work/cookies" --cookie-jar "$work/cookies" \
    ${2:+--header 'sec-fetch-site: same-origin' --data "$2"} "$visitors$1"
}

# Takes the quiz, and logs in with the link in the mail.
become_a_member() {
  request /quiz 'question=time&answer=long'
  request /quiz 'question=taste&answer=salt'
  request /quiz 'question=bite&answer=bite'
  request /quiz/result 'email=ann@example.com'
  request /outbox
  local link
  link=$(grep -o 'link=[0-9a-f-]*' "$work/answer" | head -n 1)
  [[ -n $link ]] || fail "the outbox has no link"
  request /enter "$link"
  request /dashboard 'goal=172'
}

# visit TIMES: a visitor comes several times, and meets the pages that fail.
visit() {
  rm -f "$work/cookies"
  become_a_member
  for ((n = 0; n < $1; n++)); do
    request /
    request /shop
    request /shop/weir
    request /cart 'slug=weir'
    request "/api/price?oats=$((n * 10))&nuts=80&fruit=60"
    request /weight/checkin "weight=$((184 - n / 3)).$((n % 10))&unit=lbs&notes=day+$n"
    request /dashboard
    ((n % 4)) || request /fails/throws
    ((n % 9)) || request /fails/guarded
    ((n % 15)) || request /fails/loops
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
  local page=$work/site/brands/millrace/pages/index.html
  cp "$page" "$work/index.html"
  sed --in-place '0,/(session\.get("visits")/s//(sesion.get("visits")/' "$page"
  ! cmp --silent "$page" "$work/index.html" || fail "the start page has no session.get(\"visits\") to misspell"
}

mend_the_mistake() {
  cp "$work/index.html" "$work/site/brands/millrace/pages/index.html"
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
  browser POST /execute/sync "{\"script\": \"return !!(${1//$'\n'/ })\", \"args\": []}" | grep --quiet '"value":true'
}

# picture FILE: the window.
picture() {
  devtools Page.captureScreenshot '{"format": "png"}' | sed 's/.*"data":"\([^"]*\)".*/\1/' | base64 --decode >"$1"
}

# for_readme NAME: the window, for README.md.
for_readme() {
  picture "$images/$1.png"
  local bytes
  bytes=$(wc -c <"$images/$1.png")
  ((bytes <= image_bytes_max)) || fail "$1.png has $bytes bytes; the limit is $image_bytes_max"
  echo "$images/$1.png: $bytes bytes"
}

# resize WIDTH HEIGHT: sets the size of the window's content.
resize() {
  devtools Emulation.setDeviceMetricsOverride \
    "{\"width\": $1, \"height\": $2, \"deviceScaleFactor\": 1, \"mobile\": false}" >/dev/null
}

prefer() {
  devtools Emulation.setEmulatedMedia "{\"features\": [{\"name\": \"prefers-color-scheme\", \"value\": \"$1\"}]}" >/dev/null
}

run() {
  is_true "($1, true)" || fail "the page does not do this: $1"
}

# height_of_page: at least that of the window, so that dialogs fit.
height_of_page() {
  browser POST /execute/sync '{"script": "return Math.max(900, Math.min(6000, document.documentElement.scrollHeight))", "args": []}' |
    sed 's/.*"value":\([0-9]*\).*/\1/'
}

# shoot NAME URL [COMMAND]: pictures of a whole page at both widths and in both colour schemes, after a command.
# What the command opens covers the window, so the picture has the size of a window.
shoot() {
  local scheme at
  for at in 1280 390; do
    for scheme in light dark; do
      resize "$at" 900
      prefer "$scheme"
      go "$2"
      wait_for "$2" is_true "document.readyState === 'complete'"
      if [[ -n ${3:-} ]]; then $3; else resize "$at" "$(height_of_page)"; fi
      picture "$all/$1-$at-$scheme.png"
    done
  done
  resize "$width" 900
  prefer light
}

log_in_to_the_shop() {
  go "$visitors/login"
  run "document.querySelector('#email').value = 'ann@example.com', document.querySelector('main form').submit()"
  wait_for "the outbox" is_true "document.querySelector('.mail .button')"
  run "document.querySelector('.mail .button').click()"
  wait_for "the link" is_true "location.pathname === '/enter' && document.querySelector('main form')"
  run "document.querySelector('main form').submit()"
  wait_for "the members' page" is_true "location.pathname === '/members'"
}

order_what_is_in_the_cart() {
  go "$visitors/checkout"
  run "(Object.entries({ name: 'Ann', email: 'ann@example.com', street: 'Weg 1', zip: '89073', city: 'Ulm' }).forEach(([field, text]) => { document.getElementById(field).value = text }), document.querySelector('main form').submit(), true)"
  wait_for "the order" is_true "location.pathname === '/thanks'"
}

# A cup that is on the shelf, and one that only its member sees. The photos are drawn in the browser.
put_a_cup_on_the_shelf() {
  local caption number=0
  for caption in 'The blue one, with a chip' 'Oat milk, of course' ''; do
    number=$((number + 1))
    go "$visitors/members/cups"
    run "(async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
      const draw = canvas.getContext('2d');
      const fill = (colour, ...box) => { draw.fillStyle = colour; draw.beginPath(); draw.roundRect(...box); draw.fill(); };
      fill(['#d8c8a8', '#b9c9b4', '#cdb4ae'][$number % 3], 0, 0, 640, 480, 0);
      fill('#7a5a3a', 0, 380, 640, 100, 0);
      fill(['#35524d', '#1f6468', '#a0390d'][$number % 3], 210, 180, 200, 220, [12, 12, 70, 70]);
      fill('#3d2812', 226, 186, 168, 26, 12);
      draw.lineWidth = 22; draw.strokeStyle = draw.fillStyle = ['#35524d', '#1f6468', '#a0390d'][$number % 3];
      draw.beginPath(); draw.arc(415, 270, 48, -1.4, 1.5); draw.stroke();
      const chosen = new DataTransfer();
      chosen.items.add(new File([await new Promise((done) => canvas.toBlob(done))], 'cup.png', { type: 'image/png' }));
      document.getElementById('photo').files = chosen.files;
      document.querySelector('main form').submit();
    })()"
    wait_for "the photo" is_true "document.querySelector('.split .photo')?.naturalWidth"
    [[ -n $caption ]] || return 0
    run "(document.querySelector('#caption').value = '$caption', document.querySelector('[value=publish]').click(), true)"
    wait_for "the shelf" is_true "[...document.querySelectorAll('.cup')].some((cup) => cup.innerText.includes('$caption'))"
  done
}

take_sample() {
  local path
  go "$visitors/go/spring"
  go "$visitors/shop/weir"
  run "document.querySelector('main form').submit()"
  wait_for "the cart" is_true "location.pathname === '/cart'"
  for path in / /shop /shop/weir /cart /checkout /mix /quiz /login /outbox /weight/checkin /links /fails /fails/throws /brands /sso /grain /nothing; do
    shoot "sample-$(name_of "$path")" "$visitors$path"
  done
  order_what_is_in_the_cart
  for path in /thanks /pay; do
    shoot "sample-$(name_of "$path")" "$visitors$path"
  done
  shoot sample-sso-provider "$visitors/sso/start"
  shoot sample-sso-callback "$visitors/sso/callback?code=1&state=1"
  log_in_to_the_shop
  put_a_cup_on_the_shelf
  for path in /members /members/cups /members/recipes/slow-pan /dashboard /logout; do
    shoot "sample-$(name_of "$path")" "$visitors$path"
  done
  shoot sample-tailrace "${visitors/127.0.0.1/tailrace.localhost}/"
  shoot sample-behind "$visitors/dashboard" open_the_drawer
  resize "$width" 800
  go "$visitors/"
  wait_for "the start page" is_true "document.querySelector('h1')"
  for_readme sample
  go "$visitors/dashboard"
  open_the_drawer
  for_readme behind
}

open_the_drawer() {
  wait_for "the button of the drawer" is_true "!document.querySelector('.behind-open').hidden"
  run "document.querySelector('.behind-open').click()"
  wait_for "the drawer" is_true "document.querySelector('.behind [role=tab]')"
}

name_of() {
  local name=${1#/}
  name=${name//\//-}
  echo "${name:-index}"
}

# The page is open when the mistake is saved, so the browser reloads it.
take_overlay() {
  resize "$width" 640
  go "$visitors/"
  wait_for "the start page" is_true "document.querySelector('h1')"
  make_a_mistake
  wait_for "the overlay" has_overlay
  for_readme overlay
  shoot overlay "$visitors/" "wait_for overlay has_overlay"
  mend_the_mistake
}

has_overlay() {
  is_true "document.querySelector('sluice-overlay')?.shadowRoot.querySelector('dialog').open"
}

take_console() {
  local path of=/brands/millrace
  shoot console-login "$operators/login"
  go "$operators/login"
  wait_for "the log-in page" is_true "document.querySelector('#token')"
  is_true "(document.querySelector('#token').value = '$token', document.querySelector('form').submit(), true)"
  wait_for "the log-in" is_true "document.querySelector('h1') && document.querySelector('h1').textContent === 'Overview'"
  shoot console-overview "$operators/"
  shoot console-pages "$operators$of"
  shoot console-page "$operators$of/page?path=/dashboard"
  shoot console-failing-page "$operators$of/page?path=/fails/guarded"
  shoot console-runs "$operators$of/runs"
  go "$operators$of/runs?failed=true"
  path=$(browser POST /execute/sync '{"script": "return document.querySelector(\".runs a\").pathname", "args": []}' | sed 's/.*"value":"\([^"]*\)".*/\1/')
  shoot console-run "$operators$path"
  shoot console-crm "$operators$of/crm"
  shoot console-entity "$operators$of/crm/quiz-tracker"
  go "$operators$of/crm/quiz-tracker"
  path=$(browser POST /execute/sync '{"script": "return document.querySelector(\"tbody a\").pathname", "args": []}' | sed 's/.*"value":"\([^"]*\)".*/\1/')
  shoot console-entry "$operators$path"
  shoot console-jobs "$operators$of/jobs"
  shoot console-calls "$operators$of/calls"
  shoot console-changes "$operators/changes"
  shoot console-search "$operators/search?q=cup"
  shoot console-problem "$operators/brands/nobody"
  resize "$width" 900
  go "$operators/"
  wait_for "the charts" is_true "document.querySelector('.uplot canvas')"
  for_readme console
}

mkdir -p "$all"
cp -R scripts "$work/site"
rm -rf "$work/site/data"
make_history
start dev
visit 31
start_browser
take_sample
take_overlay
take_console
echo "$(find "$all" -name '*.png' | wc -l) pictures are in $all"
