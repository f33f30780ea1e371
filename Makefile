# Builds, installs and tests libberth. `make help` lists what there is.
# Cargo does the building; this file adds what a C library needs besides: the links, the pkg-config
# file, the places to install to.

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
LIBEXECDIR ?= $(PREFIX)/libexec
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/berth
# Where Debian keeps Go packages.
GODIR      ?= $(PREFIX)/share/gocode/src/berth
DESTDIR    ?=

CARGO      ?= cargo
# Refreshes the loader's cache after an installation into the running system; LDCONFIG=: leaves it.
LDCONFIG   ?= ldconfig
# For `make lint`: a commit; those after it are checked by tools/commit-check.
SINCE      ?=
# For `make all`; CARGO_FLAGS=--locked refuses to change Cargo.lock.
CARGO_FLAGS ?=

VERSION := $(shell sed -nE '/^\[package\]/,/^\[[^p]/ s/^version *= *"([^"]*)".*/\1/p' Cargo.toml)
SONAME  := libberth.so.0
REAL    := libberth.so.$(VERSION)
TARGET  := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
DOCS    := README.md CHANGELOG.md SECURITY.md LICENSE $(wildcard docs/*.md)
GO      := go.mod README.md $(filter-out %_test.go,$(notdir $(wildcard bindings/go/*.go)))
# What the command line makes of its own options: man pages, and completions under the names that shells look for.
GENERATED_DOCS := $(RELEASE)/generated-docs
BASH_COMPLETIONS := $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS  := $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS := $(PREFIX)/share/fish/vendor_completions.d

.PHONY: all generated-docs header demo check vm-check bench deb wheel lint install uninstall clean help

all: ## build the library, static and shared, and the command line (the default)
	$(CARGO) build --release --lib $(CARGO_FLAGS)
	CARGO=$(CARGO) tools/build-berth $(CARGO_FLAGS)
	@ln -sf libberth.so $(RELEASE)/$(SONAME)
	@tools/native-libs $(RELEASE) > $(RELEASE)/native-static-libs
	@$(MAKE) --no-print-directory generated-docs

# Man pages and completions, as the command line that is in RELEASE has them.
generated-docs:
	@rm -rf $(GENERATED_DOCS) && mkdir -p $(GENERATED_DOCS)/man
	@$(RELEASE)/berth man $(GENERATED_DOCS)/man
	@for shell in bash zsh fish; do $(RELEASE)/berth completions $$shell > $(GENERATED_DOCS)/$$shell || exit 1; done

header: ## generate include/berth.h anew from src/capi, and docs/reference.md from that
	$(CARGO) build --release --lib $(CARGO_FLAGS)
	mkdir -p include
	cp $(RELEASE)/berth.h include/berth.h
	tools/reference > docs/reference.md

demo: ## watch one container live and die (as root; installs what is missing)
	examples/run-demo

check: ## install what testing needs, run all tests (as root)
	tools/check

vm-check: ## run the important part of the suite in a virtual machine with all of cgroup v2 (as root)
	tools/setup build vm
	$(MAKE) --silent all
	tools/vm-suite

bench: all ## measure beside other runtimes and the kernel baseline (as root; minutes; installs what is missing)
	tools/setup build demo bench
	benches/run $(ROUNDS)

deb: ## Debian packages for this machine's Debian, in build/
	packaging/make-deb

lint: ## formatting, clippy, shellcheck, dependencies; SINCE=main: the form of commits, too
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --all-features $(CARGO_FLAGS) -- -D warnings
	tools/lint-scripts
	tools/lint-dependencies
	@[ -z "$(SINCE)" ] || tools/commit-check "$(SINCE)"

wheel: all ## build Python's packages: a wheel that carries the library, and a source package
	bindings/python/package $(RELEASE)/libberth.so $(TARGET)/wheel

install: ## install what `make` built; PREFIX=, LIBDIR=, LIBEXECDIR=, DESTDIR= say where
	@test -e $(RELEASE)/native-static-libs || { echo "run make first: there is nothing to install yet" >&2; exit 1; }
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBEXECDIR)/berth $(DESTDIR)$(DOCDIR)/docs \
	  $(DESTDIR)$(GODIR)
	install -m 755 $(RELEASE)/libberth.so $(DESTDIR)$(LIBDIR)/$(REAL)
	ln -sf $(REAL) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libberth.so
	install -m 644 $(RELEASE)/libberth.a $(DESTDIR)$(LIBDIR)/libberth.a
	install -m 644 include/berth.h bindings/cpp/berth.hpp $(DESTDIR)$(INCLUDEDIR)/
	install -m 755 $(RELEASE)/berth-init $(DESTDIR)$(LIBEXECDIR)/berth/berth-init
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	  -e 's|@VERSION@|$(VERSION)|' -e "s|@LIBS_PRIVATE@|$$(cat $(RELEASE)/native-static-libs)|" \
	  berth.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/berth.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/berth.pc
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS) \
	  $(DESTDIR)$(FISH_COMPLETIONS)
	install -m 755 $(RELEASE)/berth $(DESTDIR)$(BINDIR)/berth
	install -m 644 $(GENERATED_DOCS)/man/*.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 644 $(GENERATED_DOCS)/bash $(DESTDIR)$(BASH_COMPLETIONS)/berth
	install -m 644 $(GENERATED_DOCS)/zsh $(DESTDIR)$(ZSH_COMPLETIONS)/_berth
	install -m 644 $(GENERATED_DOCS)/fish $(DESTDIR)$(FISH_COMPLETIONS)/berth.fish
	install -m 644 $(filter-out docs/%,$(DOCS)) $(DESTDIR)$(DOCDIR)/
	install -m 644 $(filter docs/%,$(DOCS)) $(DESTDIR)$(DOCDIR)/docs/
	install -m 644 $(GO:%=bindings/go/%) $(DESTDIR)$(GODIR)/
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then $(LDCONFIG); fi

uninstall: ## remove what `make install` put there (give it the same variables)
	rm -f $(DESTDIR)$(LIBDIR)/$(REAL) $(DESTDIR)$(LIBDIR)/$(SONAME) $(DESTDIR)$(LIBDIR)/libberth.so \
	  $(DESTDIR)$(LIBDIR)/libberth.a $(DESTDIR)$(LIBDIR)/pkgconfig/berth.pc $(DESTDIR)$(INCLUDEDIR)/berth.h $(DESTDIR)$(INCLUDEDIR)/berth.hpp \
	  $(DESTDIR)$(LIBEXECDIR)/berth/berth-init $(DOCS:%=$(DESTDIR)$(DOCDIR)/%) $(GO:%=$(DESTDIR)$(GODIR)/%) $(DESTDIR)$(BINDIR)/berth \
	  $(patsubst %,$(DESTDIR)$(MANDIR)/man1/%,$(notdir $(wildcard $(GENERATED_DOCS)/man/*.1))) \
	  $(DESTDIR)$(BASH_COMPLETIONS)/berth $(DESTDIR)$(ZSH_COMPLETIONS)/_berth $(DESTDIR)$(FISH_COMPLETIONS)/berth.fish
	@for folder in $(DESTDIR)$(LIBEXECDIR)/berth $(DESTDIR)$(DOCDIR)/docs $(DESTDIR)$(DOCDIR) $(DESTDIR)$(GODIR); do \
	  if [ -d $$folder ]; then rmdir --ignore-fail-on-non-empty $$folder; fi; done
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then $(LDCONFIG); fi

clean: ## remove all that was built
	$(CARGO) clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done
