# thhost: 'make help' lists what can be made here.
#
# CFLAGS, CPPFLAGS and LDFLAGS belong to the user; what the program itself needs is added apart.
# MODE is release, debug, asan (ASan and UBSan) or cov; DEVELOPER=1 turns warnings into errors.

VERSION := $(shell sed -n 's/^#define THHOST_VERSION "\(.*\)"/\1/p' src/cli/version.h)

MODE ?= release
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
INSTALL ?= install
LUA ?= lua5.4
PKG_CONFIG ?= pkg-config

BUILD := $(if $(filter release,$(MODE)),build,build/$(MODE))

# ---- flags --------------------------------------------------------------------------------------

CFLAGS_release := -O2 -g
CFLAGS_debug := -O0 -g
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_cov := -O0 -g
CFLAGS ?= $(CFLAGS_$(MODE))
MODE_FLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
# gcov's own execve() would count the parent of a vfork() as done.
MODE_FLAGS_cov := --coverage -fno-builtin-execve

WARNINGS := -Wall -Wextra
ifdef DEVELOPER
WARNINGS += -Werror -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wwrite-strings -Wundef -Wpointer-arith \
	-Wformat=2 -Wswitch-enum -Wcast-qual
endif

HARDENING := -fstack-protector-strong -fPIE
ifeq ($(MODE),release)
HARDENING += -D_FORTIFY_SOURCE=2
endif

# A static archive is preferred for what is small and not in every base system: the program then
# starts faster and runs on a cluster where nothing can be installed. LIBS=shared links the shared ones.
LIBS ?= static
PACKAGES := lua5.4 inih yaml-0.1 nettle sqlite3
ifeq ($(LIBS),static)
LINK_LIBS := -Wl,-Bstatic -llua5.4-cjson -llua5.4 -linih -lyaml -lnettle -lsqlite3 -Wl,-Bdynamic -lm -ldl
else
LINK_LIBS := $(shell $(PKG_CONFIG) --libs lua5.4-cjson $(PACKAGES) 2>/dev/null) -lm -ldl
endif

# The Lua library is compiled with the liblua that is linked in; a shared one may be another when the
# program runs, and then the texts go in. So they do with EMBED=text, where what is built cannot run.
EMBED ?= bytecode
ifneq ($(LIBS),static)
override EMBED := text
endif
LUA_ARCHIVE := $(shell $(CC) -print-file-name=liblua5.4.a 2>/dev/null)

LUA_CFLAGS := $(shell $(PKG_CONFIG) --cflags lua5.4 2>/dev/null)
OUR_CFLAGS := -std=gnu11 $(WARNINGS) $(HARDENING) $(MODE_FLAGS_$(MODE)) -Isrc $(LUA_CFLAGS) \
	-ffile-prefix-map=$(CURDIR)=. -MMD -MP
OUR_LDFLAGS = -pie -Wl,--as-needed -Wl,-z,relro,-z,now $(MODE_FLAGS_$(MODE)) $(COV_LDFLAGS_$(MODE))

# ---- files --------------------------------------------------------------------------------------

