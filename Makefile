# akushu: build, prove, measure. `make help` lists the targets.
#
#   make build                the module, build/lib/akushu/core.so
#   make build WERROR=1       the same with every warning an error (CC=gcc, CC=clang)
#   make test SPEC="spec/unit/buf_spec.lua"   some specs only; TAGS=name or FILTER=pattern narrow further; JOBS=n runs n files at once

CC      ?= cc
LUA     ?= lua5.4
BUSTED  ?= /usr/bin/busted
OUT     ?= build
CFLAGS  ?= -O2 -g
override JOBS := $(or $(JOBS),$(shell tools/jobs),1)
MAKEFLAGS += --no-print-directory

# -- what is compiled: every .c in the rooms of csrc; a new file needs no line here --------------------------------------------

SOURCES  := $(sort $(shell find csrc -name '*.c' -not -path '*/tests/*' 2>/dev/null))
ENGINE   := $(filter-out csrc/binding/%,$(SOURCES))
OBJECTS  := $(SOURCES:%.c=$(OUT)/obj/%.o)
LIBRARY  := $(OUT)/lib/akushu/core.so
ARCHIVE  := $(OUT)/lib/libakushu.a

LUA_CFLAGS     := $(shell pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)
OPENSSL_CFLAGS := $(if $(OPENSSL_DIR),-I$(OPENSSL_DIR)/include)
OPENSSL_LIBS   := $(if $(OPENSSL_DIR),-L$(OPENSSL_DIR)/lib -Wl$(comma)-rpath$(comma)$(OPENSSL_DIR)/lib) -lcrypto
comma := ,

STRICT     := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla
WARNINGS   := $(if $(WERROR),$(STRICT) -Werror,-Wall -Wextra)
ALL_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden $(CFLAGS) $(WARNINGS) -Icsrc $(OPENSSL_CFLAGS) $(SAN_FLAGS)

# What the specs, the benches and the examples see: this tree, then what is installed.
export LUA_PATH  := ./lua/?.lua;./lua/?/init.lua;;
export LUA_CPATH := $(OUT)/lib/?.so;;
unexport LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4

.PHONY: help demo test test-all build bench sanitize lint docs clean install bogo \
        packages-demo packages-test specs library FORCE

help:
	@echo "make build      compile the module into build/lib"
	@echo "make demo       the story in words, then a real handshake with openssl over loopback"
	@echo "make test       all specs but the slow ones; ends with 'N passed, N failed'"
	@echo "make test-all   all specs"
	@echo "make sanitize   engine and specs under ASan + UBSan, valgrind, short fuzz runs"
	@echo "make lint       gcc and clang with every warning an error, clang-tidy, luacheck"
	@echo "make bench      speed and memory beside other libraries, as ratios"
	@echo "make docs       the manual as HTML in build/docs"
	@echo "make install    luarocks make (TREE=dir, or PREFIX=dir: into that tree, not the system's)"
	@echo "make bogo RUNNER=path   a BoringSSL test runner of your own against bogo/shim.lua"
	@echo "make clean      remove build/"

# -- build ---------------------------------------------------------------------------------------------------------------------

build: $(LIBRARY)
library: $(ARCHIVE)

# Other flags, another compiler or another list of files: the stamp changes, and with it everything that hangs on it.
$(OUT)/flags: FORCE
	@mkdir -p $(OUT)
	@echo '$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) $(OPENSSL_LIBS) $(LDFLAGS)' | cmp -s - $@ || \
	 echo '$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) $(OPENSSL_LIBS) $(LDFLAGS)' > $@
$(OUT)/sources: FORCE
	@mkdir -p $(OUT)
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@

# A file takes its name when it is whole: neither a build that was stopped nor another one beside this leaves half of one behind.
COMPILE = $(CC) $(ALL_CFLAGS) $(1) -MMD -MP -MF $@.$$$$.d -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$.d $(@:.o=.d) && mv -f $@.$$$$ $@ || \
 { rm -f $@.$$$$ $@.$$$$.d; exit 1; }

$(OUT)/obj/csrc/binding/%.o: csrc/binding/%.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(call COMPILE,$(LUA_CFLAGS))

$(OUT)/obj/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(call COMPILE,)

