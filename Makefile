# The two-command front: everything below is Meson's work, or one small script in tools/.
.PHONY: help run build test bench soak clean
.DEFAULT_GOAL := help

BUILD := build

help: ## list the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

run: build ## install what is missing, build, start the server and show how to talk to it (Ctrl-C ends it)
	@tools/run.sh $(BUILD)

build: ## install what is missing and build smiscsid, smiscsi-target and smiscsi into build/
	@tools/packages.sh build
	@tools/setup.sh $(BUILD) --buildtype=debugoptimized
	@ninja -C $(BUILD) --quiet

test: ## the same for the whole test suite; ends with "N passed, N failed"
	@tools/packages.sh build test
	@tools/test.py

soak: ## an hour of everything at once and of verified reading and writing, with the address and thread sanitizers
	@tools/packages.sh build test
	@tools/soak.sh

bench: ## measure against peers and the hardware's limits in the same run; prints tables with ratios
	@tools/packages.sh build test bench
	@tools/setup.sh build-release --buildtype=release
	@ninja -C build-release --quiet
	@bench/run.sh build-release

clean: ## remove what was built, the demonstration's state included
	@rm -rf build build-asan build-tsan build-fuzz build-release build-vm build-*.log
