# SPDX-License-Identifier: AGPL-3.0-or-later
http_CFLAGS := $(shell $(PKG_CONFIG) --cflags libmicrohttpd)
http_LIBS := $(shell $(PKG_CONFIG) --libs libmicrohttpd 2>/dev/null || echo -lmicrohttpd)
