# Gives random input to everything that reads input from visitors, authors, proxies and other machines, and
# random programs to both tiers.
# Uses libFuzzer's instrumentation with the pinned toolchain. `make fuzz FUZZ_TARGETS=page` runs one target.
.PHONY: fuzz

FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= template page modules value cookies forwarded settings crm handoff multipart component aot tiers

fuzz: ## Give random input to each parser for ten minutes (FUZZ_TARGETS=..., FUZZ_SECONDS=...)
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh $(FUZZ_TARGETS)
