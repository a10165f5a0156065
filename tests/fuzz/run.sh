#!/bin/sh
# Builds the named fuzz targets and runs each for FUZZ_SECONDS. Stops at the first finding, and prints the
# file that reproduces it.
set -eu
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-600}
features=$(echo "$@" | tr ' ' ,)
for target in "$@"; do
	bins="${bins:-} --bin $target"
done
# shellcheck disable=SC2086
(cd tests/fuzz && RUSTC_WRAPPER=$PWD/rustc.sh cargo build --release --locked --target-dir ../../target/fuzz \
	--features "$features" $bins)
for target in "$@"; do
	corpus=target/fuzz/corpus/$target
	mkdir -p "$corpus" target/fuzz/findings
	set -- "-max_total_time=$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=4096 \
		-print_final_stats=1 "-artifact_prefix=target/fuzz/findings/$target-"
	words=tests/fuzz/dictionaries/$target.txt
	if [ -f "$words" ]; then
		set -- "$@" "-dict=$words"
	fi
	echo "fuzz: $target for $seconds s"
	"target/fuzz/release/$target" "$corpus" "tests/fuzz/seeds/$target" "$@"
done
