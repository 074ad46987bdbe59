# make demo: set up and watch it work.  make test: set up and prove it.  Both start from their caches the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORACLE := .venv-mediapipe
RTX := .venv-rtx
HSEMOTION := .venv-hsemotion
FER := .venv-fer
HAAR := .venv-haar
NODE_RED := .venv-node-red
FUZZING := .venv-fuzz
# BOOT_SYSTEMD=bullseye takes systemd 247 from there, older than JetPack 6's 249.
BOOT_SYSTEMD :=
BOOT_IMAGE := $(HOME)/.cache/emomusic-edge/boot$(addprefix -,$(BOOT_SYSTEMD))
HOME_ASSISTANT := .venv-home-assistant
ARM64_ROOT := $(HOME)/.cache/emomusic-edge/arm64
PIP_QUIET := --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-pythons lint types broker systemd-analyze sound-server strace ssh-keygen oracle rtx bench bench-quick peer-torch peer-hsemotion peer-fer peer-haar bench-export bench-index bench-playback roofline lean-tower kernel-floor soak faults ha-check node-red-check boot-check aarch64-check fuzz bench-fleet bench-groups locks sbom export-pictures pictures music-pictures clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## set up everything and run: camera or demo clip in, music out
	@$(BIN)/emomusic-edge demo $(ARGS)

# Two at a time, each with one thread: more threads than cores wait for each other.
test: $(VENV)/.installed-export broker systemd-analyze sound-server strace ssh-keygen lint types oracle rtx ## set up everything and pass the tests
	MEDIAPIPE_PYTHON=$(wildcard $(CURDIR)/$(ORACLE)/bin/python) \
	TENSORRT_RTX_PYTHON=$(wildcard $(CURDIR)/$(RTX)/bin/python) OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

test-fast: $(VENV)/.installed-test ## only what needs no broker, no other environment and no minutes
	$(BIN)/pytest -m "not slow and not broker and not peer and not wheel"

test-pythons: ## the fast tests on every Python 3.10 to 3.13 that this machine has
	@ran=; for version in 3.10 3.11 3.12 3.13; do \
	  if python=$$(.ci/find_python $$version); then \
	    echo "== Python $$version ($$python)"; \
	    $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON=$$python test-fast || exit 1; ran="$$ran $$version"; \
	  else echo "== Python $$version: not on this machine"; fi; \
	done; \
	if [ -z "$$ran" ]; then echo "No Python 3.10 to 3.13 was found"; exit 1; fi; echo "Passed on:$$ran"

bench-index: $(VENV)/.installed-test ## what the music index costs to load and ask, and the memory of a large one
	@$(BIN)/python benchmarks/index_cost.py $(ARGS)

bench-playback: $(VENV)/.installed-test sound-server ## how soon a skip is heard, what playing costs, a lost device; fails on a missed bound
	@$(BIN)/python benchmarks/playback.py

bench-export: $(VENV)/.installed-export ## seconds and memory that the exports take
	@$(BIN)/python benchmarks/export_cost.py

roofline: $(VENV)/.installed-test ## how near each model comes to what the machine can do
	@$(BIN)/python -m benchmarks.roofline --json out/roofline.json --plot out/roofline.png $(ARGS)

lean-tower: $(VENV)/.installed-export ## what it is worth to write the scene tower for one picture
	@$(BIN)/python -m benchmarks.lean_tower $(ARGS)

kernel-floor: $(VENV)/.installed-export ## the face model's convolutions alone, against EfficientNet-B0
	@$(BIN)/python -m benchmarks.kernel_floor $(or $(ARGS),face-reference-int8)

bench-fleet: $(VENV)/.installed-test broker ## many devices on one broker: rates, delays, what each costs
	@$(BIN)/python -m benchmarks.fleet --json out/fleet.json $(ARGS)

bench-groups: $(VENV)/.installed-test broker ## how far apart two rooms of a group start a song
	@$(BIN)/python benchmarks/group_start.py $(ARGS)

soak: $(VENV)/.installed-test broker ## 100,000 frames at full speed: does anything grow, does it get slower
	$(BIN)/pytest -m soak -s tests/soak tests/runtime/audio/test_joints.py

faults: $(VENV)/.installed-test broker sound-server strace ## faults of broker, camera, disk, models, sound and the process itself, again and again
	$(BIN)/pytest -m faults -s tests/faults

fuzz: $(VENV)/.installed-export $(FUZZING)/.tried ## 50,000 strange inputs of each kind, then as many chosen by the code they reach
	ATHERIS_PYTHON=$(CURDIR)/$(FUZZING)/bin/python $(BIN)/pytest -m fuzz -s tests/fuzz

