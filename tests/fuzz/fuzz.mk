# Compiles random templates until FUZZ_SECONDS have passed. Uses libFuzzer's instrumentation
# with the pinned toolchain.
.PHONY: fuzz

FUZZ_SECONDS ?= 600
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing
FUZZ_TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')

fuzz: ## Test the template compiler with random templates for ten minutes
	cd tests/fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --locked \
		--target $(FUZZ_TRIPLE) --target-dir ../../target/fuzz
	mkdir -p target/fuzz/corpus target/fuzz/artifacts
	target/fuzz/$(FUZZ_TRIPLE)/release/template target/fuzz/corpus tests/fuzz/seeds \
		-dict=tests/fuzz/dictionary.txt -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix=target/fuzz/artifacts/ -max_total_time=$(FUZZ_SECONDS)
