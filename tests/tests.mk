# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Tests, fuzzers, benchmarks and the quality gates. Included by GNUmakefile.

FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
COVERAGE_FLOOR ?= 60

c_tests = $(filter-out %.bpf.c,$(wildcard $(1)))
UNIT_SRCS := $(call c_tests,tests/unit/test_*.c)
KERN_SRCS := $(call c_tests,tests/bpf/test_*.c)
FUZZ_SRCS := $(call c_tests,tests/fuzz/fuzz_*.c)
BENCH_SRCS := $(call c_tests,tests/bench/*.c)
UNIT_TESTS := $(UNIT_SRCS:%.c=$(BUILD)/%)
KERN_TESTS := $(KERN_SRCS:%.c=$(BUILD)/%)
FUZZERS := $(FUZZ_SRCS:%.c=$(BUILD)/%)
SEED_TESTS := $(FUZZ_SRCS:tests/fuzz/%.c=$(BUILD)/tests/seeds/%)
BENCHES := $(BENCH_SRCS:%.c=$(BUILD)/%)
TEST_BPF := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bpf/*.bpf.c tests/bench/*.bpf.c))
PLUGIN_TESTS := $(foreach p,$(PLUGINS),$(patsubst %.c,$(BUILD)/tests/%,$(wildcard plugins/$(p)/test_*.c)))
FUNC_TESTS := $(filter-out tests/func/lib% tests/func/soak_%,$(wildcard tests/func/*.sh))
SOAK_TESTS := $(wildcard tests/func/soak_*.sh)
LUA_TESTS := $(if $(wildcard core/cli/rules.c),scripts/dev/test_rules.sh)

.PHONY: test check test-programs vm fuzz soak bench lint format abi abi-accept coverage coverage-run

TEST_INC = -Isdk/include -Isdk/testhost -Icore -I. $(CORE_INC)

$(BUILD)/obj/tests/%.o: tests/%.c $(FLAGS)
	$(call say,CC,$<)
	$(call compile,$(TEST_INC))

# A test says in a comment line what it needs besides core: sources of this tree and libraries, as in
#   LINK: plugins/stall/ledger.c -lsqlite3
define link_rules
$(1)_LINE := $(shell sed -n 's,^[/ *]*LINK: *\([^*]*\).*,\1,p' $(1))
$(BUILD)/$(1:.c=): private TEST_LIBS = $$(filter -%,$$($(1)_LINE))
$(BUILD)/$(1:.c=): $$(if $$(filter tests/fuzz/%,$(1)),$$(patsubst %.c,$$(BUILD)/fuzz/obj/%.o,$$(filter %.c,$$($(1)_LINE))),\
	$$(call obj,$$(filter %.c,$$($(1)_LINE))))
endef
$(foreach t,$(UNIT_SRCS) $(KERN_SRCS) $(FUZZ_SRCS) $(BENCH_SRCS),$(eval $(call link_rules,$(t))))

# A fuzzer as a test: any compiler, the objects of the rest, its seeds once.
define seed_rules
$(BUILD)/tests/seeds/$(notdir $(1:.c=)): private TEST_LIBS = $$(filter -%,$$($(1)_LINE))
$(BUILD)/tests/seeds/$(notdir $(1:.c=)): $(call obj,$(1) tests/fuzz/seeds.c) $$(call obj,$$(filter %.c,$$($(1)_LINE))) $(LIBS)
	$$(call say,LINK,$$@)
	$$(call link,$$(TEST_LIBS) $(CLI_LIBS) $(CORE_LIBS))
endef
$(foreach t,$(FUZZ_SRCS),$(eval $(call seed_rules,$(t))))

$(UNIT_TESTS) $(KERN_TESTS) $(BENCHES): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(CLI_AR) $(LIBS)
	$(call say,LINK,$@)
	$(call link,$(TEST_LIBS) -lcmocka $(CLI_LIBS) $(CORE_LIBS))

$(BUILD)/tests/%.bpf.o: tests/%.bpf.c
	$(call say,BPF,$<)
	$(compile_bpf)

RUN := LNX_BUILD=$(BUILD) LNX_SAN=$(SAN) CC='$(CC)' CLANG='$(CLANG)' scripts/dev/run_tests.sh
QUICK := $(UNIT_TESTS:%=unit=%) $(SEED_TESTS:%=unit=%) $(PLUGIN_TESTS:%=plugin=%) $(LUA_TESTS:%=lua=%)
ROOTED := $(FUNC_TESTS:%=func=%) $(KERN_TESTS:%=bpf=%)
test-programs: all $(UNIT_TESTS) $(SEED_TESTS) $(KERN_TESTS) $(PLUGIN_TESTS) $(TEST_BPF)

##@ test
test: all $(UNIT_TESTS) $(SEED_TESTS) $(PLUGIN_TESTS) ## unit, plugin and Lua tests: seconds, no root
	$(Q)$(RUN) $(QUICK)

check: test-programs ## test + functional + bpf (root) + abi + lint
	$(Q)$(RUN) lint=scripts/dev/lint.sh abi=scripts/dev/abi.sh $(QUICK) $(ROOTED)

lint: all ## format, static analysis, include rule, banned calls, licences
	$(Q)$(RUN) lint=scripts/dev/lint.sh

format: ## let clang-format lay out every file known to git
	$(Q)git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

abi: ## static asserts and abidiff against sdk/abi/
	$(Q)$(RUN) abi=scripts/dev/abi.sh

abi-accept: ## take the present SDK as the baseline: sdk/abi/ and tests/abi/
	$(Q)LNX_BUILD=$(BUILD) CC='$(CC)' scripts/dev/abi.sh --accept

coverage: ## lcov over the unit and plugin tests, with a floor (COVERAGE_FLOOR)
	$(Q)$(MAKE) --no-print-directory SAN=cov coverage-run
coverage-run: test-programs
	$(Q)COVERAGE_FLOOR=$(COVERAGE_FLOOR) LNX_BUILD=$(BUILD) scripts/dev/coverage.sh $(QUICK)

bench: all $(BENCHES) $(TEST_BPF) ## the figures of the README, to build/bench.json
	$(Q)LNX_BUILD=$(BUILD) CC='$(CC)' bash tests/bench/run.sh

vm: test-programs deb ## tests in a guest of pure cgroup v2 with systemd (root, qemu), or only TESTS="SUITE=PROGRAM..."
	$(Q)LNX_BUILD=$(BUILD) tests/vm/run.sh $(TESTS)

soak: test-programs deb $(FUZZERS) ## long runs: tests/func/soak_*.sh, the guest of vm, hours of fuzzing (SOAK_SECONDS)
	$(Q)LNX_TEST_TIMEOUT=$$(($(SOAK_SECONDS) + 600)) SOAK_SECONDS=$(SOAK_SECONDS) $(RUN) $(SOAK_TESTS:%=soak=%) vm=tests/vm/run.sh
	$(Q)FUZZ_SECONDS=$(SOAK_SECONDS) LNX_BUILD=$(BUILD) scripts/dev/fuzz.sh $(FUZZERS)

fuzz: $(FUZZERS) ## libFuzzer on every tests/fuzz/fuzz_*.c, FUZZ_SECONDS in all
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) LNX_BUILD=$(BUILD) scripts/dev/fuzz.sh $(FUZZERS)

# Fuzzers have their own objects: always clang, always with the sanitizers.
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_CORE := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(CORE_SRCS))

$(BUILD)/fuzz/obj/%.o: %.c $(FLAGS)
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BASE) -Wno-gnu-statement-expression -O1 -g $(FUZZ_SAN) -fsanitize=fuzzer-no-link -DLNX_POISON \
		$(TEST_INC) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/liblnx.a: $(FUZZ_CORE)

$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(if $(FUZZ_CORE),$(BUILD)/fuzz/liblnx.a)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_SAN) -fsanitize=fuzzer -Wl,--as-needed -o $@ \
		$(filter %.o,$^) $(filter %.a,$^) $(TEST_LIBS) $(CLI_LIBS) $(CORE_LIBS)
