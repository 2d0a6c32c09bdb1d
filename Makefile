# SPDX-License-Identifier: MIT
#
# The whole build, in one file and without recursion into folders: sources are found by wildcard,
# so a new .c file in a room needs no change here.
#
#   make                 everything: weir, weirctl, libweir.a, libweir.so, tests, examples
#   make run             install what is missing, build, start the demo
#   make check           every test; the last line counts them
#   make help            the other targets
#
#   VARIANT=asan|tsan|fuzz   another build folder with a sanitizer: build-asan/, ...
#   CC=clang                 build-clang/ (or build-asan-clang/, ...)
#   V=1                      show the commands
#   PREFIX= DESTDIR=         where `make install` puts things

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- variants ---------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
ifeq ($(VARIANT),fuzz)
CC := $(CLANG)
endif
CC_IS_CLANG := $(findstring clang,$(notdir $(CC)))

B := build$(addprefix -,$(VARIANT))
ifneq ($(CC_IS_CLANG),)
ifneq ($(VARIANT),fuzz)
B := $(B)-clang
endif
endif

SANITIZE_ :=
SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANITIZE_tsan := -fsanitize=thread
SANITIZE_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
ifeq ($(filter $(VARIANT),asan tsan fuzz),)
ifneq ($(VARIANT),)
$(error VARIANT=$(VARIANT) is unknown; say asan, tsan or fuzz)
endif
endif
SANITIZE := $(SANITIZE_$(VARIANT))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---- flags ------------------------------------------------------------------------------------

ARCH := $(shell uname -m)
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
ifeq ($(CC_IS_CLANG),)
# gcc 12 takes an intrusive list whose link lies on a task's stack for a dangling pointer.
WARN += -Wno-dangling-pointer
# And its sanitizers make it guess wrong about what is initialised.
WARN += $(if $(filter asan tsan,$(VARIANT)),-Wno-maybe-uninitialized)
endif
FRAME := -Wframe-larger-than=$(if $(SANITIZE),32768,4096)
HARDEN := -fstack-protector-strong -fstack-clash-protection
HARDEN += $(if $(filter x86_64,$(ARCH)),-fcf-protection)
HARDEN += $(if $(filter aarch64,$(ARCH)),-mbranch-protection=standard)
HARDEN += -U_FORTIFY_SOURCE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)

# Libraries by pkg-config; Boost.Context has no such file.
PKGS := libuv openssl libbpf libelf libcares libcyaml yaml-0.1 jansson libsystemd libcrypt
PKGS += zlib libbrotlienc libbrotlidec libzstd
PKG_CONFIG ?= pkg-config

# llhttp: a library where the distribution has one, else the C sources that node-llhttp installs.
LLHTTP_DIR := /usr/share/llhttp
LLHTTP_SRC :=
ifeq ($(shell $(PKG_CONFIG) --exists libllhttp 2>/dev/null && echo yes),yes)
PKGS += libllhttp
else
LLHTTP_SRC := $(wildcard $(LLHTTP_DIR)/*.c)
# Version 8 has a strict half and a loose one, chosen when it is compiled; 9 is strict.
LLHTTP_CFLAGS := -isystem /usr/share/include/llhttp -DLLHTTP_STRICT_MODE=1
endif

PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null) $(LLHTTP_CFLAGS)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
BOOST_CONTEXT := -l:libboost_context.a
LIBS := $(PKG_LIBS) $(BOOST_CONTEXT) -lpthread -lm

CPPFLAGS_ALL := -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -Iuserspace/include -Iuserspace \
	-isystem $(B)/gen -iquote . $(PKG_CFLAGS) $(CPPFLAGS)
OPT := $(if $(filter fuzz tsan,$(VARIANT)),-O1,-O2) -g $(if $(SANITIZE),-fno-omit-frame-pointer)
CFLAGS_ALL := -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(SANITIZE) -ffunction-sections -fdata-sections \
	$(CFLAGS)
LDFLAGS_ALL := $(SANITIZE) -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed -Wl,--gc-sections \
	$(LDFLAGS)

# The library is compiled once for both archive and shared object. Without semantic interposition
# and with the linker's relaxations position independent code costs the archive nothing.
PIC := -fPIC -fno-semantic-interposition
PIE := -fPIE

# ---- sources ----------------------------------------------------------------------------------

BPF_SRC := $(wildcard bpf/*.bpf.c tests/bpf/*.bpf.c)
SKEL := $(patsubst %.bpf.c,$(B)/gen/%.skel.h,$(notdir $(BPF_SRC)))

DAEMON_SRC := $(wildcard userspace/daemon/*.c userspace/daemon/*/*.c)
EXAMPLE_SRC := $(wildcard userspace/examples/*.c)
LIB_SRC := $(filter-out userspace/daemon/% userspace/examples/% userspace/include/%, \
	$(wildcard userspace/*/*.c userspace/*/*/*.c))
