# Each target sets up what it needs in .venv; a newcomer types `make demo` or `make test` and nothing before it.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo docs test acceptance lint format audit sbom clean fuzz torture peers soak bench dist wheelhouse deb units

demo: .venv/installed
	$(BIN)/dicomnode demo

test: lint
	$(BIN)/pytest --numprocesses 2 -m "not acceptance" tests

acceptance: .venv/dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m acceptance tests

# Inputs for each target, numbered from a seed; 100000 of each for a night.
N ?= 2000
SEED ?= 20261121

fuzz: .venv/dev
	$(BIN)/python -m tests.fuzz --inputs $(N) --seed $(SEED)

# N torments of a running node, then an audit; as root also with a disk of its own that fills up and fails.
torture: N = 200
torture: .venv/dev
	$(BIN)/python -m tests.torture --torments $(N) --seed $(SEED)

# Load for a minute, N studies through the whole node, and a C-STORE at a million instances, each with its limit.
soak: N = 1000
soak: .venv/dev
	$(BIN)/python -m bench.soak --studies $(N)

# Every row of bench/RESULTS.md against the named peers, an hour or more; ROWS="settled small" for some. Quiet machine!
RUNS ?= 5
bench: .venv/dev peers
	$(BIN)/python -m bench --runs $(RUNS) $(ROWS)

# The pages of the reference are made from the code and kept; the site goes to site/.
docs: .venv/dev
	$(BIN)/python -m release.reference
	$(BIN)/mkdocs build --strict --quiet

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# pyradiomics 3.0.1 imports numpy and setuptools in its setup.py without declaring them, so these come first and its
# build must see them.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) numpy "setuptools<81" wheel
	$(PIP) --no-build-isolation pyradiomics
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/installed
	$(PIP) --editable ".[dev]"
	touch $@

# Known holes in the versions that are pinned. The tool lives apart, so that it is no part of what it looks at; with --strict
# it fails where it could not look a package up, as on a network without the public index.
audit:
	test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && .venv/audit/bin/pip install --quiet pip-audit; } \
	|| { echo "audit: pip-audit cannot be installed here; nothing was audited"; exit 1; }
	.venv/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

# The packages that imported models are held against, in an environment of their own; tests find it there.
peers: .venv/peers/installed

.venv/peers/installed: constraints.txt
	test -x .venv/peers/bin/python || $(PYTHON) -m venv .venv/peers
	.venv/peers/bin/python -m pip install --quiet nnunetv2 monai onnx onnxruntime
	touch $@

sbom: .venv/installed
	$(BIN)/python release/sbom.py > sbom.json

# What is handed out, below dist/. It is for the minor version of $(PYTHON), and for a C library as old as this machine's.
build/venv/ready: constraints.txt
	test -x build/venv/bin/python || $(PYTHON) -m venv build/venv
	build/venv/bin/python -m pip install --quiet --constraint constraints.txt numpy "setuptools>=77,<81" wheel
	touch $@

dist: build/venv/ready
	build/venv/bin/python release/distributions.py dist

# Every wheel that a node needs, with install.sh, which needs neither network nor compiler.
wheelhouse: dist
	build/venv/bin/python release/wheelhouse.py dist/wheelhouse dist/dicomnode_ai-*.whl

# Several REVISIONS make several packages of the same version, each an upgrade of the one before.
REVISIONS ?= 1
COMPRESSION ?= zstd
DEBS ?= dist
deb: wheelhouse
	build/venv/bin/python release/deb.py dist/wheelhouse $(DEBS) --compression $(COMPRESSION) $(REVISIONS:%=--revision %)

# What systemd says of the units; the command itself need not be installed here.
units:
	rm -rf build/units && mkdir -p build/units
	for unit in systemd/*; do sed "s,/opt/dicomnode/bin/dicomnode,/bin/true," $$unit > build/units/$${unit#systemd/}; done
	systemd-analyze verify build/units/*
	systemd-analyze security --offline=yes --no-pager systemd/*.service

clean:
	rm -rf .venv build dist site *.egg-info demo-output* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
