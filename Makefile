# cognito-gateway: tasks in a checkout. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

# Images of Python set this to 1, and then every program that a test starts compiles all its modules again.
export PYTHONDONTWRITEBYTECODE :=

# tests/conftest.py chooses the number of processes. Neighbours run in one of them, which shares what it started, until
# one that is done takes over a part of the rest.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install demo test test-engines test-kubernetes test-slow test-faults test-uvloop coverage soak fuzz lint format bench bench-check sslyze mcp axe peers screenshots config protos lock dist sbom clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.run ## install the gateway into .venv

demo: $(VENV)/.run ## run local Cognito, a sample API on 127.0.0.1:8080 and the gateway on 127.0.0.1:8000
	@$(BIN)/cognito-gateway demo $(ARGS)

test: $(VENV)/.test ## install test dependencies and run the fast tests
	$(PYTEST) $(ARGS)

test-engines: $(VENV)/.test ## run tests with real programs: nginx, Envoy, Chromium, Helm, the AWS CLI, Node.js …
	$(PYTEST) -m "engine and not slow" $(ARGS)

test-slow: $(VENV)/.test ## run the slow tests except the fault tests, and print their measurements
	$(BIN)/python -m pytest -m "slow and not fault and not kubernetes" -rA $(ARGS)

test-faults: $(VENV)/.test ## run the fault tests under load, and write the results into docs/reliability.md
	@mkdir -p build && rm -f build/faults.jsonl
	@touch build/faults.jsonl; \
	FAULT_FIGURES=$(CURDIR)/build/faults.jsonl $(BIN)/python -m pytest -m "fault and not kubernetes" $(ARGS); status=$$?; \
	$(BIN)/python -m tests.support.figures build/faults.jsonl --write && exit $$status

test-kubernetes: $(VENV)/.test ## test the chart in a real Kubernetes (needs root and Go), and write its rows of docs/reliability.md
	-$(PYTHON) -m tests.support.cluster.build
	@mkdir -p build && rm -f build/kubernetes.jsonl
	@touch build/kubernetes.jsonl; \
	FAULT_FIGURES=$(CURDIR)/build/kubernetes.jsonl $(BIN)/python -m pytest -m kubernetes $(ARGS); status=$$?; \
	$(BIN)/python -m tests.support.figures build/kubernetes.jsonl --write && exit $$status

test-uvloop: $(VENV)/.test ## run the tests of the data path and the processes on uvloop
	$(PYTEST) -m "not slow" --uvloop tests/client tests/serve $(ARGS)

# What decides who may do what, and with which headers: every branch of it is taken by a test.
DECIDES := gateway/gate/*,gateway/policy/*,gateway/tokens/*,gateway/http/headers.py,gateway/http/forwarded.py
coverage: $(VENV)/.test ## run the fast tests with branch coverage; fails unless gate, policy, tokens and headers are fully covered
	$(PYTEST) --cov --cov-report= $(ARGS)
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='$(DECIDES)'

soak: $(VENV)/.test ## send two million requests of every kind; fails unless memory stays flat
	$(BIN)/python -m tests.faults.soak $(ARGS)

fuzz: $(VENV)/.test ## run the fuzz targets and the tests of paths and routes, fifty times as long as in a test run
	FUZZ_TIMES=50 $(PYTEST) --timeout 0 tests/fuzz tests/policy tests/local_cognito/test_wire.py $(ARGS)

sslyze: .venv-sslyze/.done ## install sslyze, which one test uses, in its own environment: it pins an older cryptography

.venv-sslyze/.done: requirements/sslyze.txt
	@$(PYTHON) -m venv .venv-sslyze
	.venv-sslyze/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/sslyze.txt
	@touch $@

mcp: .venv-mcp/.done .node-mcp/.done ## install the MCP clients and servers that tests use, in their own environments

.venv-mcp/.done: requirements/mcp.txt
	@$(PYTHON) -m venv .venv-mcp
	.venv-mcp/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/mcp.txt
	@touch $@

# With the Node.js that they need, which is newer than Debian's: npm only installs.
.node-mcp/.done: $(wildcard tests/mcp/programs/*.json)

axe: .node-axe/.done ## install axe-core, which tests run on every page, apart

.node-axe/.done: $(wildcard tests/pages/programs/*.json)

# Each target: package.json and package-lock.json of one folder.
.node-%/.done:
	@command -v npm >/dev/null || { echo "make: no program npm here: install it, e.g. with 'apt-get install npm'" >&2; exit 1; }
	@rm -rf .node-$* && mkdir .node-$* && cp $^ .node-$*/
	cd .node-$* && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

peers: .venv-peers/.done ## install the servers and clients of others that tests use, and the JARs of those in Java, beside .venv

