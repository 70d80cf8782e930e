# Everything runs in .venv, made from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := hasnas/cim_estimator hasnas/search_spaces hasnas/datasets hasnas/nas hasnas/conformance
# One thread for each process: small networks run no faster on more, and results do not depend on the machine.
export OMP_NUM_THREADS := 1

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(BIN)/hasnas search experiments/digits.yaml --workers 2

test: $(VENV)/installed-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/installed-test
	$(BIN)/ruff check hasnas $(FOLDERS) tests experiments
	$(BIN)/mypy $(FOLDERS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python constraints.txt setup.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search]'
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search,test]'
	touch $@

clean:
	rm -rf $(VENV)
