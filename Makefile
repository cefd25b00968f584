# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
#
#   make demo      the main job, after setting up .venv (no torch)
#   make test      all tests, on all cores; torch for the learned parts too
#   make install   everything in .venv
#   make lint | coverage | reference | reliability | sbom | lock | site | dist | bench | colcon | clean
#
# Needs Python 3.10 to 3.13 (choose one with PYTHON=...), a C++ compiler and a network on first use.
# Versions are those of requirements/constraints.txt, for the build environment too. PyPI's torch for
# x86_64 brings CUDA along: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu spares that.

PYTHON ?= python3
VENV := .venv
COLCON_VENV := .venv-colcon
SITE_VENV := .venv-site
BENCHMARK ?= latency

export PIP_CONSTRAINT := requirements/constraints.txt
export PIP_BUILD_CONSTRAINT := requirements/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A sourced ROS distribution would mix its libraries with those of the wheels, and a Python that
# runs on other wheels hands its library path down.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH PYTHONPATH RMW_IMPLEMENTATION
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
# Hundreds of processes import the tree: each would compile it again.
unexport PYTHONDONTWRITEBYTECODE
ifdef ROS_DISTRO
unexport LD_LIBRARY_PATH
endif

# The commands run this tree's Python (the installed package serves the compiled messages, which
# locdreamer_ros/__init__.py finds through its extended path). So a change of Python code needs no
# reinstall, and node processes, which inherit the variable, run the same code.
RUN := PYTHONPATH="$(CURDIR)"

# What the compiled and copied part of the installation is made of.
SOURCES := setup.py setup.cfg pyproject.toml CMakeLists.txt package.xml requirements/constraints.txt \
    $(shell find cmake config launch msg resource src -type f 2>/dev/null)

.PHONY: install demo test coverage reference reliability sbom lock site dist lint bench colcon clean

install: $(VENV)/.tools

demo: $(VENV)/.core
	$(RUN) $(VENV)/bin/locdreamer demo --output demo_output

# Half as many processes again as cores, because a third of the time tests wait for nodes; each with
# one thread: the arrays and tensors of the tests are tiny.
CORES := $(shell getconf _NPROCESSORS_ONLN)
PROCESSES := $(shell expr \( $(CORES) \* 3 + 1 \) / 2)
TEST := OMP_NUM_THREADS=1 $(RUN) $(VENV)/bin/python -m pytest --numprocesses $(PROCESSES) \
    --dist worksteal

test: $(VENV)/.tools
	$(TEST)

coverage: $(VENV)/.tools
	$(TEST) --cov

# docs/reference.md from the code: options, parameters, topics, messages, claims.
reference: $(VENV)/.tools
	$(RUN) $(VENV)/bin/python docs/make_reference.py

# The page of what tests marked `promise` hold.
reliability: $(VENV)/.tools
	$(TEST) test -m promise --promises docs/reliability.md

# What is installed, with versions and licences, as CycloneDX.
sbom: $(VENV)/.tools
	$(VENV)/bin/python -m pip install --quiet cyclonedx-bom
	$(VENV)/bin/cyclonedx-py environment --output-file sbom.json $(VENV)/bin/python

# The files that the package runs on and is built with, each by its hash.
lock: $(VENV)/.tools
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/python requirements/needed.py | $(VENV)/bin/uv pip compile --quiet --universal \
	    --python-version 3.10 --generate-hashes --no-annotate --custom-compile-command "make lock" \
	    --constraints requirements/constraints.txt --output-file requirements/locked.txt -

# The pages of docs/ as a site in site/; a link that leads nowhere ends it.
site: $(SITE_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(SITE_VENV)/bin/mkdocs build

# What a release is made of, in dist/: the source and a wheel for this machine, checked.
dist: $(SITE_VENV)/.installed
	rm -rf dist
	$(SITE_VENV)/bin/python -m build
	.ci/check_dist $(PYTHON)

lint: $(VENV)/.tools
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.learn
	$(RUN) $(VENV)/bin/locdreamer benchmark $(BENCHMARK) --output benchmark_output

# The same tree as a package of a colcon workspace, over a ROS prefix made of wheels.
colcon: $(COLCON_VENV)/.installed
	.ci/check_colcon $(COLCON_VENV)

clean:
	rm -rf build $(VENV) $(COLCON_VENV) $(SITE_VENV) site dist demo_output benchmark_output *.egg-info .coverage*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find locdreamer_ros test -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.core: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install '.[ros]'
	touch $@

# By name: the package is installed by now, only what the extra adds is fetched. Of torch, scipy,
# rerun and mypy little is ever imported, so their bytecode is not made beforehand (a minute).
$(VENV)/.tools: $(VENV)/.core
	$(VENV)/bin/python -m pip install --no-compile 'locdreamer_ros[learn,juno,view,test,dev]'
	touch $@

$(SITE_VENV)/.installed: requirements/site.txt requirements/constraints.txt
	$(PYTHON) -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/python -m pip install -r requirements/site.txt
	touch $@

$(VENV)/.learn: $(VENV)/.core
	$(VENV)/bin/python -m pip install --no-compile 'locdreamer_ros[learn,juno]'
	touch $@

# What the package depends on without the package itself, which colcon is to build: so uncompiled.
$(COLCON_VENV)/.installed: setup.cfg requirements/colcon.txt requirements/constraints.txt
	$(PYTHON) -m venv $(COLCON_VENV)
	LOCDREAMER_NO_ROS=1 CXX=none $(COLCON_VENV)/bin/python -m pip install '.[ros]' -r requirements/colcon.txt
	$(COLCON_VENV)/bin/python -m pip uninstall --yes locdreamer_ros
	touch $@
