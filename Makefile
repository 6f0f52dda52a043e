# trunkline: every gate is a target here; CI, pre-commit and people call the same ones. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find crates -name '*.rs' -not -path '*/target/*' 2>/dev/null) Cargo.toml $(wildcard crates/*/Cargo.toml)
FUZZ_SECONDS ?= 60
WHEEL_TARGETS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
# libopus is built by CMake: the machine's, or else the one that pip put beside the other tools
export PATH := $(PATH):$(CURDIR)/$(BIN)

MINUTES ?= 30
FIGURES ?= docs/soaks/quiet.json

.PHONY: help build demo test unit rust types lint format bench docs fuzz peers soak soak-mixed wheels clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

$(VENV)/.tools: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --group dev
	touch $@

$(VENV)/.built: $(VENV)/.tools $(RUST_SOURCES) pyproject.toml
	$(BIN)/maturin develop --quiet
	touch $@

build: $(VENV)/.built ## build the extension and install trunkline into .venv

demo: build ## a provider, a server and two phones on loopback: both calls of the tutorial, checked by ear
	$(BIN)/trunkline demo

test: peers lint types docs rust unit fuzz-short ## install what the tests need and run everything
	@$(BIN)/python -m tests.skipped

unit: build ## the Python tests; those that mostly wait, for SIP programs or for quiet, run beside the others
	@logs=$$(mktemp -d); status=0; \
	$(BIN)/python -m pytest tests/interop >"$$logs/interop" 2>&1 & interop=$$!; \
	$(BIN)/python -m pytest tests/soak >"$$logs/soak" 2>&1 & soak=$$!; \
	$(BIN)/python -m pytest --ignore=tests/interop --ignore=tests/soak || status=1; \
	wait $$interop || status=1; \
	wait $$soak || status=1; \
	cat "$$logs/soak" "$$logs/interop"; rm -r "$$logs"; exit $$status

rust: $(VENV)/.tools ## the Rust tests
	cargo test --workspace --quiet

types: build ## mypy strict, and the extension against its stub
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest _trunkline --mypy-config-file pyproject.toml --allowlist src/_trunkline/stubtest.allowlist

lint: $(VENV)/.tools build ## formatting, ruff, clippy, layers
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path crates/fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	for bench in bench/*/Cargo.toml; do cargo check --quiet --manifest-path $$bench --target-dir target; done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

format: $(VENV)/.tools ## format everything
	cargo fmt --all
	cargo fmt --all --manifest-path crates/fuzz/Cargo.toml
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

peers: ## install the SIP programs that the tests call (Debian packages; needs root)
	@tests/interop/install

bench: build ## signalling and relay cost beside Kamailio and a bare relay
	bench/run

$(VENV)/.docs: $(VENV)/.tools pyproject.toml
	$(BIN)/pip install --quiet --group docs
	touch $@

docs: build $(VENV)/.docs ## the documentation, warnings as errors
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

fuzz: $(VENV)/.tools ## fuzz each parser for FUZZ_SECONDS
	crates/fuzz/run $(FUZZ_SECONDS)

.PHONY: fuzz-short
fuzz-short: $(VENV)/.tools
	crates/fuzz/run 10

soak: build ## 20,000 calls, then nothing may be left; and the faults that take their time
	PYTHONMALLOC=malloc MALLOC_ARENA_MAX=1 $(BIN)/python -m pytest tests/soak/test_calls.py -m soak
	$(BIN)/python -m pytest tests/interop/test_faults.py -m soak

soak-mixed: build ## everything at once beside faults, for MINUTES; the figures go to FIGURES
	SOAK_MINUTES=$(MINUTES) SOAK_FIGURES=$(FIGURES) PYTHONMALLOC=malloc MALLOC_ARENA_MAX=1 $(BIN)/python -m pytest tests/soak/test_mixed.py -m soak

wheels: $(VENV)/.tools ## wheels for Linux on x86_64 and aarch64, into dist/ (needs rustup for the second)
	$(BIN)/pip install --quiet --group wheels
	rustup target add $(WHEEL_TARGETS)
	for target in $(WHEEL_TARGETS); do \
		PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --zig --target $$target --out dist; \
	done

clean: ## remove what was built
	rm -rf target crates/fuzz/target $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
