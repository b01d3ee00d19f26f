# Waggle. `make demo` is the place to begin; everything lives in .venv and .waggle.
PYTHON ?= python3
VENV := .venv
VLLM := .venv-vllm
SCHEMA := .venv-schema
BIN := $(VENV)/bin
# The tests start hundreds of processes: what one has compiled the next need not.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist worksteal
TEST_VLLM := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false WAGGLE_VLLM_MODEL=$(CURDIR)/$(VLLM)/smollm2-135m-instruct
DEMO := WAGGLE_HOME=$(CURDIR)/.waggle $(BIN)/waggle

.PHONY: help install demo test test-all test-vllm test-gpu test-schema lint format lock bench bench-retrieval bench-large bench-serving bench-serve wheel clean

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
	@echo; echo '$$ waggle ask "中蜂围住胡蜂时，蜂团中心升到多少摄氏度？"'
	@$(DEMO) ask "中蜂围住胡蜂时，蜂团中心升到多少摄氏度？"
	@echo; echo 'Ask your own:  WAGGLE_HOME=.waggle $(BIN)/waggle ask "…"'

test: $(VENV)/.dev ## run the tests
	$(PYTEST)

test-all: $(VENV)/.dev ## run the tests, the slow ones too
	$(PYTEST) --slow

$(VLLM)/.made-%: $(VENV)/.dev scripts/vllm_for_tests.py rag/serving/environment.py
	$(BIN)/python scripts/vllm_for_tests.py $(VLLM) $(if $(filter gpu,$*),--gpu)
	@touch $@

test-vllm: $(VLLM)/.made-cpu ## the tests against a real vLLM, on the processor
	CUDA_VISIBLE_DEVICES= $(TEST_VLLM) WAGGLE_VLLM_PYTHON=$(CURDIR)/$(VLLM)/cpu/bin/python $(BIN)/python -m pytest -n 2 --dist loadgroup tests/vllm

test-gpu: $(VLLM)/.made-gpu ## the same tests on a GPU
	$(TEST_VLLM) WAGGLE_VLLM_PYTHON=$(CURDIR)/$(VLLM)/gpu/bin/python $(BIN)/python -m pytest tests/vllm

test-schema: $(VENV)/.dev ## the routes as /openapi.json describes them, tried out by Schemathesis
	OMP_NUM_THREADS=1 $(BIN)/python scripts/schema_test.py $(SCHEMA)

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

bench-serving: $(VENV)/.dev ## vLLM on this machine's GPU, into docs/benchmarks.md
	$(BIN)/python -m benchmarks.serving

bench-serve: $(VENV)/.dev ## load on `waggle serve`, beside Hayhooks, into docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.load $(if $(SOAK),--soak $(SOAK))

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what the targets above made
	rm -rf $(VENV) $(VLLM) $(SCHEMA) .waggle .waggle-large benchmarks/.peers dist build .pytest_cache .mypy_cache .ruff_cache
