# Everything runs in .venv, which is made here; stamp files in it remember what is installed.
PYTHON ?= python3
NB ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --no-input -c constraints.txt
FACTS := setup.py pyproject.toml settings.ini constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo test docs bench export notebooks clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: .venv/.demo  ## install the package and see it work
	$(BIN)/srfast demo

test: .venv/.dev  ## everything a change must pass
	tools/check.sh

docs: .venv/.docs  ## build the documentation site into _docs/, from the notebooks as they are
	$(BIN)/python tools/docs.py build

bench: .venv/.dev  ## time and memory of upscale against the roofline, to data/results/tables/bench_inference.csv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench_inference.py

export: .venv/.dev  ## write srfast/ and README.md from nbs/
	$(BIN)/nbdev_export
	$(BIN)/python tools/readme.py

notebooks: .venv/.dev  ## run notebooks in place and clean them (NB=nbs/02_resize.ipynb: only this one)
	$(BIN)/python tools/notebooks.py run $(NB)

clean:  ## remove what builds and tests leave behind (.venv stays)
	rm -rf build dist *.egg-info nbs/_proc _proc _docs .pytest_cache .ruff_cache
	find srfast nbs tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: .venv/.made $(FACTS)
	$(INSTALL) -e . scikit-image
	@touch $@

# The page is tested in Chromium where there is one; only where CI is set is one got. Without, those tests say so and are skipped.
.venv/.dev: .venv/.made $(FACTS)
	$(INSTALL) -e '.[dev]'
	@[ -z "$(CI)" ] || tools/get_chromium.sh
	@touch $@

.venv/.docs: .venv/.made $(FACTS)
	sed -n 's/^docs_requirements = //p' settings.ini | xargs $(INSTALL)
	@touch $@
