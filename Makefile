# Everything runs in .venv, which tools/venv.sh makes; stamp files in it remember what is installed.
# PYTHON=python3.12 chooses the interpreter; without it an existing .venv is kept.
PYTHON ?=
NB ?=

BIN := .venv/bin
# Progress is shown where someone watches, and nothing else elsewhere.
INSTALL := $(BIN)/python -m pip install --no-input -c constraints.txt $(if $(MAKE_TERMOUT),,-qq)
FACTS := pyproject.toml setup.py constraints.txt
TORCH := $(shell sed -n 's/^torch==\([0-9.]*\).*/\1/p' constraints.txt)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo test docs bench export notebooks lock clean FORCE

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

notebooks: .venv/.dev  ## run notebooks in place and clean them (NB=nbs/images/02_resize.ipynb: only this one)
	$(BIN)/python tools/notebooks.py run $(NB)

lock: .venv/.made  ## write constraints.txt, the versions of everything the tests install, from pyproject.toml
	$(BIN)/python -m pip install -qq --no-input uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.10 --no-annotate --custom-compile-command "make lock" \
		--all-extras --group dev pyproject.toml -o constraints.txt

clean:  ## remove what builds and tests leave behind (.venv stays)
	rm -rf build dist *.egg-info nbs/_proc _proc _docs .pytest_cache .ruff_cache .mypy_cache
	find srfast nbs tools tests benchmarks research docs -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made: FORCE
	@tools/venv.sh $(PYTHON)

.venv/.demo: .venv/.made $(FACTS)
	@echo "Installing srfast into .venv. The largest download is torch $(TORCH): about 0.2 GB in its CPU build, about 3 GB with CUDA,"
	@echo "which pip takes on Linux unless PIP_EXTRA_INDEX_URL names PyTorch's index of CPU builds (see README.md)."
	$(INSTALL) -e . scikit-image
	@touch $@

# The page is tested in Chromium where there is one; only where CI is set is one got. Without, those tests say so and are skipped.
.venv/.dev: .venv/.made $(FACTS)
	@echo "Installing srfast and its tests into .venv: about 1 GB with the CPU build of torch $(TORCH), about 4 GB with CUDA."
	$(INSTALL) -e '.[all]' --group dev
	@[ -z "$(CI)" ] || tools/get_chromium.sh
	@[ -z "$(CI)" ] || tools/get_runtime.sh
	@touch $@

.venv/.docs: .venv/.made $(FACTS)
	$(INSTALL) --group docs
	@touch $@
