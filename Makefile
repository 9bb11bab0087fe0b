PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-portable test-procgen fuzz check clean

demo: .venv/.runtime  ## attack the bundled robust network and write a report
	rm -rf runs/demo
	$(BIN)/adrgd attack --model bundled:mnist-pgd --data bundled:mnist --limit 200 --norm linf --eps 0.3 --steps 50 --out runs/demo

test: check  ## style, types, tests
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
	rm -rf .venv .venv-procgen runs