PEERS := tests/client/programs
.venv-peers/.done: requirements/peers.txt $(PEERS)/pom.xml $(PEERS)/jars.sha256
	@$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/peers.txt
	@rm -rf .venv-peers/jars .venv-peers/new
	mvn -B -q -f $(PEERS)/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies -DoutputDirectory=$(CURDIR)/.venv-peers/new
	cd .venv-peers/new && ls *.jar | sort > ../jars.list && sha256sum --quiet --strict -c $(CURDIR)/$(PEERS)/jars.sha256
	@sed 's/^[^ ]*  //' $(PEERS)/jars.sha256 | sort | cmp - .venv-peers/jars.list
	@mv .venv-peers/new .venv-peers/jars
	@touch $@

lint: $(VENV)/.test ## run ruff, mypy (strict), yamllint, hadolint and shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint -s config local_cognito helm .github .yamllint.yaml .pre-commit-config.yaml
	$(BIN)/hadolint Dockerfile local_cognito/Dockerfile
	$(BIN)/shellcheck .ci/run .ci/programs .ci/helm

format: $(VENV)/.test ## format the code with ruff
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

bench: $(VENV)/.run ## benchmark the gateway and the installed peers (nginx, haproxy, apache2, oauth2-proxy)
	$(BIN)/python -m bench $(ARGS)

bench-check: $(VENV)/.run ## fail if a request costs more CPU than in the last release (ARGS="--against REF": than in that commit)
	$(BIN)/python -m bench.check $(ARGS)

screenshots: $(VENV)/.test ## save screenshots of every page to docs/screenshots: narrow, wide, light, dark (needs chromium)
	$(BIN)/python -m tests.pages.screenshots docs/screenshots

config: $(VENV)/.run ## regenerate the schema, the example and generated parts of the docs
	$(BIN)/python -m gateway.config.generate
	$(BIN)/python -m tests.support.rooms
	$(BIN)/python -m tests.support.recipes
	$(BIN)/python -m tests.support.catalogues

protos: $(VENV)/.test ## regenerate the messages of Envoy's gRPC from ext_authz.proto
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. gateway/envoy/ext_authz.proto

COMPILE := $(BIN)/python -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade
lock: $(VENV)/.test ## update the dependencies in requirements/*.txt, with hashes and without registry URLs
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) -c requirements/run.txt --extra redis --extra grpc --extra tracing pyproject.toml -o requirements/image.txt
	$(COMPILE) -c requirements/run.txt local_cognito/pyproject.toml -o requirements/local_cognito.txt
	$(COMPILE) requirements/sslyze.in -o requirements/sslyze.txt
	$(COMPILE) requirements/mcp.in -o requirements/mcp.txt
	$(COMPILE) requirements/peers.in -o requirements/peers.txt
	for folder in mcp pages; do (cd tests/$$folder/programs && npm update --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved) || exit; done
	$(COMPILE) -c requirements/run.txt --extra redis --extra grpc --extra tracing --extra test --extra lint pyproject.toml requirements/build.in -o requirements/test.txt

VERSION = $(shell $(BIN)/python -c 'from gateway.version import VERSION; print(VERSION)')
dist: sbom ## build sdist and wheels in dist/, with the software bill of materials (sbom)
	rm -f dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m build --no-isolation --wheel --outdir dist local_cognito

# Of an environment that holds what the image holds, and nothing else: so the graph and the licenses are known.
sbom: $(VENV)/.test ## list every package of the image with version and license, as CycloneDX, in dist/
	rm -rf build/sbom
	$(BIN)/python -m venv --without-pip build/sbom
	$(PIP) --python build/sbom/bin/python install --require-hashes -r requirements/image.txt
	sed 's/^dynamic = \["version"\]/version = "$(VERSION)"/' pyproject.toml > build/sbom/pyproject.toml
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment build/sbom/bin/python --pyproject build/sbom/pyproject.toml \
	  --output-reproducible -o dist/cognito-gateway-$(VERSION).cdx.json

clean: ## remove everything that these targets created
	rm -rf $(VENV) .venv-sslyze .venv-mcp .venv-peers .node-mcp .node-axe build dist *.egg-info local_cognito/build local_cognito/src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage* bench/out

# One interpreter check and one sentence for the usual obstacle (Debian's python3 without python3-venv).
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "make: no program $(PYTHON) here: install Python 3.11 or newer, or name one, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is older than 3.11: name a newer one, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "make: $(PYTHON) cannot make a virtual environment: install it with 'apt-get install python3-venv'" >&2; exit 1; }

$(VENV)/.run: requirements/run.txt requirements/build.txt requirements/local_cognito.txt pyproject.toml local_cognito/pyproject.toml | $(VENV)/bin/python
	@echo "make: installing what the gateway needs into $(VENV) (about 15 s)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/run.txt -r requirements/local_cognito.txt
	@$(PIP) install --no-deps --no-build-isolation -e . -e ./local_cognito
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	@echo "make: installing what the tests need into $(VENV) (about a minute)"
	@$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@
