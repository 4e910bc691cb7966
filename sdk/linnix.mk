# SPDX-License-Identifier: MIT
#
# Builds one linnix plugin out of tree, with the SDK and nothing else. A whole Makefile:
#
#	PLUGIN := hello
#	include $(shell pkg-config --variable=mk linnix)
#
# or, from a source tree, LINNIX_SDK := path/to/sdk and include $(LINNIX_SDK)/linnix.mk.
# Set before the include, all optional: SRCS (default: *.c without test_*.c), CFLAGS, LDLIBS, BUILD.
# Targets: all, test (test_*.c against the fake host; needs LINNIX_SDK and cmocka), install, clean.

ifndef PLUGIN
$(error set PLUGIN to the name of the plugin before including linnix.mk)
endif
BUILD ?= build
SRCS ?= $(filter-out test_%.c,$(wildcard *.c))
TESTS ?= $(wildcard test_*.c)
PKG_CONFIG ?= pkg-config

ifdef LINNIX_SDK
LINNIX_CFLAGS := -I$(LINNIX_SDK)/include
LINNIX_HOST := $(wildcard $(LINNIX_SDK)/testhost/*.c)
PLUGINSDIR ?= /usr/local/lib/linnix/plugins
else
LINNIX_CFLAGS := $(shell $(PKG_CONFIG) --cflags linnix)
PLUGINSDIR ?= $(shell $(PKG_CONFIG) --variable=pluginsdir linnix)
endif
LINNIX_FLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -O2 -g $(LINNIX_CFLAGS)

.PHONY: all test install clean
all: $(BUILD)/$(PLUGIN).so

# Nothing undefined, and only what is marked LNX_EXPORT is seen.
$(BUILD)/$(PLUGIN).so: $(SRCS)
	@mkdir -p $(BUILD)
	$(CC) $(LINNIX_FLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -Wl,-z,defs -Wl,-z,relro,-z,now \
		-o $@ $(SRCS) $(LDFLAGS) $(LDLIBS) -lm

$(BUILD)/%: %.c $(SRCS) $(LINNIX_HOST)
	@mkdir -p $(BUILD)
	$(CC) $(LINNIX_FLAGS) -I$(LINNIX_SDK)/testhost $(CFLAGS) -o $@ $< $(SRCS) $(LINNIX_HOST) \
		$(LDFLAGS) -lcmocka $(LDLIBS) -lm

test: all $(TESTS:%.c=$(BUILD)/%)
	@set -e; for t in $(TESTS:%.c=$(BUILD)/%); do $$t; done

install: all
	install -d $(DESTDIR)$(PLUGINSDIR)
	install -m 755 $(BUILD)/$(PLUGIN).so $(DESTDIR)$(PLUGINSDIR)/

clean:
	rm -rf $(BUILD)
