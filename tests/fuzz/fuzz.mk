# The fuzzers: one libFuzzer target for each file here, and reader.c once for each reader in Lua.
# 'make fuzz' builds them into build/fuzz/NAME; tests/torture/fuzz_spec.lua runs them.

# Another compiler's objects lie in another directory; the Lua texts are needed for their line numbers.
FUZZ_CC ?= clang
FUZZ_SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link $(FUZZ_SANITIZE)

FUZZ_READERS := json csv pydict tfevents log state console events_file features epochs relations
FUZZ_TARGETS := $(filter-out reader,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))) \
	$(FUZZ_READERS:%=lua_%)

# Functions that the target itself stands in for.
FUZZ_WRAP_ini := file_read_path
FUZZ_WRAP_spool := file_read_path path_open_dir
FUZZ_WRAP_worker := proc_capture sources_add_plugin log_warn
FUZZ_WRAP_events := duplex_receive duplex_stop

.PHONY: fuzz fuzz-targets fuzz-names
fuzz: ## the fuzzers, by clang, into build/fuzz
	@$(MAKE) --no-print-directory MODE=fuzz CC=$(FUZZ_CC) EMBED=text fuzz-targets

fuzz-targets: $(FUZZ_TARGETS:%=$(BUILD)/%)

fuzz-names:
	@echo $(FUZZ_TARGETS)

FUZZ_COMPILE = $(CC) $(CPPFLAGS) $(OUR_CFLAGS) -Itests/fuzz $(CFLAGS)

$(FUZZ_READERS:%=$(BUILD)/tests/fuzz/lua_%.o): $(BUILD)/tests/fuzz/lua_%.o: tests/fuzz/reader.c \
		$(BUILD)/flags
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) -DREADER='"$*"' -DFUZZ_DIR='"$(CURDIR)/tests/fuzz"' -c -o $@ $<

$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) -c -o $@ $<

$(FUZZ_TARGETS:%=build/fuzz/%): build/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libthhost.a
	$(CC) $(CFLAGS) $(OUR_LDFLAGS) -fsanitize=fuzzer $(FUZZ_WRAP_$*:%=-Wl,--wrap=%) $(LDFLAGS) -o $@ $^ $(LINK_LIBS)

-include $(wildcard $(BUILD)/tests/fuzz/*.d)
