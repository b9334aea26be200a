# `make` alone lists the targets. Only git, make and Rust need to be there: the rest is installed, and said to be.
SHELL := /bin/bash
export PYTHONDONTWRITEBYTECODE := 1
.DEFAULT_GOAL := help
.PHONY: help run test demo readme lint fuzz sdks examples bench microbench clean

TARGET := $(or $(CARGO_TARGET_DIR),target)

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## install what is missing, build, serve on http://127.0.0.1:8080 with ./.ifmatch as data directory
	@scripts/install.sh build
	cargo build --locked --release
	exec $(TARGET)/release/ifmatch serve

test: ## everything that is checked: format, lints, the API description, documentation, SDKs, examples, the tests
	@scripts/install.sh build lint demo shell python node java browser
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	scripts/lint-openapi.sh
	cargo build --locked
	scripts/demo.py --binary $(TARGET)/debug/ifmatch
	scripts/readme-check.sh --binary $(TARGET)/debug/ifmatch
	scripts/docs-check.py --binary $(TARGET)/debug/ifmatch
	scripts/schemathesis.py --binary $(TARGET)/debug/ifmatch
	scripts/sdks.py --fast --binary $(TARGET)/debug/ifmatch
	scripts/examples.py --binary $(TARGET)/debug/ifmatch
	cargo test --locked --doc
	cargo test --locked --lib --bins --tests

demo: ## 8,340 documents, two competing clients, a lost answer: watch the promises being kept
	@scripts/install.sh build demo
	cargo build --locked --release
	scripts/demo.py --binary $(TARGET)/release/ifmatch

readme: ## write what the server really answers into README.md and the pages below docs/
	@scripts/install.sh build demo
	cargo build --locked --release
	scripts/readme-check.sh --update --binary $(TARGET)/release/ifmatch
	scripts/readme-demo.sh --binary $(TARGET)/release/ifmatch

lint: ## what linters say of openapi.yaml
	@scripts/install.sh node
	scripts/lint-openapi.sh

fuzz: ## schemathesis at length: other requests each time, the seed is printed
	@scripts/install.sh build python
	cargo build --locked
	scripts/schemathesis.py --examples 500 --binary $(TARGET)/debug/ifmatch

sdks: ## generate an SDK with every generator of docs/sdks.md, and make a round trip with each
	@scripts/install.sh build python node java
	cargo build --locked
	scripts/sdks.py --all --binary $(TARGET)/debug/ifmatch

examples: ## the programs of examples/ under fire, and wrong ones, which must be noticed
	@scripts/install.sh build shell python node java
	cargo build --locked
	scripts/examples.py --binary $(TARGET)/debug/ifmatch
	scripts/examples.py --prove --binary $(TARGET)/debug/ifmatch

bench: ## rates, latencies and costs beside pgbench and etcd, and the goals, in about 25 minutes; writes docs/benchmarks.md
	@scripts/install.sh build python bench
	scripts/bench.py --write $(BENCH)

microbench: ## criterion: reading headers and operations, decide, believe
	@scripts/install.sh build
	cargo bench --locked --bench core

clean: ## remove what was built; the data directory stays
	cargo clean
