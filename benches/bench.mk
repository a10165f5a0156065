# Measures scripts in process, and the server under load. The benches use the release profile and are built together
# with the program, so that cargo compiles the dependencies only once.
.PHONY: bench bench-dev compare load load-database load-neighbours load-tls soak start test262

bench: ## Compare runs in the sandbox with native QuickJS
	cargo bench --locked --profile release -p sluice -p sluice-benches --bench script --bench template -- --quiet

bench-dev: ## Measure how long Chromium takes to show an edit, on a site of 200 pages
	cargo build $(CARGO_PROFILE) --locked -p sluice
	cargo bench --locked --profile release -p sluice -p sluice-benches --bench dev

# The version of workerd that `make compare` gets from npm.
WORKERD := 1.20261117.1

compare: ## Compare whole requests with a native QuickJS host and with workerd (ROUNDS=5 SAMPLE_SECONDS=2)
	@command -v wrk >/dev/null || { echo "compare: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	npm install --prefix target/workerd --no-audit --no-fund --loglevel error workerd@$(WORKERD) >/dev/null
	cargo bench --locked --profile release -p sluice -p sluice-benches --bench compare -- \
		$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/sluice \
		$$(echo $(CURDIR)/target/workerd/node_modules/@cloudflare/workerd-*/bin/workerd)

load: ## Measure the server under load, with endless loops, a stalled receiver and overload
	@command -v wrk >/dev/null || apt-get install --yes wrk || \
		{ echo "load: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/load.sh
	benches/load_ops.sh

soak: ## Serve for 20 minutes (MINUTES=...) and fail if memory, descriptors or threads grow
	@command -v wrk >/dev/null || apt-get install --yes wrk || \
		{ echo "soak: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/soak.sh

load-neighbours: ## Measure how much the load of one brand delays another brand's page
	@command -v wrk >/dev/null || { echo "load-neighbours: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/load_neighbours.sh

load-tls: ## Measure HTTPS against plain HTTP, and HTTP/2 against HTTP/1.1
	@command -v wrk >/dev/null || { echo "load-tls: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	@command -v h2load >/dev/null || { echo "load-tls: h2load is missing: install it (Debian, Ubuntu: apt-get install nghttp2-client)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/load_tls.sh

load-database: ## Measure other pages while PostgreSQL hangs, and calls at its connection limit
	@command -v wrk >/dev/null || { echo "load-database: wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)" >&2; exit 1; }
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/load_database.sh

start: ## Measure how long a server takes to start, with 10 and with 10,000 pages
	cargo build $(CARGO_PROFILE) --locked -p sluice
	benches/start.sh 10 10000

test262: ## Run test262's language tests in the sandbox, interpreted and compiled, and natively (TEST262=<checkout> [FOLDERS=...])
	@test -d "$(TEST262)/harness" || { echo "test262: name a checkout of test262: make test262 TEST262=<folder>" >&2; exit 2; }
	cargo bench --locked --profile release -p sluice -p sluice-benches --bench test262 -- $(abspath $(TEST262)) $(FOLDERS)