$(LIBRARY): $(OBJECTS) $(OUT)/sources $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) -shared $(SAN_FLAGS) -Wl,-z,relro,-z,now $(LDFLAGS) -o $@.$$$$ $(OBJECTS) $(OPENSSL_LIBS) || { rm -f $@.$$$$; exit 1; }; \
	 if nm -D -u $@.$$$$ | grep ' U ak_'; then echo "$@: these functions are called and do not exist"; rm -f $@.$$$$; exit 1; fi; \
	 mv -f $@.$$$$ $@

# The engine without Lua, for fuzz targets and for C programs.
$(ARCHIVE): $(ENGINE:%.c=$(OUT)/obj/%.o) $(OUT)/sources
	@mkdir -p $(@D)
	@rm -f $@.$$$$; ar rcs $@.$$$$ $(filter %.o,$^) && mv -f $@.$$$$ $@

-include $(OBJECTS:.o=.d)

# -- demo ----------------------------------------------------------------------------------------------------------------------

packages-demo:
	@tools/install-packages build demo

demo: packages-demo
	@$(MAKE) -j$(JOBS) build
	@$(LUA) examples/story.lua
	@$(LUA) tools/demo_openssl.lua

# -- specs ---------------------------------------------------------------------------------------------------------------------

packages-test:
	@tools/install-packages build test

SPEC      ?= $(filter-out spec/support,$(patsubst %/,%,$(wildcard spec/*/)))
SPEC_ARGS ?= $(if $(TAGS),--tags=$(TAGS)) $(if $(FILTER),--filter=$(FILTER))
SPEC_SLOW ?= --exclude-tags=slow
RUN_SPECS  = results=$(OUT)/results.$$$$; LUA="$(LUA)" BUSTED="$(BUSTED)" JOBS=$(JOBS) RESULTS=$$results tools/run-specs $(SPEC) -- $(SPEC_SLOW)
# Two runs in one tree have each its own results until they end; those of the last one stay. Nothing is said behind the closing line.
KEEP_RESULTS = { rm -rf $(OUT)/results; mv -T $$results $(OUT)/results || rm -rf $$results; } 2>/dev/null

# The specs alone, without installing anything and without the closing line.
specs: build
	@$(RUN_SPECS) $(SPEC_ARGS); code=$$?; $(KEEP_RESULTS); exit $$code

# The closing line stands alone and last: `N passed, N failed`. BEFORE="P F": what has been counted before, by .ci/run.
test: packages-test
	@$(MAKE) -j$(JOBS) build
	@$(RUN_SPECS) $(SPEC_ARGS); code=$$?; tools/spec-total $$results $(BEFORE) || code=1; $(KEEP_RESULTS); exit $$code

test-all: SPEC_SLOW =
test-all: packages-test
	@tools/install-packages browser
	@$(MAKE) -j$(JOBS) build
	@$(RUN_SPECS) $(SPEC_ARGS); code=$$?; tools/spec-total $$results || code=1; $(KEEP_RESULTS); exit $$code

# -- sanitize ------------------------------------------------------------------------------------------------------------------

sanitize:
	@tools/install-packages build test sanitize
	@tools/sanitize

# -- lint ----------------------------------------------------------------------------------------------------------------------

lint:
	@tools/install-packages build lint
	@tools/lint

# -- bench, docs, install ------------------------------------------------------------------------------------------------------

bench:
	@tools/install-packages build bench
	@$(MAKE) -j$(JOBS) build
	@$(MAKE) -f bench/Makefile
	@$(LUA) bench/run.lua $(BENCH_ARGS)

docs:
	@tools/install-packages docs
	@$(LUA) tools/make_docs.lua

# luarocks leaves its objects beside the sources and does not look at headers: they go, before and after.
# PREFIX is what make install takes elsewhere: nobody who names it wants the system's tree.
install: TREE ?= $(PREFIX)
install:
	@rm -rf akushu && find csrc -name '*.o' -delete
	@luarocks --lua-version 5.4 make $(if $(TREE),--tree $(TREE)) akushu-scm-1.rockspec; code=$$?; \
	 rm -rf akushu; find csrc -name '*.o' -delete; exit $$code

bogo: build
	@test -n "$(RUNNER)" || { echo "make bogo RUNNER=path: where is your runner? (bogo/README.md)"; exit 2; }
	@$(LUA) bogo/run.lua "$(RUNNER)" $(BOGO_ARGS)

clean:
	@rm -rf build akushu
	@find csrc -name '*.o' -delete
