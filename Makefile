# make demo   the whole product on a real video, in about a minute once it is built
# make test   every test
CARGO = scripts/cargo
PREFIX = /usr/local
DESTDIR =

.PHONY: decoders demo test test-studio screenshots test-deps check build install deps models check-models plan bench-engine bench-accuracy bench-capture bench-motion bench-arm test-cpus test-cpus-qemu test-cpus-bochs test-gpio powercut fuzz faults soak build-debug clean

demo: deps
	$(CARGO) build --locked --bins --example demo
	target/debug/examples/demo

test: test-deps
	$(CARGO) test --locked

# The studio's pages in a real browser, and what hostile requests get.
test-studio: test-deps
	$(CARGO) test --locked --test studio

# Every page of the studio as a picture, in target/screenshots; those that the documentation shows are taken over.
screenshots: test-deps
	AJAR_SCREENSHOTS=target/screenshots $(CARGO) test --locked --test studio screenshots
	for picture in docs/images/studio-*.jpg; do cp target/screenshots/$${picture##*/} $$picture; done

# What continuous integration runs.
check:
	.ci/run

build: deps
	$(CARGO) build --locked --release --bins

# Halves ajard's memory. Optional: without them it takes the system's decoders.
decoders: deps
	scripts/build-decoders

# Builds nothing, so that root does not: make build comes first.
install:
	@test -x target/release/ajard || { echo "run make build first"; exit 1; }
	install -D -m 755 target/release/ajard $(DESTDIR)$(PREFIX)/bin/ajard
	install -D -m 755 target/release/ajar $(DESTDIR)$(PREFIX)/bin/ajar
	if [ -d target/lib/ajar ]; then install -d $(DESTDIR)$(PREFIX)/lib/ajar && cp -P target/lib/ajar/* $(DESTDIR)$(PREFIX)/lib/ajar; fi
	install -d $(DESTDIR)/etc/systemd/system $(DESTDIR)/etc/ajar/trusted-keys.d
	install -D -m 644 systemd/ajar.sysusers $(DESTDIR)/usr/lib/sysusers.d/ajar.conf
	@test -n "$(DESTDIR)" || systemd-sysusers /usr/lib/sysusers.d/ajar.conf || groupadd --system ajar
	sed 's,/usr/bin/ajard,$(PREFIX)/bin/ajard,' systemd/ajard.service > $(DESTDIR)/etc/systemd/system/ajard.service

# Debian packages, and Rust where there is none.
deps:
	@scripts/install-deps

# A browser as well, and axe-core, without which its part of the tests is skipped.
test-deps:
	@scripts/install-deps --browser
	@scripts/install-axe || true

# Builds the backbone anew from its published weights.
models:
	models/build/build.sh --update
	$(MAKE) plan

# Says whether the committed backbone is what the build gives.
check-models:
	models/build/build.sh --check

# Lowers the committed backbone into the plan that the engine runs.
plan: build-debug
	target/debug/ajar engine lower --onnx models/mobilenetv2-128-int8.onnx --out models/mobilenetv2-128-int8.plan
	cd models && sha256sum *.onnx *.plan > SHA256SUMS

# Arm instructions of a look, Ajar's and TFLite's, counted in an emulator: they tell what a change costs, not how fast
# a board is.
bench-arm:
	benches/engine/run.sh --check
	tests/emulation/inputs target/emulation/inputs
	tests/emulation/instructions models/mobilenetv2-128-int8.plan target/emulation/inputs
	tests/emulation/tflite benches/engine/work/mobilenetv2-128-int8-last.tflite
	tests/emulation/tflite benches/engine/work/mobilenetv2-128-int8-mid.tflite

# The engine's kernels on CPUs that are not here, on emulated ones; make test comes first.
test-cpus:
	tests/emulation/inputs target/emulation/inputs
	$(MAKE) -j2 --output-sync test-cpus-qemu test-cpus-bochs
test-cpus-qemu:
	tests/emulation/run models/mobilenetv2-128-int8.plan target/emulation/inputs
test-cpus-bochs:
	tests/emulation/avx512 models/mobilenetv2-128-int8.plan target/emulation/inputs

# Ajar's engine beside TFLite, ONNX Runtime and tract.
bench-engine: build
	@benches/engine/run.sh

# Ajar's training beside Frigate's recipe, on labelled pictures in ../shared/data or --data DIR.
bench-accuracy: build
	@benches/accuracy/run.sh

# Power cuts on a real ext4 while bundles are installed; as root.
CUTS = 200
powercut: deps
	@AJAR_CUTS=$(CUTS) $(CARGO) test --locked --test powercut -- --nocapture --exact no_cut_loses_the_model \
		>target/powercut.log 2>&1; status=$$?; \
		if [ $$status -ne 0 ]; then cat target/powercut.log; fi; \
		grep -E '^(cut|powercut|skipped)' target/powercut.log; exit $$status

# Random input for everything that reads bytes from outside.
MINUTES = 10
fuzz: deps
	scripts/fuzz $(MINUTES)

# ajard's modes beside a peer that decodes every frame, on the same live streams.
bench-capture: deps
	@scripts/build-decoders --missing
	@benches/capture/run.sh

# Every fault of a camera, many times; as root also those of the network.
ROUNDS = 50
faults: deps
	@AJAR_FAULT_ROUNDS=$(ROUNDS) $(CARGO) test --locked --test faults

# A long time with a fault every half minute.
soak: MINUTES = 60
soak: deps
	@AJAR_SOAK_MINUTES=$(MINUTES) $(CARGO) test --locked --test faults

# Events that the detector of motion sees and misses, on real clips and scripted scenes. ONLY=lamps: of one group.
ONLY =
bench-motion: deps
	$(CARGO) build --locked --example bench-motion
	@target/debug/examples/bench-motion $(ONLY)

# GPIO lines of a real kernel, in an emulated machine.
test-gpio: build-debug
	tests/gpio/run

build-debug: deps
	$(CARGO) build --locked --bins

clean:
	rm -rf target demo-out
