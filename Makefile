# The commands of this project; `make help` lists them. The work is done by scripts in deploy/dev.

.DEFAULT_GOAL := help
.PHONY: help build run test bench chaos fmt lint audit sqlx sqlx-check baseline clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

build: ## build the programs into target/debug
	@cargo build --locked --workspace --bins

run: ## try it: gateway and local provider on this machine, a first sandbox and command
	@sh deploy/dev/setup.sh run
	@echo "==> building and starting Sandgate; the first time takes a few minutes"
	@cargo run --quiet --locked -p sandgate -- quickstart

test: ## everything that must pass before a change lands
	@sh deploy/dev/test.sh

bench: ## measure relay and executions, each beside what it replaces
	@sh deploy/dev/setup.sh bench
	@cargo run --release --locked -p sandgate-bench

chaos: build ## kill two gateways and a provider 500 times; choose with ARGS='--kills 50 --seed 7 --provider e2b'
	@sh deploy/dev/setup.sh run
	@cargo run --quiet --locked -p sandgate-chaos -- $(ARGS)

fmt: ## format the code
	@cargo fmt --all

lint: ## format, lints, dependencies and contract, without the tests
	@sh deploy/dev/setup.sh lint
	@sh deploy/dev/check.sh fmt clippy deny proto

audit: ## look for dependencies with known security problems (needs the advisory database)
	@sh deploy/dev/setup.sh lint
	@PATH="$(CURDIR)/.tools/bin:$$PATH" cargo-deny --locked check advisories

sqlx: ## write the offline data of the SQL queries, after changing one or a migration
	@sh deploy/dev/sqlx.sh write

sqlx-check: ## is that data up to date
	@sh deploy/dev/check.sh sqlx

baseline: ## accept the contract as it is now as the one not to break
	@sh deploy/dev/setup.sh lint
	@PATH="$(CURDIR)/.tools/node_modules/.bin:$$PATH" buf build --exclude-source-info -o proto/baseline.binpb
	@echo "proto/baseline.binpb is new: say in the CHANGELOG what changed and why"

clean: ## remove what was built; .tools stays
	@sh deploy/dev/setup.sh stop
	@cargo clean
