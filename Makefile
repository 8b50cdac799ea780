# Each target does its own set-up: it installs what is missing (asking for sudo
# only then) and is quick when nothing is.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)

# go, with the module file for this machine's FFmpeg, which may be there only when deps has run.
GO = . scripts/goenv.sh && go

# How long each fuzz test of `make fuzz` runs; KEEP=1 keeps inputs that add coverage (testdata/fuzz).
FUZZTIME ?= 10s
KEEP ?=

# How many join in `make soak`, how long strangers then attack a meeting, and how long a host is tortured.
SOAK ?= 100
STRANGERS ?= 10m
TORTURE ?= 1h

.PHONY: run build deb dist release check test race lint bench soak fuzz deps clean

run: build ## build and start the host with config.yaml
	bin/rendezvous serve --config config.yaml --data data

build: deps ## put the program at bin/rendezvous
	$(GO) build -ldflags "$(LDFLAGS)" -o bin/rendezvous ./cmd/rendezvous

deb: release ## a Debian package for this release of Debian, in bin/deb
	scripts/deb.sh bin/release/rendezvous bin/deb

dist: release ## an archive with all that belongs to the program, and checksums, in bin/dist
	scripts/dist.sh bin/release/rendezvous bin/dist

# Without what tells where and when it was made: the same commit gives the same bytes.
release:
	@scripts/deps.sh pack
	$(GO) build -buildvcs=false -trimpath -buildmode=pie -ldflags "$(LDFLAGS) -s -w -extldflags=-Wl,-z,now" -o bin/release/rendezvous ./cmd/rendezvous

check: ## lint and all tests that need no foreign program to talk to, cached: after each edit
	@scripts/deps.sh check
	@scripts/check.sh

test: ## everything that must be clean before a change goes in
	scripts/deps.sh test
	scripts/test.sh

lint: ## gofmt, go vet, staticcheck, errorlint, modernize; the page's modules by TypeScript, the API's description by Redocly
	@scripts/deps.sh check
	scripts/lint.sh

race: ## what of check is concurrent, under the race detector
	scripts/deps.sh test
	scripts/test.sh race

fuzz: deps ## every fuzz test for FUZZTIME, and the coverage that each gained
	$(GO) run ./scripts/fuzz -time $(FUZZTIME) $(if $(KEEP),-keep)

bench: build ## compare with the bare codecs and with other programs; prints tables, keeps results
	scripts/deps.sh bench
	scripts/bench.sh

soak: build ## SOAK fresh joins of browsers, phones and Jami daemons, each measured; then STRANGERS of attacks and TORTURE of faults (bench/README.md)
	scripts/deps.sh test
	$(GO) build -o bin/soak ./bench/soak
	bin/soak -joins $(SOAK) -program bin/rendezvous
	export RENDEZVOUS_E2E_STRANGERS=$(STRANGERS) && $(GO) test -count=1 -v -timeout 0 -run '^TestStrangersHarmNobody$$' ./internal/e2e
	$(GO) build -o bin/torture ./bench/torture
	bin/torture -for $(TORTURE) -program bin/rendezvous

deps: ## Debian packages to build and run; a no-op when all are there
	@scripts/deps.sh run

clean:
	rm -rf bin artifacts signalling/web/page/node_modules scripts/openapi/node_modules
