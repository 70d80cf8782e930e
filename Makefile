# Everything runs in .venv, made from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := hasnas/cim_estimator hasnas/search_spaces hasnas/datasets hasnas/nas hasnas/conformance
# One thread for each process: small networks run no faster on more, and results do not depend on the machine.
export OMP_NUM_THREADS := 1

.PHONY: audit demo test docs check test-random test-old-processor lint clean

demo: $(VENV)/installed
	$(BIN)/hasnas search experiments/digits.yaml --workers 2

test: $(VENV)/installed-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What to run while working: lint, types, and the tests that take no time.
check: $(VENV)/installed-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

# Properties with other examples than those that every run of the tests draws.
test-random: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m hypothesis --hypothesis-profile=random

# What depends on how floats are rounded, as a processor without AVX rounds them.
test-old-processor: $(VENV)/installed-test
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/python -m pytest -n 2 --dist loadfile \
		tests/search_spaces tests/nas/export tests/nas/tracing tests/nas/imperfect_chips tests/nas/scoring \
		tests/nas/training/methods hasnas/search_spaces hasnas/nas/scoring hasnas/nas/imperfect_chips \
		hasnas/nas/training hasnas/nas/export

# The documentation: build/site/index.html, which opens from a disk. A warning is an error (not behind --quiet).
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --config-file docs/mkdocs.yml

lint: $(VENV)/installed-test
	$(BIN)/ruff check hasnas $(FOLDERS) tests experiments docs
	$(BIN)/mypy $(FOLDERS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python constraints.txt setup.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search]'
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search,test]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search,docs]'
	touch $@

# Known vulnerabilities of the pinned packages; asks pypi.org, so it is no part of the tests.
audit:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit
	$(VENV)-audit/bin/pip-audit --no-deps --disable-pip --requirement constraints.txt

clean:
	rm -rf $(VENV) $(VENV)-audit
