PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup run test check fix bench terrarium-report negative-images intrinsic-negative kills studies pages negation-report without frontier

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

run: setup          ## the README's first example
	$(BIN)/python examples/mustache.py

test: setup         ## behaviour, in two processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup        ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

fix: setup          ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup        ## speed beside diffusers' own pipeline, and of several processes beside one
	$(BIN)/python benchmarks/speed.py --write docs/speed.md
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/combining.py

kills: setup        ## a study killed at twenty moments, and run again to the same end
	$(BIN)/python benchmarks/kills.py

terrarium-report: setup  ## terrarium's figures over fresh seeds, into docs/terrarium.md
	$(BIN)/python benchmarks/terrarium

negative-images: setup  ## pictures as negatives on terrarium, over 100 seeds, into docs/negative-images.md
	$(BIN)/python benchmarks/terrarium/negative_images.py

intrinsic-negative: setup  ## two negatives baked into terrarium, and what they cost, into docs/intrinsic-negative.md
	$(BIN)/python benchmarks/terrarium/intrinsic.py

studies: setup      ## every plan in studies/, and what came of it beside it; about half an hour
	$(BIN)/python benchmarks/studies.py

pages: setup        ## docs/rules, from the rules' own words
	$(BIN)/python docs/generate.py

negation-report: setup  ## what the negation grammar understands, into docs/negation.md
	$(BIN)/python benchmarks/negation_report.py

without: setup      ## ten sentences with "without" on terrarium, into docs/without.md; about ten minutes
	$(BIN)/python benchmarks/without.py

frontier: setup     ## every rule beside the others, into docs/frontier.md; hours on two cores, resumed where it stopped
	$(BIN)/python benchmarks/frontier
