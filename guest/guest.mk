# Builds the engine, guest/engine.wasm, from guest/ and wit/. See guest/toolchain/README.md.
.PHONY: guest guest-check guest-verify guest-link-test

guest: ## Build guest/engine.wasm from source (only when guest/ or wit/ changed)
	guest/toolchain/prepare.sh
	guest/toolchain/build.sh

# Fast, and needs no toolchain, so every test run includes it.
guest-check: ## Check that the committed engine matches the sources
	guest/toolchain/check.sh

guest-verify: ## Build the engine again in another folder and compare the bytes
	guest/toolchain/prepare.sh
	guest/toolchain/verify.sh

guest-link-test: ## Test the tool that links the engine
	cd guest/link && cargo fmt --check
	cd guest/link && cargo clippy --locked --release --all-targets --target-dir ../../target/guest/link -- -D warnings
	cd guest/link && cargo test --locked --release --target-dir ../../target/guest/link
