# `make` alone lists the targets. Only git, make and Rust need to be there: the rest is installed, and said to be.
SHELL := /bin/bash
export PYTHONDONTWRITEBYTECODE := 1
.DEFAULT_GOAL := help
.PHONY: help run test demo readme clean

TARGET := $(or $(CARGO_TARGET_DIR),target)

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## install what is missing, build, serve on http://127.0.0.1:8080 with ./.ifmatch as data directory
	@scripts/install.sh build
	cargo build --locked --release
	exec $(TARGET)/release/ifmatch serve

test: ## everything that is checked: format, lints, documentation, the demo, the README, the tests
	@scripts/install.sh build lint demo
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	cargo build --locked
	scripts/demo.py --binary $(TARGET)/debug/ifmatch
	scripts/readme-check.sh --binary $(TARGET)/debug/ifmatch
	cargo test --locked --doc
	cargo test --locked --lib --bins --tests

demo: ## 8,340 documents, two competing clients, a lost answer: watch the promises being kept
	@scripts/install.sh build demo
	cargo build --locked --release
	scripts/demo.py --binary $(TARGET)/release/ifmatch

readme: ## write what the server really answers into README.md
	@scripts/install.sh build demo
	cargo build --locked --release
	scripts/readme-check.sh --update --binary $(TARGET)/release/ifmatch
	scripts/readme-demo.sh --binary $(TARGET)/release/ifmatch

clean: ## remove what was built; the data directory stays
	cargo clean
