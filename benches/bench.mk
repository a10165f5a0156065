# Scripts in process, and the server under load. The profile of the bench is the
# one of `cargo build --release`, so that dependencies are compiled once.
.PHONY: bench load start

bench: ## Measure runs in the sandbox next to native QuickJS
	cargo bench --locked --profile release -p sluice-benches -- --quiet

load: ## Measure the server under load, and under endless loops
	@command -v wrk >/dev/null || apt-get install --yes wrk || \
		{ echo "load: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/load.sh

start: ## Measure how long a server takes to start, with 10 and with 10,000 pages
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/start.sh 10 10000
