# SPDX-License-Identifier: AGPL-3.0-or-later
# libcurl is opened at the first request: linked, it would cost every agent 5.6 MB.
http_client_LIBS := -ldl
