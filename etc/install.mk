# SPDX-License-Identifier: AGPL-3.0-or-later
#
# install, deb and image. Included by GNUmakefile.

PREFIX ?= /usr/local
DESTDIR ?=
bindir := $(PREFIX)/bin
libdir := $(PREFIX)/lib
includedir := $(PREFIX)/include
mandir := $(PREFIX)/share/man
docdir := $(PREFIX)/share/doc/linnix
unitdir := $(PREFIX)/lib/systemd/system
sysusersdir := $(PREFIX)/lib/sysusers.d
sysconfdir := /etc
pkgdir := $(libdir)/linnix

.PHONY: install deb image image-root

# put MODE,DIR,FILES: nothing when there are no files.
put = $(if $(strip $(3)),install -d $(DESTDIR)$(2) && install -m $(1) $(3) $(DESTDIR)$(2)/,:)
# A changed file of the administrator is never overwritten: the new one is put beside it.
put_conf = $(if $(wildcard $(1)),install -d $(DESTDIR)$(dir $(2)) && \
	if [ -e $(DESTDIR)$(2) ] && ! cmp -s $(1) $(DESTDIR)$(2); then install -m 644 $(1) $(DESTDIR)$(2).new; \
	else install -m 644 $(1) $(DESTDIR)$(2); fi,:)
fill = install -d $(DESTDIR)$(2) && sed -e 's,@PREFIX@,$(PREFIX),g' -e 's,@BINDIR@,$(bindir),g' \
	-e 's,@LIBDIR@,$(libdir),g' -e 's,@INCLUDEDIR@,$(includedir),g' -e 's,@VERSION@,$(VERSION),g' \
	$(1) >$(DESTDIR)$(2)/$(3) && chmod 644 $(DESTDIR)$(2)/$(3)

##@ install
install: all ## bin, plugins, BPF objects, headers, pc, rules, etc, man, unit (DESTDIR= PREFIX=)
	$(Q)$(call put,755,$(bindir),$(PROGRAMS))
	$(Q)$(call put,644,$(pkgdir)/plugins,$(PLUGIN_SOS))
	$(Q)$(call put,755,$(pkgdir),$(PLUGIN_PROGRAMS))
	$(Q)$(call put,644,$(pkgdir)/bpf,$(BPF_OBJS))
	$(Q)$(call put,644,$(includedir)/linnix,$(wildcard sdk/include/linnix/*.h))
	$(Q)$(call put,644,$(PREFIX)/share/linnix,sdk/linnix.mk)
	$(Q)$(call fill,sdk/linnix.pc.in,$(libdir)/pkgconfig,linnix.pc)
	$(Q)$(call fill,etc/linnix.service,$(unitdir),linnix.service)
	$(Q)$(call put,644,$(sysusersdir),etc/linnix.conf)
	$(Q)$(call put,644,$(PREFIX)/share/linnix/prometheus,$(wildcard etc/prometheus/*.yml))
	$(Q)$(call put,644,$(PREFIX)/share/linnix/grafana,$(wildcard etc/grafana/*.json))
	$(Q)$(call put_conf,etc/linnix.yaml,$(sysconfdir)/linnix/linnix.yaml)
	$(Q)$(foreach f,$(wildcard scripts/rules/*.lua),$(call put_conf,$(f),$(sysconfdir)/linnix/rules.d/$(notdir $(f))) &&) :
	$(Q)$(foreach s,1 5 7 8,$(call put,644,$(mandir)/man$(s),$(wildcard etc/man/*.$(s)));) :
	$(Q)$(call put,644,$(docdir),LICENSE LICENSE_FAQ.md SAFETY.md CHANGELOG.md)

deb: all ## a Debian package from a DESTDIR tree, to build/
	$(Q)VERSION=$(VERSION) BUILD=$(BUILD) MAKE='$(MAKE)' scripts/dev/deb.sh

image: all ## an OCI image without a Docker daemon, to build/
	$(Q)VERSION=$(VERSION) BUILD=$(BUILD) MAKE='$(MAKE)' scripts/dev/image.sh
image-root: all ## only the files of that image, into the empty folder DESTDIR
	$(Q)$(if $(DESTDIR),,$(error image-root needs DESTDIR=FOLDER))VERSION=$(VERSION) BUILD=$(BUILD) MAKE='$(MAKE)' \
		scripts/dev/image.sh $(DESTDIR)
