# Which Python sets up: by default the distribution's own, else the first here that is 3.11 or newer.
PYTHON ?=
SYSTEM_PYTHON := /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin
# What a new clone need not make anew: Kubernetes' programs, and what mypy knows of files by their contents
# (each in a file of its own, since clones may be checked at the same time).
CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/postsync-tests

.DEFAULT_GOAL := help

.PHONY: help run test suite faults check test-deps lock generate docs picture format bench dist image clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Not compiled here: most of what is installed is never imported, and what is keeps its bytecode then.
export PYTHONDONTWRITEBYTECODE :=
INSTALL := .ci/install $(VENV) $(CACHE)/wheels
OURSELVES := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation --editable .

$(VENV)/.new: requirements.lock
	@python="$$(.ci/find-python '$(PYTHON)' $(SYSTEM_PYTHON))" && "$$python" -m venv --clear $(VENV)
	@touch $@

# What takes long says so before; lines alone, for a log as for a terminal.
$(VENV)/.run: $(VENV)/.new pyproject.toml
	@echo "make: installing what Postsync needs into $(VENV), once; it may take a minute or two"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@echo "make: installing Postsync itself"
	@$(OURSELVES)
	@touch $@

# Its lock has what ours has, too.
$(VENV)/.test: $(VENV)/.new requirements-dev.lock pyproject.toml
	$(INSTALL) requirements-dev.lock
	$(OURSELVES)
	@touch $(VENV)/.run $@

# Tokens of this checkout alone, in a folder that git ignores.
.postsync/senders/argocd .postsync/operators/local:
	@echo "make: making a token in $@"
	@umask 077; mkdir -p $(@D); head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' > $@

run: $(VENV)/.run .postsync/senders/argocd .postsync/operators/local ## Set up and serve on 127.0.0.1:8080
	@echo "make: starting the server; another terminal begins with: . $(BIN)/activate"
	@PATH="$(CURDIR)/$(BIN):$$PATH" POSTSYNC_BANNER=1 exec $(BIN)/postsync serve

test: test-deps ## Set up, check and run every test
	@$(MAKE) --no-print-directory --jobs=2 check suite

# Most of the time a test waits for something, so more run than there are cores. What they import is
# compiled before, by one instead of by each.
suite: $(VENV)/.test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest --collect-only -q >/dev/null || true
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 6 --dist loadgroup --no-loadscope-reorder

MINUTES ?= 30
faults: test-deps ## Kill, freeze, fill and break things for MINUTES, and write down what came of it
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests/faults --minutes $(MINUTES) --table docs/reliability.md

check: $(VENV)/.test ## Lint, format, types, imports, sizes, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --no-sqlite-cache --cache-dir $(CACHE)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/limits.py
	$(BIN)/python .ci/rooms.py --check
	$(BIN)/python .ci/reference.py --check
	$(BIN)/python .ci/dashboard.py --check
	$(BIN)/python -m receiver.cli schema --check
	$(BIN)/python .ci/chart.py --check

# What real counterparts the tests use; a missing one is a skipped test with its reason.
DEBIAN := openssl varnish nginx-light libnginx-mod-http-cache-purge postgresql pgbouncer e2fsprogs iproute2 gcc libc6-dev chromium
KUBE   := $(CACHE)/kube-$(shell sed -n 's,^require k8s.io/kubernetes v,,p' tests/cluster/go.mod)
HELM   := $(CACHE)/helm-$(shell sed -n 's,^require helm.sh/helm/v3 v,,p' tests/helm/go.mod)
test-deps: $(VENV)/.test ## Install the servers that tests use (Debian, as root)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  dpkg -s $(DEBIAN) >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(DEBIAN) >/dev/null; } \
	  || echo 'test-deps: could not install: $(DEBIAN); tests that need them will be skipped'; \
	else echo 'test-deps: not root on Debian; install by hand: $(DEBIAN)'; fi
	@.ci/get-prometheus $(CACHE) >/dev/null 2>&1 || echo 'test-deps: no Prometheus; the tests of alerts and dashboard will be skipped'
	@.ci/get-npm $(CACHE)/npm >/dev/null 2>&1 || echo 'test-deps: no npm; the tests in a browser will be skipped'
	@tests/cluster/build $(KUBE) || echo 'test-deps: tests that need a Kubernetes control plane will be skipped'
	@.ci/get-crds $(CACHE)/crds || echo 'test-deps: no definitions of others'\'' kinds; they will not be tried in a cluster'
	@tests/cluster/build $(HELM) helm || echo 'test-deps: tests of the Helm chart will be skipped'

lock: $(VENV)/.test ## Lock the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --group build --all-extras -o requirements-extras.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --group build --group dev --all-extras -o requirements-dev.lock

generate: $(VENV)/.test ## Write the generated files anew
	$(BIN)/python -m receiver.cli schema --write
	$(BIN)/python .ci/rooms.py
	$(BIN)/python .ci/reference.py
	$(BIN)/python .ci/dashboard.py
	$(BIN)/python .ci/chart.py

docs: $(VENV)/.test ## Build the docs site into build/site, to be opened from there or served by any web server
	@.ci/get-npm $(CACHE)/npm >/dev/null 2>&1 || echo 'docs: no npm; diagrams stay text'
	$(BIN)/python .ci/site_pages.py build/docs $(CACHE)/npm
	$(BIN)/zensical build --strict

picture: test-deps ## Take the picture of the page anew, for README.md and docs/page.md
	PYTHONPATH=tests:tests/story $(BIN)/python .ci/pictures.py

format: $(VENV)/.test ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dist: $(VENV)/.test ## Build what a release is made of into dist/, from the last commit
	$(BIN)/python .ci/release.py $(CACHE)/wheels

# One platform at a time: an engine keeps several in a registry alone. No provenance: it has the
# time of the build in it, and the same commit gives the same archive.
PLATFORM     ?= linux/amd64
REQUIREMENTS ?= requirements.lock
VERSION      := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
image: ## Build the image into dist/, an OCI archive (needs docker with buildx)
	@mkdir -p dist
	docker buildx build --platform $(PLATFORM) --provenance=false \
	  --build-arg REQUIREMENTS=$(REQUIREMENTS) \
	  --build-arg SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" \
	  --label org.opencontainers.image.revision="$$(git rev-parse HEAD)" \
	  --label org.opencontainers.image.version=$(VERSION) --tag postsync:$(VERSION) \
	  --output type=oci,dest=dist/postsync-$(VERSION)-$(subst /,-,$(PLATFORM)).tar,rewrite-timestamp=true .

clean: ## Remove what was built (the ledger and the tokens stay)
	rm -rf $(VENV) build dist *.egg-info
