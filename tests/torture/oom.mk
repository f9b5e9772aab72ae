# What the memory tier needs: thhost with a malloc() that fails, under the sanitizers whatever MODE
# is, and the same to preload into the plain one.

OOM_SOURCES := tests/torture/oom.c tests/torture/oom_lua.c
OOM_WRAP := -DOOM_WRAP -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=worker_main

$(BUILD)/tests/oom/thhost: $(OOM_SOURCES) tests/torture/oom.h $(BUILD)/obj/cli/main.o $(BUILD)/libthhost.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -M%,$(OUR_CFLAGS)) $(CFLAGS) $(OOM_WRAP) $(OUR_LDFLAGS) $(LDFLAGS) \
		-o $@ $(filter-out %.h,$^) $(LINK_LIBS)

$(BUILD)/tests/oom.so: tests/torture/oom.c tests/torture/oom.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -M% -fPIE -fsanitize=%,$(OUR_CFLAGS)) -O1 -g -fPIC -shared -o $@ $<

.PHONY: oom-programs
oom-programs: | test-programs
	@$(MAKE) --no-print-directory MODE=release build/bin/thhost build/tests/oom.so
	@$(MAKE) --no-print-directory MODE=asan build/asan/tests/oom/thhost
torture torture-short: oom-programs
