# Runs every fault of tests/faults/table.rs in turn, until FAULT_SECONDS have passed, and prints a table.
# FAULT_ROUNDS=100 runs 100 rounds of each fault instead. FAULT_ONLY="kill host on SQLite" selects faults by
# a part of their name. FAULT_SEED=… repeats the choices of a round that failed.
.PHONY: faults

FAULT_SECONDS ?= 3600
export FAULT_SECONDS

faults: ## Inject faults for an hour, and print what was lost
	cargo nextest run --locked --cargo-profile release --workspace --exclude sluice-benches --run-ignored only --no-capture \
		faults::
