# Makes a release. See docs/packages.md.
.PHONY: dist

dist: ## Make the release in target/dist: tarball, package for Debian, image, SBOM, checksums
	@.ci/setup dist
	@deploy/dist/dist.sh