SOURCES := $(sort $(wildcard src/*/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
LIB_OBJECTS := $(filter-out $(BUILD)/obj/cli/main.o,$(OBJECTS)) $(BUILD)/gen/embedded.o \
	$(BUILD)/gen/embedded_data.o
LUA_FILES := $(sort $(wildcard lua/th/*.lua lua/new/*))
EMBEDDED_text := $(LUA_FILES)
EMBEDDED_bytecode := $(patsubst lua/th/%.lua,$(BUILD)/gen/lua/th/%.luac,$(LUA_FILES))
EMBEDDED := $(EMBEDDED_$(EMBED))
TOOLS := worker_tool broken_worker
# MODE=cov alone: processes that end without exit() write down what they counted; see cov.c.
COV_OBJECT_cov := $(BUILD)/tests/obj/cov.o
COV_OBJECT := $(COV_OBJECT_$(MODE))
COV_LDFLAGS_cov := -Wl,--wrap=_exit,--wrap=raise,-z,nodelete
UNIT_SOURCES := $(sort $(filter-out $(TOOLS:%=tests/unit/%.c),$(wildcard tests/unit/*.c)))
UNIT_OBJECTS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/tests/obj/%.o)
# The module is loaded into a running Lua: no second copy of liblua, and position-independent code.
PIC_OBJECTS := $(patsubst $(BUILD)/obj/%.o,$(BUILD)/pic/%.o,$(filter-out $(BUILD)/obj/script/% \
	$(BUILD)/obj/cli/% $(BUILD)/obj/app/%,$(OBJECTS)))
APP_PIC_OBJECTS := $(BUILD)/pic/app/progress.o $(BUILD)/pic/app/sample.o $(BUILD)/pic/app/cursor.o

.PHONY: all
all: $(BUILD)/thhost

$(BUILD)/thhost: $(BUILD)/bin/thhost $(BUILD)/share/thhost/plugins
	@ln -sfn bin/thhost $@

# The build directory has the shape of an installation, so that the program finds its plugins the
# same way in both.
$(BUILD)/share/thhost/plugins:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/plugins $@

$(BUILD)/bin/thhost: $(BUILD)/obj/cli/main.o $(COV_OBJECT) $(BUILD)/libthhost.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LINK_LIBS)

$(BUILD)/libthhost.a: $(LIB_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

# Other flags make other objects, another liblua other bytecode: the stamp changes when they do. The
# archive's date says nothing, a package brings its own.
STAMP := $(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LINK_LIBS) $(EMBED) \
	$(shell cksum "$(LUA_ARCHIVE)" 2>/dev/null)
$(BUILD)/flags: force | needs
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(STAMP))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(STAMP))' >$@
.PHONY: force

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/pic/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(OUR_CFLAGS)) $(CFLAGS) -fPIC -c -o $@ $<

$(BUILD)/tests/obj/%.o: tests/unit/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(OUR_CFLAGS)) -Itests/unit $(CFLAGS) -fPIC -c -o $@ $<

$(BUILD)/tests/obj/cov.o: tests/support/cov.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -fPIE --coverage,$(OUR_CFLAGS)) $(CFLAGS) -fPIC -c -o $@ $<

$(BUILD)/tests/unit.so: $(UNIT_OBJECTS) $(PIC_OBJECTS) $(APP_PIC_OBJECTS) $(COV_OBJECT)
	$(CC) $(CFLAGS) $(MODE_FLAGS_$(MODE)) $(COV_LDFLAGS_$(MODE)) -shared $(LDFLAGS) -o $@ $^ -linih -lyaml -lnettle -lsqlite3 -lm -ldl

$(TOOLS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: tests/unit/%.c $(COV_OBJECT) $(BUILD)/libthhost.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LINK_LIBS)

# The Lua library: one assembler file that includes the bytes, one C table that names them.
$(BUILD)/gen/embed: config/dev/embed.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< \
		-Wl,-Bstatic -llua5.4 -Wl,-Bdynamic -lm -ldl

$(BUILD)/gen/lua/th/%.luac: lua/th/%.lua $(BUILD)/gen/embed
	@mkdir -p $(@D)
	@$(BUILD)/gen/embed th.$* $< $@ || \
		{ echo "cannot compile $<; if $(BUILD)/gen/embed cannot run here: make EMBED=text" >&2; exit 1; }

$(BUILD)/gen/embedded_data.S $(BUILD)/gen/embedded.c &: config/dev/embed.sh $(EMBEDDED) $(BUILD)/flags
	@mkdir -p $(@D)
	@sh config/dev/embed.sh $(BUILD)/gen $(EMBEDDED)

$(BUILD)/gen/embedded_data.o: $(BUILD)/gen/embedded_data.S $(EMBEDDED)
	$(CC) -c -o $@ $<

$(BUILD)/gen/embedded.o: $(BUILD)/gen/embedded.c
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -c -o $@ $<

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/pic/*/*.d $(BUILD)/tests/obj/*.d $(BUILD)/tests/*.d)

# ---- what the build needs -----------------------------------------------------------------------

.PHONY: needs deps deps-build deps-cov deps-torture deps-torture-vm
needs:
	@sh config/dev/needs.sh build

deps-build: ## install the Debian packages that a build needs, if any is missing
	@sh config/dev/needs.sh install build

deps-cov:
	@sh config/dev/needs.sh install build test cov

deps-torture:
	@sh config/dev/needs.sh install build test torture

deps-torture-vm:
	@sh config/dev/needs.sh install torture-vm

deps: ## install the Debian packages that build, tests and lints need, if any is missing
	@sh config/dev/needs.sh install build test

# ---- the two commands of the README -------------------------------------------------------------

.PHONY: demo check
demo: ## install what is missing, build, run a training, show its history and lineage
	@$(MAKE) --no-print-directory deps-build
	@$(MAKE) --no-print-directory -s all
	@sh tests/example/demo.sh $(BUILD)/thhost

check: ## install what is missing, build, run all tests and lints
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory DEVELOPER=1 test
	@$(MAKE) --no-print-directory lint

# ---- tests --------------------------------------------------------------------------------------

SPECS ?= tests/spec
.PHONY: test test-programs test-asan lint bench cov
test-programs: all $(BUILD)/tests/unit.so $(TOOLS:%=$(BUILD)/tests/%)
test: test-programs ## all specs in this MODE; SPECS=tests/spec/json_spec.lua for some
	@MODE=$(MODE) BUILD=$(BUILD) LUA=$(LUA) CC="$(CC)" sh config/dev/test.sh $(SPECS)

test-asan: ## all specs with the address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory MODE=asan test

# The fault campaign: tests/torture, a spec for each tier of docs/reliability.md, with its figures.
.PHONY: torture torture-short
torture: deps-torture test-programs ## the fault campaign in its long form (hours); TIERS="crash fuzz" for some
	@MODE=$(MODE) BUILD=$(BUILD) LUA=$(LUA) CC="$(CC)" sh tests/torture/run.sh long $(TIERS)

torture-short: deps-torture test-programs ## the fault campaign as CI runs it (minutes)
	@MODE=$(MODE) BUILD=$(BUILD) LUA=$(LUA) CC="$(CC)" sh tests/torture/run.sh short $(TIERS)

lint: ## layers and doors, headers alone, docs against code, luacheck, cppcheck, mandoc, format
	@BUILD=$(BUILD) LUA=$(LUA) sh config/dev/lint.sh

bench: all ## timings beside what the same work costs otherwise
	@BUILD=$(BUILD) LUA=$(LUA) sh tests/bench/run.sh

# The build of MODE=cov is for this measurement alone (tests/support/cov.c). Faults of system calls
# reach the error branches that no spec names: TIERS=syscalls adds them.
cov: deps-cov ## which lines and branches the tests reach (build/cov/index.html); TIERS=syscalls adds faults
	@$(MAKE) --no-print-directory MODE=cov test-programs
	@find build/cov -name '*.gcda' -delete
	@find build/cov -name '*.gcno' | sed 's/gcno$$/gcda/' | while read -r counts; do \
		: >"$$counts" && chmod 666 "$$counts"; done # for what runs as another user
	@MODE=cov BUILD=build/cov LUA=$(LUA) CC="$(CC)" sh config/dev/test.sh $(SPECS)
ifdef TIERS
	@MODE=cov BUILD=build/cov LUA=$(LUA) CC="$(CC)" sh tests/torture/run.sh short $(TIERS)
endif
	@find build/cov -name '*.gcda' -empty -delete
	@gcovr --root . --object-directory build/cov --filter 'src/' --exclude-unreachable-branches \
		--html-details build/cov/index.html --json build/cov/coverage.json build/cov
	@$(LUA) config/dev/cov.lua build/cov/coverage.json

include tests/torture/oom.mk
include tests/fuzz/fuzz.mk

# ---- installation -------------------------------------------------------------------------------

.PHONY: install uninstall clean help
MAN_PAGES := $(wildcard docs/*.1 docs/*.5)
install: all ## PREFIX=/usr/local DESTDIR=
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(DATADIR)/thhost/plugins/datasets" \
		"$(DESTDIR)$(DATADIR)/thhost/lua" "$(DESTDIR)$(DATADIR)/doc/thhost" \
		"$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man5" "$(DESTDIR)$(BASHDIR)" \
		"$(DESTDIR)$(ZSHDIR)" "$(DESTDIR)$(FISHDIR)"
	$(INSTALL) -m 755 $(BUILD)/bin/thhost "$(DESTDIR)$(BINDIR)/thhost"
	$(INSTALL) -m 644 plugins/*.lua "$(DESTDIR)$(DATADIR)/thhost/plugins"
	$(INSTALL) -m 644 plugins/datasets/*.lua "$(DESTDIR)$(DATADIR)/thhost/plugins/datasets"
	$(INSTALL) -m 644 lua/meta/thhost.d.lua "$(DESTDIR)$(DATADIR)/thhost/lua"
	$(INSTALL) -m 644 config/thhost.ini config/batch.example.ini config/training_info.schema.json \
		README.md CHANGELOG.md LICENSE \
		docs/plugins.md docs/reliability.md docs/performance.md "$(DESTDIR)$(DATADIR)/doc/thhost"
	for page in $(MAN_PAGES); do \
		$(INSTALL) -m 644 $$page "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; done
	$(INSTALL) -m 644 config/completion/thhost.bash "$(DESTDIR)$(BASHDIR)/thhost"
	$(INSTALL) -m 644 config/completion/_thhost "$(DESTDIR)$(ZSHDIR)/_thhost"
	$(INSTALL) -m 644 config/completion/thhost.fish "$(DESTDIR)$(FISHDIR)/thhost.fish"

uninstall: ## what install put there
	rm -f "$(DESTDIR)$(BINDIR)/thhost" "$(DESTDIR)$(BASHDIR)/thhost" "$(DESTDIR)$(ZSHDIR)/_thhost" \
		"$(DESTDIR)$(FISHDIR)/thhost.fish"
	for page in $(MAN_PAGES); do rm -f "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; done
	rm -rf "$(DESTDIR)$(DATADIR)/thhost" "$(DESTDIR)$(DATADIR)/doc/thhost"

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | sort | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done
	@printf '  MODE=release|debug|asan|cov  DEVELOPER=1  LIBS=static|shared  EMBED=bytecode|text\n'