WEIR_SRC := $(wildcard tools/weir/*.c)
WEIRCTL_SRC := $(wildcard tools/weirctl/*.c)

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_HELP_SRC := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
BPFTEST_SRC := $(wildcard tests/bpf/test_*.c)
BPFTEST_HELP_SRC := $(filter-out $(BPFTEST_SRC) $(BPF_SRC),$(wildcard tests/bpf/*.c))
LOAD_SRC := $(wildcard tests/bench/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_HELP_SRC := $(filter-out $(FUZZ_SRC),$(wildcard tests/fuzz/*.c)) tests/unit/h1_rig.c

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
LLHTTP_OBJ := $(LLHTTP_SRC:$(LLHTTP_DIR)/%.c=$(B)/llhttp/%.o)
DAEMON_OBJ := $(call obj,$(DAEMON_SRC))
WEIR_OBJ := $(call obj,$(WEIR_SRC))
WEIRCTL_OBJ := $(call obj,$(WEIRCTL_SRC))

LIBA := $(B)/libweir.a
LIBSO := $(if $(SANITIZE),,$(B)/libweir.so)
WEIR := $(if $(WEIR_SRC),$(B)/weir)
WEIRCTL := $(if $(WEIRCTL_SRC),$(B)/weirctl)
EXAMPLES := $(EXAMPLE_SRC:userspace/examples/%.c=$(B)/examples/%)
UNITS := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
BPFTESTS := $(BPFTEST_SRC:tests/bpf/%.c=$(B)/tests/bpf/%)
LOAD := $(if $(LOAD_SRC),$(B)/tests/load)
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/%)

SRC := $(LIB_SRC) $(DAEMON_SRC) $(EXAMPLE_SRC) $(WEIR_SRC) $(WEIRCTL_SRC) \
	$(UNIT_SRC) $(UNIT_HELP_SRC) $(BPFTEST_SRC) $(BPFTEST_HELP_SRC) $(LOAD_SRC)
OBJ := $(call obj,$(SRC))

.PHONY: all lib programs tests fuzz run check check-unit check-integration check-fuzz check-bpf \
	check-lint bench install uninstall deb clean deps deps-build format lint \
	lint-tidy lint-cppcheck compile_commands.json help
.SECONDARY:

ifeq ($(VARIANT),fuzz)
all: fuzz
else
all: lib programs tests
endif
lib: $(LIBA) $(LIBSO) $(if $(LIBSO),$(B)/weir.pc)
programs: $(WEIR) $(WEIRCTL) $(EXAMPLES)
tests: $(UNITS) $(BPFTESTS) $(LOAD)
fuzz: $(FUZZERS)

# ---- compiling --------------------------------------------------------------------------------

# Objects are rebuilt when the flags change, not when this file does.
FLAGS := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PIC) $(FRAME)
FLAGS_FILE := $(B)/flags
define newline


endef
ifneq ($(filter-out clean deps deps-% format help uninstall run check check-% lint bench,$(or $(MAKECMDGOALS),all)),)
ifneq ($(file <$(FLAGS_FILE)),$(FLAGS))
$(shell mkdir -p $(B))
$(file >$(FLAGS_FILE),$(FLAGS))
endif
endif

$(LIB_OBJ): MODE := $(PIC) $(FRAME)
$(DAEMON_OBJ) $(WEIR_OBJ) $(WEIRCTL_OBJ): MODE := $(PIE) $(FRAME)
MODE := $(PIE)

$(OBJ): $(B)/obj/%.o: %.c $(FLAGS_FILE) | $(SKEL)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(MODE) -MMD -MP -c -o $@ $<

# Skeletons are included as system headers, which -MMD leaves out.
$(call obj,$(wildcard userspace/offload/*.c) $(BPFTEST_SRC) $(BPFTEST_HELP_SRC)): $(SKEL)

# Another project's sources: its warnings are not ours.
$(LLHTTP_OBJ): $(B)/llhttp/%.o: $(LLHTTP_DIR)/%.c $(FLAGS_FILE)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(OPT) $(HARDEN) $(SANITIZE) $(PIC) $(LLHTTP_CFLAGS) -c -o $@ $<

# ---- BPF --------------------------------------------------------------------------------------

# CO-RE with small struct definitions of our own, so no vmlinux.h of the building machine gets in.
# `bpftool gen object` keeps BTF and drops the debug information that the skeleton need not carry.
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool.real /usr/lib/linux-tools/*/bpftool \
	/usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Wshadow -Werror \
	-D__TARGET_ARCH_$(BPF_ARCH) -iquote . -Ibpf -idirafter /usr/include/$(MULTIARCH)

vpath %.bpf.c bpf tests/bpf
$(B)/bpf/%.bpf.o: %.bpf.c $(FLAGS_FILE)
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $(@:.o=.tmp) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.tmp) && rm -f $(@:.o=.tmp)

