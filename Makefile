# Two commands do everything on a fresh machine: `make demo` and `make test`. They need make, node and npm.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test test-lts check test-fs coverage licences test-package bench docs build clean

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

node_modules/.installed: package.json package-lock.json
	npm ci --no-fund --no-audit
	@touch $@

build: node_modules/.installed ## compile the library, the command and the tests
	@npx --no-install tsc -p tsconfig.json
	@npx --no-install tsc -p tsconfig.test.json
	@node build/scripts/bundle.js
	@chmod +x dist/cli/main.cjs build/src/cli/main.js 2>/dev/null || true

demo: build      ## install, upgrade, verify and remove real packages in a scratch root
	@node build/scripts/demo.js

check: build     ## types, lint, rules, the shape of the package
	@npx --no-install biome check .
	@npx --no-install publint --strict
	@npx --no-install attw --pack . --profile esm-only

test: check      ## every check and test
	@node scripts/mocha.mjs

test-fs: check   ## the long form: every file system, every kill and cut
	@ROOTMERGE_TEST_FULL=1 node scripts/mocha.mjs

test-lts: check  ## the tests on the newest LTS of Node (npm package node-linux-*)
	@npm exec --yes --package=node-linux-$$(node -p process.arch)@26 -- node scripts/mocha.mjs

coverage: build  ## the tests with coverage, which may not fall below its floor
	@npm exec --yes --package=c8@12.0.0 -- c8 node scripts/mocha.mjs

licences: build  ## the licences of what a user installs
	@node build/scripts/licences.js

test-package: build ## the packed tarball as a user installs it: an empty folder, no compiler, each Node
	@node build/scripts/tryPackage.js

docs: build      ## manual pages, completions, docs/commands.md, and the API reference in docs/api
	@node build/scripts/docs.js
	@npm exec --yes --package=typedoc@0.28.20 --package=typescript@6.0.3 -- typedoc

bench: build     ## measurements, side by side with the peers (BENCH_QUICK=1: a trial of it)
	@node build/bench/all.js

clean:           ## remove everything that was made
	rm -rf build dist node_modules coverage
