# Every target builds .venv first when it is missing or the lock file changed.
PY := .venv/bin/python
# Without compiled files every process would compile the whole program again at its start: the tests start
# hundreds of them, and an engine would need twice the time.
unexport PYTHONDONTWRITEBYTECODE
CONFIG ?= config.json

.PHONY: help setup demo run window test test-e2e lint bench simulate prove lock clean

help:
	@echo "make demo      trade on paper against the built-in demo market"
	@echo "make run       trade on paper with CONFIG=config.json on the real market"
	@echo "make window    the window on CONFIG=config.json; it starts the engine or attaches to the one that runs"
	@echo "make test      run the tests (coverage of agent/ at least 85 %)"
	@echo "make test-e2e  of them only whole engines and exchanges as processes"
	@echo "make lint      formatting, types, architecture"
	@echo "make bench     measure speed and memory"
	@echo "make simulate  live SEEDS=0:500 days of bad luck in virtual time (DAYS=1 each, JOBS=1 at a time, RULES=kraken)"
	@echo "make prove     the long proofs (hours): KILLS=120 kills of real engines, planted bugs, crash points, power cuts"
	@echo "make setup     only build .venv"

setup:
	@sh deploy/setup.sh

demo: setup
	@$(PY) -m agent.demo

run: setup
	@$(PY) -m agent.main --config $(CONFIG) --headless

window: setup
	@$(PY) -m agent.main --config $(CONFIG)

# Files of process tests, which mostly wait, alternate with files that compute (tests/conftest.py), hence twice
# as many workers as cores: two wait while two compute.
WORKERS ?= 4

test: setup
	@QT_QPA_PLATFORM=offscreen $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q \
	    --cov=agent --cov-report=term --cov-fail-under=85

test-e2e: setup
	@$(PY) -m pytest -q tests/e2e

lint: setup
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache

bench: setup
	@$(PY) -m tests.bench

SEEDS ?= 0:500
DAYS ?= 1
JOBS ?= 1
RULES ?= binance

simulate: setup
	@$(PY) -m agent.simulation --seeds $(SEEDS) --days $(DAYS) --jobs $(JOBS) --rules $(RULES)

KILLS ?= 120

# Everything that takes too long for every day: real kills, all planted bugs, all crash points, long ranges.
prove: setup
	@AGENT_KILLS=$(KILLS) $(PY) -m pytest -q tests/e2e/test_kill_cycles.py
	@AGENT_CORE_SEEDS=2000 $(PY) -m pytest -q tests/property/test_core_seeds.py
	@$(PY) -m agent.simulation.power_cuts --cuts 2000
	@$(PY) -m agent.simulation.crash_points
	@$(PY) -m agent.simulation.planted
	@$(PY) -m agent.simulation --seeds 0:2000 --jobs $(JOBS)
	@$(PY) -m agent.simulation --seeds 0:300 --jobs $(JOBS) --rules kraken

# For maintainers: resolve the locked requirements again (needs uv).
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* build *.egg-info