$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

# ---- linking ----------------------------------------------------------------------------------

$(LIBA): $(LIB_OBJ) $(LLHTTP_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/libweir.so: $(LIB_OBJ) $(LLHTTP_OBJ) userspace/libweir.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,libweir.so.$(SOVERSION) \
		-Wl,--version-script=userspace/libweir.map $(LDFLAGS_ALL) -Wl,-z,defs \
		-o $@ $(filter %.o,$^) $(LIBS)
	$(Q)ln -sf libweir.so $@.$(SOVERSION)

link = $(CC) $(CFLAGS_ALL) -pie $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^)

$(B)/weir: $(WEIR_OBJ) $(DAEMON_OBJ) $(LIBA)
	$(call say,LD,$@)
	$(Q)$(link) $(LIBS)

$(B)/weirctl: $(WEIRCTL_OBJ) $(LIBA)
	$(call say,LD,$@)
	$(Q)$(link) $(LIBS)

$(EXAMPLES): $(B)/examples/%: $(B)/obj/userspace/examples/%.o $(LIBA)
$(EXAMPLES):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) $(LIBS)

# Tests of the control tool's and the daemon's own objects are named test_weirctl_*, test_daemon_*.
$(filter $(B)/tests/test_weirctl_%,$(UNITS)): $(filter-out %/main.o,$(WEIRCTL_OBJ))
$(filter $(B)/tests/test_daemon_%,$(UNITS)): $(DAEMON_OBJ)
$(UNITS): $(B)/tests/%: $(B)/obj/tests/unit/%.o $(call obj,$(UNIT_HELP_SRC)) $(LIBA)
$(BPFTESTS): $(B)/tests/bpf/%: $(B)/obj/tests/bpf/%.o $(call obj,$(BPFTEST_HELP_SRC)) $(LIBA)
$(UNITS) $(BPFTESTS):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) -lcmocka $(LIBS)

# The traffic tool of integration tests and benchmark shares nothing with the library.
$(LOAD): $(call obj,$(LOAD_SRC))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link)

# Harnesses see the daemon's objects too: the configuration parser lives there.
$(FUZZERS): $(B)/%: tests/fuzz/%.c $(FUZZ_HELP_SRC) $(DAEMON_OBJ) $(LIBA)
	$(call say,FUZZ,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PIE) -fsanitize=fuzzer -MMD -MP -MF $@.d -pie \
		$(LDFLAGS_ALL) -o $@ $< $(FUZZ_HELP_SRC) $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# Written at each install too, because PREFIX may differ from the build's.
define PC_FILE
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCLUDEDIR)

Name: weir
Description: proxy framework with kernel offload
Version: $(VERSION)
Libs: -L$${libdir} -lweir
Libs.private: $(BOOST_CONTEXT) -lpthread -lm
Requires.private: $(strip $(PKGS))
Cflags: -I$${includedir}
endef

