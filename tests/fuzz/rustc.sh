#!/bin/sh
# Compiles Sluice's own crates and the parsers that they use with libFuzzer's instrumentation and debug
# assertions, and all others as usual: cargo calls it as RUSTC_WRAPPER, with the compiler and its
# arguments.
name=
previous=
for argument in "$@"; do
	if [ "$previous" = --crate-name ]; then
		name=$argument
	fi
	previous=$argument
done
case $CARGO_PKG_NAME in
sluice-* | cookie | lol_html | rmp | rmp-serde | toml | toml_edit | toml_parser | wast | wat)
	case $name in
	build_script_*) exec "$@" ;;
	esac
	exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
		-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
		-Cllvm-args=-sanitizer-coverage-pc-table \
		-Cllvm-args=-sanitizer-coverage-trace-compares \
		-Cdebug-assertions=on --cfg fuzzing
	;;
*) exec "$@" ;;
esac