$(FUZZING)/.tried: .ci/fuzz_environment
	@.ci/fuzz_environment $(FUZZING) $(VENV)

ha-check: $(VENV)/.installed-test broker $(HOME_ASSISTANT)/.installed ## Home Assistant itself: discovers, shows, obeys, forgets
	HOME_ASSISTANT_PYTHON=$(CURDIR)/$(HOME_ASSISTANT)/bin/python \
	  $(BIN)/pytest -m ha -s tests/runtime/home_assistant tests/runtime/home_assistant_docs

$(HOME_ASSISTANT)/.installed: .ci/ha_environment .ci/ha_requirements.py
	@.ci/ha_environment $(HOME_ASSISTANT)

node-red-check: $(VENV)/.installed-test broker $(NODE_RED)/.installed ## Node-RED itself with the flow of the page
	NODE_RED=$(CURDIR)/$(NODE_RED) $(BIN)/pytest -m nodered tests/runtime/node_red

$(NODE_RED)/.installed: .ci/node_red_environment $(wildcard tests/runtime/node_red/package*.json)
	@.ci/node_red_environment $(NODE_RED)

boot-check: $(VENV)/.installed-test ## a Debian with systemd boots, installs the service, kills it, watches it return
	@.ci/boot_image $(BOOT_IMAGE) $(BOOT_SYSTEMD)
	BOOT_IMAGE=$(BOOT_IMAGE) $(BIN)/pytest -m boot tests/systemd

aarch64-check: $(VENV)/.installed-test ## the program for aarch64, in an emulator: installs, answers as here, plays the demo
	@.ci/arm64_root $(ARM64_ROOT) $(BIN)/python
	ARM64_ROOT=$(ARM64_ROOT) $(BIN)/pytest -m aarch64 -s tests/aarch64

# A peer that does not install is told in the table, with the reason; the others are measured all the same.
bench: $(VENV)/.installed-export ## measure against the goals and the peers: about a quarter of an hour, the first time longer
	@for peer in broker oracle peer-hsemotion peer-fer peer-haar; do \
	  $(MAKE) --no-print-directory $$peer || echo "$$peer could not be set up; the rest is measured without it"; \
	done
	@$(BIN)/python benchmarks/bench_peers.py --json out/bench.json --markdown out/bench.md $(ARGS)

bench-quick: ## the same in few rounds: a trial, not figures to quote
	@$(MAKE) --no-print-directory bench ARGS="--quick $(ARGS)"

peer-torch: $(VENV)/.installed-export ## PyTorch and transformers, which the seed's loop runs on

# Its weights come from a code forge at the first use; ours are random, of the same network. See docs/peers.md.
peer-hsemotion: $(HSEMOTION)/.installed ## hsemotion-onnx, a face model to hold ours against

$(HSEMOTION)/.installed: .ci/peer_environment
	@.ci/peer_environment $(HSEMOTION) "3.11 3.12 3.13" hsemotion-onnx==0.3.1 'onnx==1.23.*' 'onnxruntime==1.28.*' \
	  'opencv-python-headless==4.11.*'

# Without what only its video and MTCNN parts import.
peer-fer: $(FER)/.installed ## the fer package with TensorFlow: half a gigabyte to fetch

$(FER)/.installed: .ci/peer_environment
	@.ci/peer_environment $(FER) "3.11 3.12 3.10" fer==25.10.3 'opencv-contrib-python-headless==4.11.*' 'setuptools<81' \
	  requests pillow 'tensorflow-cpu==2.19.1; platform_machine == "x86_64"' \
	  'tensorflow==2.19.1; platform_machine != "x86_64"'

peer-haar: $(HAAR)/.installed ## the last OpenCV that has Haar cascades

$(HAAR)/.installed: .ci/peer_environment
	@.ci/peer_environment $(HAAR) "3.11 3.12 3.10 3.13" "" 'opencv-python-headless==4.11.*'

lint: $(VENV)/.installed-test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test ## mypy, strict, on what ships
	$(BIN)/mypy -p emomusic_edge

broker:
	@.ci/ensure_programs "a real MQTT broker for the tests" "mosquitto mosquitto_pub openssl" \
	  "mosquitto mosquitto-clients openssl" "mosquitto openssl"

systemd-analyze:
	@.ci/ensure_programs "the unit is checked by systemd's own tools" "systemd-analyze systemd-sysusers" systemd systemd

