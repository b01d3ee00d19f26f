# Waggle. `make demo` is the place to begin; everything lives in .venv and .waggle.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist loadfile
DEMO := WAGGLE_HOME=$(CURDIR)/.waggle $(BIN)/waggle

.PHONY: help install demo test test-all lint format lock bench bench-retrieval bench-large wheel clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 18

install: $(VENV)/.installed ## make .venv with Waggle in it

$(VENV)/.installed: requirements.lock scripts/install.py pyproject.toml
	$(PYTHON) scripts/install.py $(VENV)
	@touch $@

$(VENV)/.dev: requirements-dev.lock scripts/install.py pyproject.toml
	$(PYTHON) scripts/install.py $(VENV) --dev
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed ## get the chat model, index examples/, ask in English and in Chinese
	@$(DEMO) models pull
	@$(DEMO) index examples
	@echo; echo '$$ waggle ask "Who decoded the waggle dance, and which prize did he win?"'
	@$(DEMO) ask "Who decoded the waggle dance, and which prize did he win?"
	@echo; echo '$$ waggle ask "洋槐蜜为什么不易结晶？"'
	@$(DEMO) ask "洋槐蜜为什么不易结晶？"
	@echo; echo 'Ask your own:  WAGGLE_HOME=.waggle $(BIN)/waggle ask "…"'

test: $(VENV)/.dev ## run the tests
	$(PYTEST)

test-all: $(VENV)/.dev ## run the tests, the slow ones too
	$(PYTEST) --slow

lint: $(VENV)/.dev ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## resolve the dependencies anew
	$(BIN)/python scripts/lock.py

bench-retrieval: $(VENV)/.dev ## recall, MRR and nDCG on the open evaluation sets
	$(BIN)/python -m benchmarks.retrieval

bench: $(VENV)/.dev ## Waggle beside other systems, into docs/benchmarks.md
	$(BIN)/python -m benchmarks.compare

bench-large: $(VENV)/.dev ## a million passages: opening, searching, removing
	$(BIN)/python -m benchmarks.million --folder .waggle-large

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what the targets above made
	rm -rf $(VENV) .waggle .waggle-large benchmarks/.peers dist build .pytest_cache .mypy_cache .ruff_cache
