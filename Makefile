# SPDX-License-Identifier: Apache-2.0
# The common verbs; what they do is in meson.build and tools/. `make` alone lists them.

PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false
MESON = meson

.PHONY: help run test check asan fuzz bench soak format clean deps build build-asan peers

help:
	@echo 'make run      a gateway on this machine, and a curl that works (TAILNET=file|headscale|local, RUN_ONCE=1)'
	@echo 'make test     everything that must pass: unit, golden, corpus, gates, end to end; prints N passed, N failed'
	@echo 'make check    the fast part: build, unit tests, gates'
	@echo 'make asan     unit tests, golden and corpus with the sanitizers'
	@echo 'make fuzz     every fuzz target for FUZZ_SECONDS (30) each'
	@echo 'make bench    figures into bench/README.md'
	@echo 'make soak     what takes minutes each: real deadlines, lives of tokens, long faults'
	@echo 'make format   clang-format over the tree'
	@echo 'make clean    removes the build folders (built peers stay in the cache: tools/peers.py cache)'

deps:
	@$(PYTHON) tools/deps.py

build/build.ninja: | deps
	@$(MESON) setup build

build-asan/build.ninja: | deps
	@$(MESON) setup build-asan $(SANITIZE)

build: build/build.ninja
	@ninja -C build
	@ln -sf src/app/tailscale-gateway build/tailscale-gateway

build-asan: build-asan/build.ninja
	@ninja -C build-asan
	@ln -sf src/app/tailscale-gateway build-asan/tailscale-gateway

run: build/build.ninja
	@ninja --quiet -C build src/app/tailscale-gateway
	@ln -sf src/app/tailscale-gateway build/tailscale-gateway
	@$(PYTHON) tools/run.py

test: deps
	@$(PYTHON) tools/test_all.py

check: build
	@$(MESON) test -C build --print-errorlogs
	@$(PYTHON) tools/gates.py

asan: build-asan
	@$(MESON) test -C build-asan --print-errorlogs

fuzz: deps
	@$(PYTHON) tools/fuzz.py

bench: build
	@$(PYTHON) bench/run.py

soak: deps
	@$(PYTHON) tools/test_all.py --only e2e --soak

format: deps
	@git ls-files '*.c' '*.h' | xargs -r clang-format-14 -i

clean:
	rm -rf build build-*/

peers: deps
	@$(PYTHON) tools/peers.py get envoy envoy-gateway tailscaled headscale
