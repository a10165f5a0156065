# The targets that developers and CI run. `make help` lists them.

SITE ?= scripts
CARGO_PROFILE := --release

.DEFAULT_GOAL := help
.PHONY: help setup install run dev scripts types test-site test check lint fmt screenshots

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the missing tools that the tests need (Debian, Ubuntu)
	@.ci/setup

install: ## Install sluice for this user, with bash completions and manual pages
	@.ci/setup build
	cargo install --locked --path host
	mkdir -p $(HOME)/.local/share/bash-completion/completions
	sluice completions bash > $(HOME)/.local/share/bash-completion/completions/sluice
	sluice man $(HOME)/.local/share/man/man1

run: ## Build Sluice, compile the sample site and serve it on http://127.0.0.1:8080
	@.ci/setup build
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice build $(SITE) --out target/scripts
	target/release/sluice serve $(SITE)

dev: ## Serve the site for development: reload browsers and show mistakes in the page
	@.ci/setup build
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice dev $(SITE)

scripts: ## Compile every page of the site into target/scripts
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice build $(SITE) --out target/scripts

check: ## Find mistakes in the site without running it
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice check $(SITE)

types: ## Write the type declarations that editors need to check the site's scripts
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice types $(SITE)

test-site: ## Run the site's own tests
	cargo build $(CARGO_PROFILE) --locked -p sluice
	target/release/sluice test $(SITE)

test: setup guest-check lint dist ## Install missing tools, check the sources, make a release and run every test
	cargo nextest run --locked --cargo-profile release --workspace --exclude sluice-benches --no-fail-fast

lint: ## Check formatting, lints, documentation, dependencies, scripts and spelling
	cargo fmt --all --check
	cd guest && cargo fmt --check
	cd guest/link && cargo fmt --check
	cargo clippy $(CARGO_PROFILE) --locked --workspace --all-targets -- -D warnings
	cd guest && cargo clippy --release --locked --target-dir ../target/guest/lint -- -D warnings
	cd guest/link && cargo clippy --release --locked --all-targets --target-dir ../../target/guest/link -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_PROFILE) --locked --workspace --exclude sluice-benches --no-deps
	cargo deny --log-level error check bans licenses sources
	shellcheck --external-sources --source-path=SCRIPTDIR .ci/run .ci/setup deploy/dist/*.sh tests/packages/*.sh \
		deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm deploy/debian/sluice-https deploy/dist/linker/cc
	typos

fmt: ## Format the sources
	cargo fmt

screenshots: ## Take pictures of every page of the sample site and the console
	cargo build $(CARGO_PROFILE) --locked -p sluice
	docs/images/screenshots.sh

include guest/guest.mk
include benches/bench.mk
include tests/fuzz/fuzz.mk
include tests/faults/faults.mk
include deploy/dist.mk
