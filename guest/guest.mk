# The engine: guest/engine.wasm out of guest/ and wit/. See guest/toolchain/README.md.
.PHONY: guest guest-check guest-verify guest-link-test

guest: ## Build guest/engine.wasm from source (only when guest/ or wit/ changed)
	guest/toolchain/prepare.sh
	guest/toolchain/build.sh

# Fast and without a toolchain, for every test run.
guest-check: ## Are the sources those of the committed engine?
	guest/toolchain/check.sh

guest-verify: ## Build the engine again elsewhere and compare the bytes
	guest/toolchain/prepare.sh
	guest/toolchain/verify.sh

guest-link-test: ## Tests of the tool that links the engine
	cd guest/link && cargo fmt --check
	cd guest/link && cargo clippy --locked --release --all-targets --target-dir ../../target/guest/link -- -D warnings
	cd guest/link && cargo test --locked --release --target-dir ../../target/guest/link