# Without it (or without root) the tests that watch a run's system calls are skipped.
strace:
	@.ci/ensure_programs "what a run writes and whom it speaks to is watched" "strace unshare nsenter" \
	  "strace util-linux" "strace util-linux" || true

# Without it the tests that sign are skipped.
ssh-keygen:
	@.ci/ensure_programs "signatures are made and asked for" ssh-keygen openssh-client openssh || true

# Without it the one test that kills a sound server is skipped.
sound-server:
	@.ci/ensure_programs "a sound server for the tests to kill" "pulseaudio parec" "pulseaudio pulseaudio-utils" \
	  "pulseaudio pulseaudio-utils" || true

# MediaPipe itself, which the detector is held against; its old protobuf cannot live beside onnx.
oracle: $(ORACLE)/.tried

$(ORACLE)/.tried: setup.cfg Makefile
	@if python=$$(.ci/find_python 3.11 || .ci/find_python 3.12 || .ci/find_python 3.10); then \
	  echo "Installing MediaPipe into $(ORACLE), to hold the face detector against"; \
	  $$python -m venv --clear $(ORACLE) && \
	  $(ORACLE)/bin/pip install $(PIP_QUIET) --editable . absl-py attrs flatbuffers matplotlib 'protobuf>=4.25.8,<5' && \
	  $(ORACLE)/bin/pip install $(PIP_QUIET) --no-deps mediapipe==0.10.18; \
	else mkdir -p $(ORACLE); echo "No Python 3.10 to 3.12 here: the tests against MediaPipe will be skipped"; fi
	@touch $@

# TensorRT's parser and builder without a GPU; its wheel carries hundreds of megabytes of libraries.
rtx: $(RTX)/.tried

$(RTX)/.tried: Makefile
	@mkdir -p $(RTX); if [ "$$(uname -m)" = x86_64 ]; then \
	  echo "Installing TensorRT for RTX into $(RTX), to hold exported graphs against"; \
	  $(PYTHON) -m venv --clear $(RTX) && $(RTX)/bin/pip install $(PIP_QUIET) numpy onnx tensorrt-rtx==1.7.1.116; \
	else echo "TensorRT for RTX has no wheel for $$(uname -m): the tests with it will be skipped"; fi
	@touch $@

pictures: $(VENV)/.installed-test ## draw the README's pictures again from a run of the demo
	@$(BIN)/emomusic-edge demo --fast --no-mqtt --dwell 6 --record out/run.csv --summary out/run.json \
	  --picture docs/pictures/live-view.svg
	@$(BIN)/emomusic-edge timeline out/run.csv --out docs/pictures/timeline.png

export-pictures: $(VENV)/.installed-export ## draw the export page's plot again
	@$(BIN)/python benchmarks/export_samples.py

music-pictures: $(VENV)/.installed-test ## draw the music page's plots again from a simulated evening
	@$(BIN)/emomusic-edge simulate --set music.index=deam --plots docs/pictures

LOCKS := .venv-locks

locks: $(LOCKS)/.installed ## pin what the base install brings, with hashes, for each machine and Python
	@.ci/write_locks $(LOCKS)

sbom: $(LOCKS)/.installed ## the parts list (CycloneDX) of each pinned install, into out/
	@mkdir -p out; for lock in locks/*.txt; do \
	  $(LOCKS)/bin/cyclonedx-py requirements "$$lock" --short-PURLs --output-reproducible \
	    -o "out/sbom-$$(basename "$$lock" .txt).cdx.json" && echo "out/sbom-$$(basename "$$lock" .txt).cdx.json"; \
	done

$(LOCKS)/.installed: .ci/peer_environment
	@.ci/peer_environment $(LOCKS) "3.11 3.12 3.13 3.10" "" uv==0.13.9 cyclonedx-bom==7.\*

clean: ## remove environments and build output; fetched files stay in the cache
	rm -rf .venv .venv-* build dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v[:2] <= (3, 13) else \
	  f"Python {v[0]}.{v[1]} found, 3.10 to 3.13 needed. Name one: make demo PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian, Ubuntu and JetPack: sudo apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/.made
	@echo "Installing emomusic-edge into $(VENV)"
	@$(BIN)/pip install $(PIP_QUIET) --editable '.[starter]'
	@touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml | $(VENV)/.made
	@echo "Installing emomusic-edge and what its tests need into $(VENV)"
	@$(BIN)/pip install $(PIP_QUIET) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-export: $(VENV)/.installed-test
	@echo "Installing PyTorch and transformers, for the tests of the export (without them they are skipped)"
	@$(BIN)/pip install $(PIP_QUIET) --editable '.[test,test-export]'
	@touch $@
