PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Which torch goes into .venv on Linux: the one for processors (1.3 GB installed), or by TORCH=gpu the one with CUDA (5.6 GB).
TORCH ?= cpu
TORCH_BACKEND ?= cpu
CPU_WHEELS = https://download.pytorch.org/whl/cpu

CHROMIUM ?= chromium

.PHONY: demo picture docs notebooks outputs test test-minimum test-portable test-procgen fuzz check dist clean

demo: .venv/.runtime  ## one robust network under three attacks at the radius it was trained for, and a report
	rm -rf runs/demo
	$(BIN)/adrgd evaluate --models bundled:mnist-convnext --data bundled:mnist --limit 200 --eps 0.3 --noise-points 0 --solvers pgd graduated 'standard?budget=1000' --out runs/demo

picture: demo  ## the picture of README, by Chromium
	$(CHROMIUM) --headless --no-sandbox --hide-scrollbars --window-size=1140,960 --screenshot=docs/report.png "file://$(CURDIR)/runs/demo/report.html"

test: check docs  ## style, types, the site, tests
	$(BIN)/pytest

test-portable: .venv/.test  ## nightly: the tests as other machines would run them
	COLUMNS=20 FORCE_COLOR=1 TERM=dumb LC_ALL=C TZ=Asia/Kathmandu PYTHONHASHSEED=7 OMP_NUM_THREADS=4 \
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE $(BIN)/pytest
	$(BIN)/pytest --rounding by-batch --ignore tests/cli --ignore tests/attacks/test_ray_workers.py --ignore tests/models/test_specs.py

# TORCH_BACKEND= takes torch from the package index, where PyTorch's own cannot be reached
test-minimum:  ## the tests with the lowest versions that pyproject.toml allows, in an environment of their own
	$(PYTHON) -m venv .venv-minimum
	.venv-minimum/bin/pip install --quiet --disable-pip-version-check uv
	.venv-minimum/bin/uv pip install --quiet --python .venv-minimum --resolution lowest-direct $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND)) -e '.[test]'
	.venv-minimum/bin/uv pip install --quiet --python .venv-minimum --no-deps torchattacks==3.5.1 adv-lib  # as in .venv
	.venv-minimum/bin/python -m pytest --ignore tests/docs -W ignore::DeprecationWarning -W ignore::ResourceWarning \
	-W ignore::pytest.PytestUnraisableExceptionWarning  # of old libraries under new ones

dist: .venv/.runtime  ## wheel and sdist into dist/, checked, with the citation and what a type checker sees
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/pip install --quiet --disable-pip-version-check -c constraints.txt build twine cffconvert pyright
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/twine check --strict dist/*
	.venv-dist/bin/cffconvert --validate
	.venv-dist/bin/pyright -p packaging/typed --pythonpath $(BIN)/python

test-procgen:  ## the games of Procgen, in an environment of their own: they ask for an older numpy
	$(PYTHON) -m venv .venv-procgen
	.venv-procgen/bin/pip install --quiet --disable-pip-version-check -c constraints-procgen.txt -e '.[procgen]' pytest hypothesis
	.venv-procgen/bin/pip check
	.venv-procgen/bin/python -m pytest tests/rl

fuzz: .venv/.test  ## 10,000 damaged files of each kind, in processes with limits: two hours at most
	PYTHONPATH=tests $(BIN)/python -m fuzz --cases 10000 --seed 0 --minutes 120

docs: .venv-docs/.ready  ## the site, into site/: every link is checked, and that nothing is loaded from elsewhere
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

# An environment of its own: the extra [docs] and nothing else. The site is built from the sources as text, without torch.
.venv-docs/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' > .venv-docs/requirements.txt
	.venv-docs/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -r .venv-docs/requirements.txt
	touch $@

notebooks: .venv/.notebooks  ## run the notebooks of docs/notebooks in place, on a processor, with what comes with the package
	$(BIN)/python docs/notebooks/run.py

outputs: .venv/.test  ## what commands print in the pages, written anew
	PYTHONPATH=tests $(BIN)/python -m docs.outputs

.venv/.notebooks: .venv/.runtime
	$(PIP) -e '.[notebooks]'
	touch $@

check: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "adrgd needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/.torch: .venv/bin/python constraints.txt
ifeq ($(TORCH)$(shell uname -s),cpuLinux)
	@echo "torch: the build for processors; TORCH=gpu takes the one with CUDA"
	@version="$$(grep '^torch==' constraints.txt)+cpu"; \
	$(PIP) "$$version" 2>/dev/null || $(PIP) --extra-index-url $(CPU_WHEELS) "$$version" || \
	{ echo "error: expected torch for processors at $(CPU_WHEELS), found none; TORCH=gpu takes the usual one" >&2; exit 1; }
else
	@echo "torch: the usual build of this system"
	$(PIP) torch
endif
	touch $@

.venv/.runtime: .venv/.torch pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

.venv/.test: .venv/.runtime
	$(PIP) -e '.[test]'
	$(PIP) --no-deps torchattacks adv-lib  # peers for two tests; their own requirements pull in torchvision, which these attacks do not need
	touch $@

clean:
	rm -rf .venv .venv-dist .venv-docs .venv-minimum .venv-procgen dist site runs
