# Every target sets up what it needs in .venv and may be run again at any time: finished work is
# kept, interrupted work is resumed.
#
#   make demo [PORT=8501] [ADDRESS=127.0.0.1] [HEADLESS=1]
#   make test [ARGS="-k search"] [JOBS=3]
#   make soak [RUNS=10] [BUSY=2] [JOBS=3] [ARGS="-k search"]
#   make PYTHON=/path/to/python3.12 ...      the Python to make .venv with

VENV ?= .venv
PYTHON ?=
PORT ?= 8501
ADDRESS ?= 127.0.0.1
HEADLESS ?=
ARGS ?=
JOBS ?= 3
RUNS ?= 10
BUSY ?= 2

PY := $(VENV)/bin/python
# An npm that set-up put into the environment comes first: it is there where the machine has none.
WITH_NPM := PATH="$(abspath $(VENV))/bin:$$PATH"
# Tests and jobs start hundreds of processes; without bytecode each would compile all code again.
unexport PYTHONDONTWRITEBYTECODE
CODE := pipeline pages streamlit_app.py tests benchmarks docs .ci

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo sample setup tools forest test test-fast soak coverage lint bench docs picture screenshots lock clean venv runtime dev npm chromium

help:
	@echo "make demo     set everything up, build the sample collections, open the app"
	@echo "make setup    install everything: packages, front-end libraries, weights, sample imagery"
	@echo "make sample   setup, and build the three sample collections"
	@echo "make test     set everything up and run all tests"
	@echo "make test-fast   run the tests that need neither browser nor model"
	@echo "make soak     run all tests ten times beside busy processes, and report which failed"
	@echo "make coverage run all tests and print the share of lines and branches they reach"
	@echo "make lint     ruff (check and format) and mypy"
	@echo "make bench    run the benchmarks and write docs/performance.md"
	@echo "make docs     regenerate docs/results.md, the notebook and the picture of the packages"
	@echo "make picture  draw docs/packages.svg from the imports of the code"
	@echo "make screenshots   regenerate docs/screenshots/ and the README's picture"
	@echo "make lock     resolve requirements*.in into requirements*.txt"
	@echo "make clean    remove what make has put into this folder (collections are kept)"

demo: sample
	@headless=true; \
	if [ -z "$(filter-out 0,$(HEADLESS))" ] && [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	    headless=false; fi; \
	$(WITH_NPM) exec $(PY) -m streamlit run streamlit_app.py --server.port $(PORT) \
	    --server.address $(ADDRESS) --server.showEmailPrompt false --server.headless $$headless

sample: tools
	@$(WITH_NPM) $(PY) -m pipeline sample

# Without the forest everything else works: its error is shown, and set-up goes on.
setup: tools
	@$(PY) -m pipeline sample --fetch-only || true

tools: runtime npm
	@$(WITH_NPM) $(PY) -m pipeline.frontend
	@$(WITH_NPM) $(PY) -m pipeline weights

# The tests need it.
forest: runtime
	@$(PY) -m pipeline sample --fetch-only

test: dev tools forest chromium
	@$(WITH_NPM) $(PY) -m pytest -n $(JOBS) $(ARGS)

test-fast: dev tools forest
	@$(WITH_NPM) $(PY) -m pytest -n $(JOBS) -m "not browser and not model" $(ARGS)

soak: dev tools forest chromium
	@$(WITH_NPM) $(PY) .ci/soak.py --runs $(RUNS) --busy $(BUSY) --jobs $(JOBS) $(ARGS)

coverage: dev tools forest chromium
	@rm -rf .cache/coverage && mkdir -p .cache/coverage
	@$(WITH_NPM) $(PY) -m coverage run -m pytest -n $(JOBS) -q $(ARGS)
	@$(PY) -m coverage combine -q
	@$(PY) -m coverage json -q -o .cache/coverage/report.json
	@$(PY) .ci/covered.py .cache/coverage/report.json

lint: dev
	@$(PY) -m ruff check $(CODE)
	@$(PY) -m ruff format --check $(CODE)
	@$(PY) -m mypy

bench: dev setup chromium
	@$(WITH_NPM) $(PY) docs/make_performance.py $(ARGS)

docs: dev sample picture
	@$(WITH_NPM) $(PY) docs/make_results.py

picture: venv
	@$(PY) docs/make_packages.py $(ARGS)

screenshots: dev sample chromium
	@$(WITH_NPM) $(PY) docs/make_screenshots.py

lock:
	@sh .ci/venv.sh .venv-lock $(PYTHON)
	@.venv-lock/bin/python -m pip install -q --disable-pip-version-check uv
	.venv-lock/bin/python .ci/lock.py $(ARGS)

clean:
	rm -rf $(VENV) .venv-lock assets/vendor build .cache .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

venv:
	@sh .ci/venv.sh $(VENV) $(PYTHON)

runtime: venv
	@$(PY) .ci/install.py runtime

dev: venv
	@$(PY) .ci/install.py dev

npm: venv
	@npm --version >/dev/null 2>&1 && node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' \
	    || $(PY) .ci/install.py node

chromium: dev
	@sh .ci/chromium.sh $(PY)