$(B)/weir.pc: Makefile
	$(file >$@,$(PC_FILE))@:

# ---- packages ---------------------------------------------------------------------------------

# Debian's and Ubuntu's names; a|b means that releases differ and the first one that exists is taken;
# a? is done without where a release does not have it.
DEPS_BUILD := gcc make clang pkg-config|pkgconf bpftool|linux-tools-generic libc6-dev libuv1-dev \
	libssl-dev libllhttp-dev|node-llhttp libnghttp2-dev libbpf-dev libelf-dev zlib1g-dev \
	libbrotli-dev libzstd-dev libcrypt-dev libboost-context-dev libc-ares-dev libcyaml-dev libyaml-dev libjansson-dev libsystemd-dev \
	libcmocka-dev systemtap-sdt-dev
DEPS_RUN := curl ca-certificates
DEPS_TEST := python3 python3-pytest python3-pytest-timeout python3-pytest-xdist python3-yaml python3-jsonschema \
	python3-aiohttp clang-format clang-tidy cppcheck llvm libclang-rt-dev|libclang-rt-18-dev \
	postgresql redis-server redis-tools nginx libnginx-mod-stream haproxy iperf3 rsync \
	openssh-server openssh-client openssl dnsmasq-base socat tinyproxy netcat-openbsd iproute2 procps util-linux \
	strace valgrind gdb dpkg-dev systemd fish zsh mandoc nodejs python3-websockets wrk nghttp2-client chromium?

deps: DEPS := $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST)
deps-build: DEPS := $(DEPS_BUILD) $(DEPS_RUN)
deps deps-build:
	$(Q)tools/deps $(foreach d,$(DEPS),'$(d)')

# ---- running and testing ----------------------------------------------------------------------

# All cores, unless make was told a number.
PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

run: deps-build
	$(Q)$(MAKE) -s $(PARALLEL) programs
	$(Q)exec build/weir demo

check: deps
	$(Q)tests/run

check-unit check-integration check-fuzz check-bpf check-lint: check-%:
	$(Q)tests/run $*

bench: deps
	$(Q)$(MAKE) $(PARALLEL) programs $(LOAD)
	$(Q)/usr/bin/python3 tests/bench/run.py $(BENCH)

lint: check-lint

# ---- installing -------------------------------------------------------------------------------

