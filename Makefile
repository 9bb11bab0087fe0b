PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo docs notebooks test test-portable test-procgen fuzz check clean

demo: .venv/.runtime  ## attack the bundled robust network and write a report
	rm -rf runs/demo
	$(BIN)/adrgd attack --model bundled:mnist-pgd --data bundled:mnist --limit 200 --norm linf --eps 0.3 --steps 50 --out runs/demo

test: check docs  ## style, types, the site, tests
	$(BIN)/pytest

test-portable: .venv/.test  ## nightly: the tests as other machines would run them
	COLUMNS=20 FORCE_COLOR=1 TERM=dumb LC_ALL=C TZ=Asia/Kathmandu PYTHONHASHSEED=7 OMP_NUM_THREADS=4 \
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE $(BIN)/pytest
	$(BIN)/pytest --rounding by-batch --ignore tests/cli --ignore tests/attacks/test_ray_workers.py --ignore tests/models/test_specs.py

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

.venv/.runtime: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

.venv/.test: .venv/.runtime
	$(PIP) -e '.[test]'
	$(PIP) --no-deps torchattacks adv-lib  # peers for two tests; their own requirements pull in torchvision, which these attacks do not need
	touch $@

clean:
	rm -rf .venv .venv-docs .venv-procgen site runs
