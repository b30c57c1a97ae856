# SPDX-License-Identifier: BSD-3-Clause
# The only entry points. `make help` lists them.

BUILD  ?= build
CC     ?= gcc
ifeq ($(origin CC),default)
CC      = gcc
endif
PYTHON ?= /usr/bin/python3
VERSION := 0.1.0

# SAN=asan|tsan|cov|fuzz selects an instrumented build in its own directory.
SAN ?=
ifeq ($(SAN),asan)
  SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),tsan)
  # TSan does not model fences; gcc warns of it. Those there are: docs/decisions/0041-rules-under-rcu.md.
  SANFLAGS = -fsanitize=thread -fno-omit-frame-pointer $(if $(findstring gcc,$(CC)),-Wno-tsan)
else ifeq ($(SAN),cov)
  SANFLAGS = --coverage
else ifeq ($(SAN),fuzz)
  SANFLAGS = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -fno-omit-frame-pointer
  CC       = clang
endif
OUT := $(BUILD)$(if $(SAN),/$(SAN))

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Werror
CFLAGS  ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARNINGS) -fno-common -fstack-protector-strong -D_GNU_SOURCE \
             -DSALLYPORT_VERSION='"$(VERSION)"' $(SANFLAGS) -I. -MMD -MP
ifeq ($(filter asan fuzz tsan,$(SAN)),)
ALL_CFLAGS += -D_FORTIFY_SOURCE=2
endif
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS) -Wl,--as-needed -Wl,-z,relro,-z,now

pkg_cflags = $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(1)))
pkg_libs   = $(shell pkg-config --libs $(1))

