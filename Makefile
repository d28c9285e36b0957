# One environment, .venv, for the demo, the tests and the checks.

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_PIP_ARGS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

VENV := .venv
OLDEST := .venv-oldest-triton
APP := .venv-app
MATCHERS_ARGS ?=
OLDEST_TRITON := triton==3.6.0
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCHMARKED := $(VENV)/.benchmarked
PLUGGED := $(VENV)/.plugged
# torchvision, which timm needs, does not load beside every build of torch: occmask-timm goes in without it.
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/occmask-*/pyproject.toml))
METHODS_ARGS ?= --seeds 3

.PHONY: help install plugins plugins-alone demo methods matchers app test test-app test-library test-plugins test-kernels check bench aot-oldest clean always

help:
	@echo "make demo     train and evaluate on real faces, write runs/demo/ (a few minutes on a CPU)"
	@echo "make methods  every answer to occlusion on the same faces, write runs/methods/ (within 45 minutes on a CPU)"
	@echo "make matchers ways of comparing faces, on people nobody trained on, write runs/matchers/"
	@echo "make app      a page on this computer: drag covers over two faces (after make demo, whose model it shows)"
	@echo "make test     run all tests, those of the plug-ins too, and measure coverage"
	@echo "make check    lint, formatting, types"
	@echo "make bench    our operations beside others': time, memory, error; write runs/bench.json (under 5 minutes)"
	@echo "make aot-oldest  compile every kernel with the oldest Triton that is promised"
	@echo "make plugins  put the plug-ins of plugins/ into .venv"
	@echo "make plugins-alone  each plug-in in an environment of its own, used and uninstalled (some minutes each)"
	@echo "make install  only create .venv; the targets above do so when they need it"
	@echo "make clean    delete .venv, build leftovers and caches; runs/ stays"
	@echo
	@echo "PYTHON=python3.12         another interpreter (3.11 or newer)"
	@echo "TORCH_PIP_ARGS=...        more arguments to the 'pip install $(TORCH)' of the first run"
	@echo "DEMO_ARGS='--seeds 3'     options of 'occmask demo'"
	@echo "PYTEST_ARGS='-k margin'   options of pytest"
	@echo "METHODS_ARGS='--seeds 1'  options of 'occmask compare-methods'"
	@echo "BENCH_ARGS='--only mask'  options of the benchmark; '--help' names them"

demo: $(INSTALLED)
	@$(BIN)/occmask demo --out runs/demo $(DEMO_ARGS)

methods: $(PLUGGED)
	@$(BIN)/occmask compare-methods orl --out runs/methods $(METHODS_ARGS)

matchers: $(INSTALLED)
	@$(BIN)/occmask compare-matchers orl --out runs/matchers $(MATCHERS_ARGS)

app: $(APP)/.installed
	@$(APP)/bin/occmask app --weights runs/demo/weights/augmented_fused.safetensors

test: test-library test-plugins test-kernels

# The library is tested without the plug-ins that stand beside it, and these with all of them installed.
test-library: $(PLUGGED)
	@OCCMASK_PLUGINS=none $(BIN)/python -m pytest -m "not interpreter" --cov=occmask --cov-report=term --cov-fail-under=90 $(PYTEST_ARGS)

test-plugins: $(PLUGGED)
	@$(BIN)/python -m pytest plugins -p no:cacheprovider $(PYTEST_ARGS)

# Triton decides at import whether it interprets kernels, so these tests are a run of their own.
test-kernels: $(INSTALLED)
	@TRITON_INTERPRET=1 $(BIN)/python -m pytest -m interpreter tests/kernels -p no:cacheprovider || test $$? -eq 5  # 5: no Triton here

$(PLUGGED): $(INSTALLED) $(PLUGINS:%=%/pyproject.toml)
	@echo "Installing the plug-ins of plugins/"
	@$(PIP) $(patsubst %,-e %,$(filter-out plugins/occmask-timm,$(PLUGINS)))
	@$(PIP) --no-deps -e plugins/occmask-timm
	@touch $@

# Clicks through the page of `occmask app`; needs Chromium (apt install chromium). Gradio and Playwright are large, so
# they have an environment of their own.
test-app: $(APP)/.installed
	@$(APP)/bin/python -m pytest -m browser tests/app -p no:cacheprovider

$(APP)/.installed: pyproject.toml
	@echo "Creating $(APP)"
	@"$(PYTHON)" -m venv --clear $(APP)
	@$(APP)/bin/python -m pip install --disable-pip-version-check -qq "$(TORCH)" $(TORCH_PIP_ARGS)
	@$(APP)/bin/python -m pip install --disable-pip-version-check -qq -e '.[app-test,demo]'
	@touch $@

# The oldest Triton that the kernels promise to run on, in an environment that holds nothing else.
aot-oldest: $(OLDEST)/.installed
	@PYTHONPATH=kernels $(OLDEST)/bin/python -W ignore -m occmask_kernels.aot

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(BENCHMARKED)
	@PYTHONPATH=kernels $(BIN)/python -m benchmarks --json runs/bench.json $(BENCH_ARGS)

install: $(INSTALLED)

plugins: $(PLUGGED)

# Downloads torch for each; no part of the tests.
plugins-alone: $(INSTALLED)
	@TORCH="$(TORCH)" TORCH_PIP_ARGS="$(TORCH_PIP_ARGS)" $(BIN)/python plugins/alone.py

clean:
	rm -rf $(VENV) $(OLDEST) $(APP) build dist *.egg-info .coverage htmlcov .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find occmask kernels tests plugins -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and on its own: what comes later finds it there and does not choose another build.
# On a terminal pip shows its progress; elsewhere it is quiet until something fails.
PIP := quiet=; test -t 1 || quiet=-qq; $(BIN)/python -m pip install --disable-pip-version-check $$quiet

$(INSTALLED): pyproject.toml
	@if ! test -x $(BIN)/python; then \
	    "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	        echo "occmask needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" -V 2>/dev/null || echo 'not one')." >&2; \
	        echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }; \
	    echo "Creating $(VENV)"; \
	    "$(PYTHON)" -m venv --clear $(VENV) || { \
	        rm -rf $(VENV); echo "Could not create $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing $(TORCH) (by far the largest part)"
	@$(PIP) "$(TORCH)" $(TORCH_PIP_ARGS)
	@echo "Installing occmask and its tools"
	@$(PIP) -e '.[dev]'
	@touch $@

$(OLDEST)/.installed: $(INSTALLED)
	@echo "Creating $(OLDEST) with $(OLDEST_TRITON)"
	@"$(PYTHON)" -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --disable-pip-version-check -qq "$(TORCH)" $(TORCH_PIP_ARGS)
	@$(OLDEST)/bin/python -m pip install --disable-pip-version-check -qq "$(OLDEST_TRITON)"
	@touch $@

# What the benchmark compares with. Without the packages it runs too, and says what is missing.
$(BENCHMARKED): $(INSTALLED) kernels/benchmarks/requirements.txt
	@$(PIP) --no-deps -r kernels/benchmarks/requirements.txt && touch $@ \
	    || echo "The packages to compare with could not be installed; the benchmark goes on without them." >&2

# A stamp without a working interpreter (Python itself was upgraded or removed) counts for nothing.
ifneq ($(shell test -x $(BIN)/python && echo works),works)
$(INSTALLED): always
endif