SHAREDIR := $(PREFIX)/share
ZSH_FOLDER := $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
MAN := $(wildcard tools/man/*.[1-8])
HEADERS := $(wildcard userspace/include/weir/*.h)
UNITS_SYSTEMD := $(wildcard conf/*.service conf/*.socket)
CONFS := $(wildcard conf/*.yaml)

# What goes where: mode:source:destination. install copies by it, uninstall removes by it.
INSTALL := $(foreach f,$(WEIR) $(WEIRCTL),755:$(f):$(BINDIR)/$(notdir $(f))) \
	644:$(B)/libweir.so:$(LIBDIR)/libweir.so.$(VERSION) \
	644:$(B)/libweir.a:$(LIBDIR)/libweir.a \
	644:$(B)/weir.pc:$(LIBDIR)/pkgconfig/weir.pc \
	$(foreach f,$(HEADERS),644:$(f):$(INCLUDEDIR)/weir/$(notdir $(f))) \
	$(foreach f,$(MAN),644:$(f):$(MANDIR)/man$(subst .,,$(suffix $(f)))/$(notdir $(f))) \
	$(foreach f,$(UNITS_SYSTEMD),644:$(B)/units/$(notdir $(f)):$(UNITDIR)/$(notdir $(f))) \
	$(foreach f,$(CONFS),644:$(f):$(SHAREDIR)/doc/weir/examples/$(notdir $(f))) \
	$(foreach f,$(wildcard tools/completions/*.bash),644:$(f):$(strip \
		$(SHAREDIR)/bash-completion/completions/$(basename $(notdir $(f))))) \
	$(foreach f,$(wildcard tools/completions/_*),644:$(f):$(strip \
		$(SHAREDIR)/zsh/$(ZSH_FOLDER)/$(notdir $(f)))) \
	$(foreach f,$(wildcard tools/completions/*.fish),644:$(f):$(strip \
		$(SHAREDIR)/fish/vendor_completions.d/$(notdir $(f))))
SO_LINKS := $(LIBDIR)/libweir.so.$(SOVERSION) $(LIBDIR)/libweir.so

install: lib programs
	$(file >$(B)/weir.pc,$(PC_FILE))
	$(Q)mkdir -p $(B)/units
	$(Q)for unit in $(UNITS_SYSTEMD); do \
		sed 's,/usr/bin/,$(BINDIR)/,g' $$unit >$(B)/units/$${unit##*/} || exit 1; done
	$(Q)for item in $(INSTALL); do \
		mode=$${item%%:*} to=$${item##*:} from=$${item#*:} && \
		install -D -m $$mode $${from%:*} "$(DESTDIR)$$to" || exit 1; done
	$(Q)for link in $(SO_LINKS); do \
		ln -sf libweir.so.$(VERSION) "$(DESTDIR)$$link" || exit 1; done

uninstall:
	$(Q)for item in $(INSTALL); do rm -f "$(DESTDIR)$${item##*:}"; done
	$(Q)for link in $(SO_LINKS); do rm -f "$(DESTDIR)$$link"; done
	$(Q)rmdir "$(DESTDIR)$(INCLUDEDIR)/weir" "$(DESTDIR)$(SHAREDIR)/doc/weir/examples" \
		"$(DESTDIR)$(SHAREDIR)/doc/weir" 2>/dev/null || true

DEB_ARCH = $(shell dpkg --print-architecture)
DEB := $(B)/deb/root

deb: lib programs
	$(Q)rm -rf $(B)/deb && mkdir -p $(DEB)/DEBIAN
	$(Q)$(MAKE) install DESTDIR=$(CURDIR)/$(DEB) PREFIX=/usr LIBDIR=/usr/lib/$(MULTIARCH) \
		UNITDIR=/lib/systemd/system
	$(Q)tools/deb $(DEB) weir $(VERSION) $(DEB_ARCH) $(B)/weir_$(VERSION)_$(DEB_ARCH).deb
	@echo $(B)/weir_$(VERSION)_$(DEB_ARCH).deb

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# ---- style and static analysis ----------------------------------------------------------------

C_FILES = $(sort $(shell find bpf userspace tools tests -name '*.[ch]'))
# One stamp a file; the object is a prerequisite because it knows the headers.
TIDY := $(patsubst %.c,$(B)/tidy/%.stamp,$(SRC))

format:
	$(Q)clang-format -i $(C_FILES)

lint-tidy: $(TIDY)

$(TIDY): $(B)/tidy/%.stamp: %.c $(B)/obj/%.o .clang-tidy tests/.clang-tidy
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- -std=gnu11 $(CPPFLAGS_ALL) 2>$@.err || \
		{ grep -v 'warnings\? generated' $@.err; exit 1; }
	$(Q)rm -f $@.err && touch $@

lint-cppcheck:
	$(call say,CPPCHECK,userspace tools)
	$(Q)mkdir -p $(B)/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/lint/cppcheck.supp --std=c11 \
		--library=posix -D_GNU_SOURCE -D__linux__ -DWEIR_VERSION='"$(VERSION)"' \
		-Iuserspace/include -Iuserspace -I. \
		--cppcheck-build-dir=$(B)/cppcheck -j2 userspace tools

# For editors: what the compiler would be called with.
json = $(subst ",\",$(subst \,\\,$(1)))
define COMMAND
,{"directory": "$(CURDIR)", "file": "$(1)",
 "command": "$(call json,$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PIC) -c -o $(call obj,$(1)) $(1))"}
endef

compile_commands.json:
	$(file >$@,[)$(foreach s,$(SRC),$(file >>$@,$(call COMMAND,$(s))))$(file >>$@,])
	$(Q)sed -i '2s/^,//' $@

clean:
	rm -rf build build-* compile_commands.json

-include $(OBJ:.o=.d) $(patsubst %.bpf.c,$(B)/bpf/%.bpf.d,$(notdir $(BPF_SRC))) $(FUZZERS:=.d)