# --- modules: a folder is a static library; dependencies run one way (ci/check-dependencies) ---------------------
MODULES := base config dpclient dataplane cpclient controlplane mgmt
base_SRC         := $(wildcard platforms/base/*.c)
config_SRC       := $(wildcard config/*.c)
dpclient_SRC     := dataplane/api.c dataplane/client.c
dataplane_SRC    := $(filter-out $(dpclient_SRC) dataplane/main.c,$(wildcard dataplane/*.c))
cpclient_SRC     := controlplane/client.c controlplane/client_record.c
controlplane_SRC := $(filter-out $(cpclient_SRC) controlplane/main.c,$(wildcard controlplane/*.c))
mgmt_SRC         := $(filter-out mgmt/main.c mgmt/sallyport.c,$(wildcard mgmt/*.c))

base_PKG         := libuv libsystemd libseccomp sqlite3
config_PKG       := libuv libconfuse
dpclient_PKG     := libuv
dataplane_PKG    := libdpdk libuv libmnl libsrtp2 libIPSec_MB
cpclient_PKG     := libuv
controlplane_PKG := libuv libosip2 mimalloc libssl libcrypto sqlite3 libcares libm
mgmt_PKG         := libuv jansson libcrypto sqlite3 libedit libmicrohttpd libarchive netsnmp-agent

base_LIBS         := base
config_LIBS       := config base
dpclient_LIBS     := dpclient base
dataplane_LIBS    := dataplane dpclient config base
cpclient_LIBS     := cpclient base
controlplane_LIBS := controlplane cpclient dpclient config base
mgmt_LIBS         := mgmt cpclient dpclient config base

# libosip2, mimalloc and libipsec-mb of Debian 12 have no usable pkg-config files for every need.
libosip2_cflags :=
libosip2_libs   := -losip2 -losipparser2
mimalloc_cflags :=
# The sanitizers bring their own allocator.
mimalloc_libs   := $(if $(SAN),,-lmimalloc)
libIPSec_MB_cflags :=
libIPSec_MB_libs   := -lIPSec_MB
# The E-model's logarithms.
libm_cflags :=
libm_libs   := -lm
# DPDK's inline rings copy elements as words of 32 bits, whatever they are: clang takes the other type's stores for dead.
libdpdk_cflags  := $(call pkg_cflags,libdpdk) -fno-strict-aliasing
libdpdk_libs    := $(call pkg_libs,libdpdk)
$(foreach p,libuv libsystemd libseccomp libconfuse libmnl libsrtp2 jansson libssl libcrypto sqlite3 libcares libedit libmicrohttpd libarchive netsnmp-agent,$(eval $(p)_cflags := $(call pkg_cflags,$(p)))$(eval $(p)_libs := $(call pkg_libs,$(p))))

module_cflags = $(foreach p,$($(1)_PKG),$($(p)_cflags))
module_libs   = $(foreach p,$(sort $(foreach l,$($(1)_LIBS),$($(l)_PKG))),$($(p)_libs))
objects       = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
archives      = $(foreach l,$($(1)_LIBS),$(OUT)/lib/lib$(l).a)

BINARIES := sallyport-dataplane sallyport-controlplane sallyport-mgmt sallyport
sallyport-dataplane_MAIN    := dataplane/main.c
sallyport-dataplane_MODULE  := dataplane
sallyport-controlplane_MAIN := controlplane/main.c
sallyport-controlplane_MODULE := controlplane
sallyport-mgmt_MAIN         := mgmt/main.c
sallyport-mgmt_MODULE       := mgmt
sallyport_MAIN              := mgmt/sallyport.c
sallyport_MODULE            := mgmt

.DEFAULT_GOAL := all
.PHONY: all help
all: $(BINARIES:%=$(OUT)/%)

define module_rules
$(call objects,$($(1)_SRC)): MODULE_CFLAGS := $(call module_cflags,$(1))
$(OUT)/lib/lib$(1).a: $(call objects,$($(1)_SRC))
.PHONY: lib-$(1)
lib-$(1): $(OUT)/lib/lib$(1).a
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

define binary_rules
$(call objects,$($(1)_MAIN)): MODULE_CFLAGS := $(call module_cflags,$($(1)_MODULE))
$(OUT)/$(1): $(call objects,$($(1)_MAIN)) $(call archives,$($(1)_MODULE))
	@echo "  LD    $$@"
	@$(CC) $(ALL_LDFLAGS) -o $$@ $(call objects,$($(1)_MAIN)) -Wl,--start-group $(call archives,$($(1)_MODULE)) -Wl,--end-group $(call module_libs,$($(1)_MODULE)) -lpthread
endef
$(foreach b,$(BINARIES),$(eval $(call binary_rules,$(b))))

$(OUT)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $(MODULE_CFLAGS) -c -o $@ $<

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

# --- unit tests: tests/unit/<module>/test_<file>.c, one program each ---------------------------------------------
UNIT_MODULES := base config dataplane controlplane mgmt
define unit_rules
unit_$(1)_SRC := $(wildcard tests/unit/$(1)/test_*.c)
$$(call objects,$$(unit_$(1)_SRC)): MODULE_CFLAGS := $(foreach l,$($(1)_LIBS),$(call module_cflags,$(l)))
UNIT_$(1) := $$(patsubst tests/unit/%.c,$(OUT)/unit/%,$$(unit_$(1)_SRC))
$$(UNIT_$(1)): $(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $(call archives,$(1))
	@mkdir -p $$(@D)
	@$(CC) $$(ALL_LDFLAGS) -o $$@ $$< -Wl,--start-group $(call archives,$(1)) -Wl,--end-group $(call module_libs,$(1)) -lcmocka -lpthread
.PHONY: unit-$(1)
unit-$(1): $$(UNIT_$(1))
	@set -e; for t in $$^; do echo "  TEST  $$$$t"; $$$$t; done
endef
$(foreach m,$(UNIT_MODULES),$(eval $(call unit_rules,$(m))))
# Its allocations fail in turn: those of our own code, not of the libraries.
$(OUT)/unit/config/test_memory: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc
.PHONY: unit
unit: $(foreach m,$(UNIT_MODULES),unit-$(m))

# --- fuzz targets: tests/fuzz/fuzz_<parser>.c, libFuzzer --------------------------------------------------------
FUZZ_SRC     := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_SECONDS ?= 600
FUZZ         ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SRC))
ifeq ($(SAN),fuzz)
FUZZ_LIBS := controlplane dataplane mgmt cpclient dpclient config base
$(call objects,$(FUZZ_SRC)): MODULE_CFLAGS := $(foreach l,$(FUZZ_LIBS),$(call module_cflags,$(l)))
$(OUT)/fuzz_%: $(OUT)/obj/tests/fuzz/fuzz_%.o $(FUZZ_LIBS:%=$(OUT)/lib/lib%.a)
	@echo "  LD    $@"
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(FUZZ_LIBS:%=$(OUT)/lib/lib%.a) -Wl,--end-group \
	  $(foreach p,$(sort $(foreach l,$(FUZZ_LIBS),$($(l)_PKG))),$($(p)_libs)) -lpthread
# Its sessions are copied away and back (tests/fuzz/openssl_snapshot.h).
$(OUT)/fuzz_tls: LDFLAGS += -Wl,--wrap=calloc,--wrap=free
.PHONY: fuzz-build
fuzz-build: $(FUZZ_SRC:tests/fuzz/%.c=$(OUT)/%)
endif

# --- entry points ------------------------------------------------------------------------------------------------
.PHONY: packages run stop check check-built unit-asan integration integration-asan bench fuzz asan tsan lint cov install deb clean

help:
	@echo "make run      install packages, build, start the lab, place a call, leave it running (root)"
	@echo "make stop     stop what make run left running"
	@echo "make check    install packages, build, run every test (root)"
	@echo "make all      build into $(BUILD)/          make clean    remove $(BUILD)/"
	@echo "make bench    benchmarks; BENCH=name for one  make fuzz     fuzzers; FUZZ='scan sdp' FUZZ_SECONDS=600"
	@echo "make asan     build with ASan and UBSan, run the unit tests so; tsan: the same with TSan; cov: coverage"
	@echo "make lint     static checks                  make unit     unit tests; make integration: the others"
	@echo "make integration-asan   the integration tests of SIP with ASan and UBSan in the daemons"
	@echo "make install  into DESTDIR and PREFIX        make deb      no package yet: says so, fails"

packages:
	@ci/install

run:
	@ci/install
	@$(MAKE) --no-print-directory -j2 all
	@platforms/lab/run

stop:
	@platforms/lab/stop

# Two steps, so that pkg-config is asked after the packages are there.
check:
	@ci/install
	@$(MAKE) --no-print-directory check-built

# The order puts what fails fast first. Every step prints its own closing count.
check-built:
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/clang CC=clang all
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory -j2 asan
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(CHECK_FUZZ_SECONDS) FUZZ_SEED=1
	@$(MAKE) --no-print-directory integration

CHECK_FUZZ_SECONDS ?= 10
FUZZ_SEED ?=
PYTEST_ARGS ?=
# Most of a test is waiting: several go on at once, each in a lab of its own, a module in one piece.
PYTEST_WORKERS ?= 3
integration: all
	@$(PYTHON) -m pytest -q -p no:cacheprovider -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS) tests/integration

# The same daemons with ASan and UBSan, leaks included: every flow, every transport. ASAN_TESTS: others.
ASAN_TESTS ?= $(wildcard tests/integration/test_flow_*.py) $(patsubst %,tests/integration/test_%.py,tcp requests_relay subscription credentials torture hostile live)
integration-asan:
	@$(MAKE) --no-print-directory -j2 SAN=asan all
	@BUILD=$(BUILD)/asan tests/integration/sanitized $(PYTEST_ARGS) $(ASAN_TESTS)

# tests/bench/*.c: load generators and drivers on top of the dataplane's library
BENCH ?=
BENCH_SRC      := $(wildcard tests/bench/*.c)
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(OUT)/bench/%,$(BENCH_SRC))
$(call objects,$(BENCH_SRC)): MODULE_CFLAGS := $(call module_cflags,dataplane)
# These are about the control plane.
BENCH_CONTROLPLANE := $(addprefix $(OUT)/bench/,registrations phones tls handshakes)
$(filter-out $(BENCH_CONTROLPLANE),$(BENCH_PROGRAMS)): $(OUT)/bench/%: $(OUT)/obj/tests/bench/%.o $(call archives,dataplane)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(call archives,dataplane) -Wl,--end-group $(call module_libs,dataplane) -lrte_net_ring -lbpf -lpthread
# The calls of SRTP are timed where they are made.
$(OUT)/bench/relay_srtp_worker: LDFLAGS += -Wl,--wrap=srtp_protect_burst,--wrap=srtp_unprotect_burst
$(BENCH_CONTROLPLANE:$(OUT)/bench/%=$(OUT)/obj/tests/bench/%.o): MODULE_CFLAGS := $(call module_cflags,controlplane)
$(BENCH_CONTROLPLANE): $(OUT)/bench/%: $(OUT)/obj/tests/bench/%.o $(call archives,controlplane)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(call archives,controlplane) -Wl,--end-group $(call module_libs,controlplane) -lpthread
# tests/bench/bpf/*.c: what they load into the kernel
BENCH_BPF := $(patsubst tests/bench/bpf/%.c,$(OUT)/bench/%.bpf.o,$(wildcard tests/bench/bpf/*.c))
$(OUT)/bench/%.bpf.o: tests/bench/bpf/%.c $(wildcard tests/bench/bpf/*.h)
	@mkdir -p $(@D)
	@echo "  BPF   $@"
	@clang -target bpf -O2 -g -Wall -Werror -I/usr/include/$(shell clang -print-multiarch) -c -o $@ $<
.PHONY: bench-build
bench-build: $(BENCH_PROGRAMS) $(BENCH_BPF)
bench: all bench-build
	@BUILD=$(OUT) tests/bench/run $(BENCH)

fuzz:
	@$(MAKE) --no-print-directory -j2 SAN=fuzz fuzz-build
	@BUILD=$(BUILD) FUZZ_SEED=$(FUZZ_SEED) tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

asan:
	@$(MAKE) --no-print-directory SAN=asan all unit

tsan:
	@$(MAKE) --no-print-directory SAN=tsan all unit

lint:
	@ci/lint

cov:
	@$(MAKE) --no-print-directory SAN=cov unit
	@ci/coverage $(BUILD)/cov

PREFIX  ?= /usr
DESTDIR ?=
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	  $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/snmp/mibs
	install -m 755 $(OUT)/sallyport-dataplane $(OUT)/sallyport-controlplane $(OUT)/sallyport-mgmt $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(OUT)/sallyport $(DESTDIR)$(PREFIX)/bin
	for s in 1 5 8; do install -m 644 docs/man/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s || exit 1; done
	install -m 644 docs/mib/SALLYPORT-MIB.txt $(DESTDIR)$(PREFIX)/share/snmp/mibs

deb:
	@echo "make deb: no Debian package yet; use make install" >&2; exit 1

clean:
	rm -rf $(BUILD)
.SECONDARY:
