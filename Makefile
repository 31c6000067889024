# One command per job; each makes the virtual environment where it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Whatever is installed, at build time too, has the versions of this file.
export PIP_CONSTRAINT := $(CURDIR)/constraints-dev.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo docs studies test test-slow test-oldest test-newest test-peers test-zoo starts test-arm test-sanitizers check format bench bench-lab bench-gpu proof proof-bits proof-batteries fuzz wheels clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# Installed editable: Python files are used from src/, the kernel is built again when it changes.
$(INSTALLED): pyproject.toml constraints-dev.txt CMakeLists.txt $(wildcard native/*) $(wildcard src/fanin/streams/*.inc)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Nine seeds are the fewest that can tell nine rows from a baseline, eight the fewest for six pairs.
demo: $(INSTALLED)  ## Train two real networks on real images from several initializations
	$(BIN)/fanin compare --seeds 9 --baseline 'uniform(-0.5, 0.5)' --out fanin-compare/article
	$(BIN)/fanin compare --model deep_cnn --depth 20 --initializers torch glorot_normal he_normal auto \
		--seeds 8 --batch-size 10 --out fanin-compare/deep

studies: $(INSTALLED)  ## Run all studies in full and write their pages (resumes)
	OMP_NUM_THREADS=1 $(BIN)/fanin study all --out build/studies --page docs/studies

DOCUMENTING := $(VENV)/documenting
$(DOCUMENTING): $(INSTALLED)
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

# A dead link or anchor is a warning of Sphinx, and a warning an error; examples are run first.
SITE := build/site
docs: $(DOCUMENTING)  ## Make the site, build/site/index.html, and run all that its pages show
	$(BIN)/pytest -n 2 tests/test_examples.py tests/test_pages.py tests/test_site.py tests/test_tutorial.py
	rm -rf $(SITE)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --fresh-env -c docs -d build/doctrees . $(SITE)

test: $(INSTALLED)  ## Run the tests (minutes)
	$(BIN)/pytest -n 2

test-slow: $(INSTALLED)  ## Run the heavier tests too
	$(BIN)/pytest -n 2 -m 'not peers and not zoo'

# Both ends of what pyproject.toml allows, in environments of their own; torch without CUDA.
OLDEST_PYTHON ?= python3.11
NEWEST_PYTHON ?= python3
# torch 2.6 compiles with Triton 3.2 alone, whose interpreter rounds otherwise than a GPU: our kernels
# have 3.9, and tests of their own.
OLDEST_TRITON := 3.9.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
test-oldest: export PIP_CONSTRAINT := $(CURDIR)/constraints-oldest.txt
# Old releases warn of each other, Hypothesis of random states that pytest keeps where it does not look
# (gc.freeze), and JAX of a fork after it was imported; what fanin itself does, `make test` holds to.
OLD_WARNINGS := -W default::DeprecationWarning -W default::FutureWarning -W 'ignore:It looks like' \
	-W 'ignore:os.fork'
test-oldest:  ## Run the tests with the least versions that pyproject.toml allows
	$(OLDEST_PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --extra-index-url $(TORCH_INDEX) \
		--requirement constraints-oldest.txt cmake ninja .
	.venv-oldest/bin/pytest -n 2 -k 'not triton' $(OLD_WARNINGS)
	.venv-oldest/bin/pip install --quiet --no-deps triton==$(OLDEST_TRITON)
	.venv-oldest/bin/pytest -n 2 -k triton $(OLD_WARNINGS)

test-newest: export PIP_CONSTRAINT :=
test-newest:  ## Run the tests with the newest versions that there are
	$(NEWEST_PYTHON) -m venv .venv-newest
	.venv-newest/bin/pip install --quiet --upgrade --extra-index-url $(TORCH_INDEX) '.[dev]'
	.venv-newest/bin/pytest -n 2

# An environment of its own: TensorFlow may want other versions of what is pinned for the rest.
test-peers:  ## Compare the words with three other implementations of Philox
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --requirement tests/peers/requirements.txt pytest hypothesis .
	.venv-peers/bin/pytest -m peers tests/peers

# Models of other libraries, in an environment of its own.
test-zoo:  ## Initialize and run the models of docs/zoo.md (10 minutes or more)
	$(PYTHON) -m venv .venv-zoo
	.venv-zoo/bin/pip install --quiet pytest hypothesis '.[torch]'
	.venv-zoo/bin/pip install --quiet --no-deps --requirement tests/zoo/requirements.txt
	.venv-zoo/bin/pytest -m zoo --durations=5 tests/zoo

# Hours of one core; more of the same command share the work.
starts:  ## Train a hundred architectures from six starts, write docs/starts.md (resumes)
	$(PYTHON) -m venv .venv-zoo
	.venv-zoo/bin/pip install --quiet '.[lab]'
	.venv-zoo/bin/pip install --quiet --no-deps --requirement tests/zoo/requirements.txt
	nice -n 19 .venv-zoo/bin/python -m bench.starts.sweep
	.venv-zoo/bin/python -m bench.starts.report

# The kernel without Python, for this machine and for an ARM one under an emulator.
# (Debian: g++-aarch64-linux-gnu, qemu-user.)
REQUESTS := build/requests-golden.txt build/requests-long.txt
DRIVER := $(BIN)/cmake -DFANIN_DRIVER=ON -S .
AARCH64 := -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
test-arm: $(INSTALLED)  ## Compare the golden values with an emulated ARM machine's
	mkdir -p build
	$(BIN)/python tools/driver_requests.py $(REQUESTS)
	$(DRIVER) -B build/driver
	$(BIN)/cmake --build build/driver --parallel 2
	build/driver/driver $(REQUESTS)
	$(DRIVER) -B build/driver-aarch64 $(AARCH64)
	$(BIN)/cmake --build build/driver-aarch64 --parallel 2
	qemu-aarch64 build/driver-aarch64/driver $(REQUESTS)

# Both libraries first, or C++ exceptions would pass the sanitizer by. Not among these tests:
# what needs torch.
SANITIZED := .venv-sanitizers
test-sanitizers:  ## Run the streams' tests under AddressSanitizer and UBSan
	$(PYTHON) -m venv $(SANITIZED)
	$(SANITIZED)/bin/pip install --quiet -C cmake.define.FANIN_SANITIZE=ON \
		-C cmake.build-type=RelWithDebInfo . pytest hypothesis ml_dtypes mpmath scipy
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
	sh -ec "$(SANITIZED)/bin/pytest tests/streams -k 'not flush_to_zero' \
			--ignore-glob='*/test_triton_*' --ignore tests/streams/test_processes.py; \
		$(SANITIZED)/bin/python -m bench.faults.fuzz --calls 20000 --out build/fuzz-sanitized.json \
		--groups streams initializers theory"

check: $(INSTALLED)  ## Format, lint, types and schemas, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml

format: $(INSTALLED)  ## Format the sources and mend what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)  ## Measure the speed of the streams beside torch, NumPy and MKL
	-$(BIN)/pip install --quiet mkl
	$(BIN)/python -m bench.speed.streams
	$(BIN)/python -m bench.speed.variants
	$(BIN)/python -m bench.speed.calls
	$(BIN)/python -m bench.speed.memory

bench-lab: $(INSTALLED)  ## Measure fanin compare beside plain torch and NumPy loops
	$(BIN)/python -m bench.speed.lab

bench-gpu: $(INSTALLED)  ## Count the GPU kernels' instructions; measure them where there is a GPU
	$(BIN)/python -m bench.gpu.instructions
	$(BIN)/python -m bench.gpu.speed

proof: $(INSTALLED)  ## Measure how exact and how random the draws are (minutes; docs/statistics.md)
	$(BIN)/python -m bench.values.exactness
	$(BIN)/python -m bench.values.proof
	$(BIN)/pip install --quiet sp80022suite
	$(BIN)/python -m bench.values.nist

# Both go on where they were stopped; what they found is kept beside them.
MINUTES ?= 480
proof-bits: $(INSTALLED)  ## Draw the same values in two ways for a night, count differences, write docs/bits.md (resumes)
	nice -n 19 $(BIN)/python -m bench.values.bits --minutes $(MINUTES)

# (Debian: libtestu01-0-dev, of its section non-free, and dieharder.) Hours; BigCrush alone a dozen.
BATTERIES ?= SmallCrush Crush dieharder Alphabit Rabbit BigCrush
proof-batteries: $(INSTALLED)  ## Run other people's test suites on the words, write docs/batteries.md (resumes)
	nice -n 19 $(BIN)/python -m bench.values.batteries $(BATTERIES)

# The stable ABI's wheels want headers of Python 3.12 or later, those for 3.11 its own.
WHEEL_PYTHONS ?= python3.11 python3.13
# RELEASE.md says on which of these the wheels were run.
WHEEL_PLATFORMS ?= linux-x86_64 linux-aarch64 macos-arm64 macos-x86_64 windows-x86_64
wheels: export PIP_CONSTRAINT :=
wheels:  ## Make the sdist, the pure wheel and those of WHEEL_PLATFORMS in dist/
	for python in $(WHEEL_PYTHONS); do \
		$$python -m venv .venv-wheels-$$(basename $$python) && \
		.venv-wheels-$$(basename $$python)/bin/pip install --quiet --requirement tools/wheels-requirements.txt && \
		.venv-wheels-$$(basename $$python)/bin/python tools/wheels.py --only $(WHEEL_PLATFORMS) || exit 1; \
	done

# The whole public surface; the same command goes on. A night makes a million: CALLS=1000000.
CALLS ?= 20000
FUZZ_SEED ?= 0
fuzz: $(INSTALLED)  ## Call everything with arguments by chance; count crashes and half-done work
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(BIN)/python -m bench.faults.fuzz \
		--calls $(CALLS) --seed $(FUZZ_SEED) --out build/fuzz-$(FUZZ_SEED).json

clean:  ## Remove the virtual environment and everything built
	rm -rf $(VENV) .venv-wheels-* .venv-oldest .venv-newest .venv-peers .venv-zoo $(SANITIZED) build dist
