/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Segments from left to right; what a later one says replaces what an earlier one said, so the innermost container of a
 * nested runtime wins. */
#include "parse.h"

#include <stdbool.h>
#include <string.h>

struct segment {
	const char *at;
	size_t n;
};

static bool is_hex(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

static bool is_digits(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return n > 0;
}

static bool is_id64(const char *s, size_t n)
{
	return n == 64 && is_hex(s, n);
}

static bool ends_with(const struct segment *s, const char *tail)
{
	size_t n = strlen(tail);

	return s->n >= n && !memcmp(s->at + s->n - n, tail, n);
}

static bool is_word(const struct segment *s, const char *word)
{
	return s->n == strlen(word) && !memcmp(s->at, word, s->n);
}

/* Letters of a pod uid at <s>: 32 hex digits of a static pod, or 8-4-4-4-12 with - or _. 0 if it is none. */
static size_t uid_length(const char *s, size_t n)
{
	size_t i;

	if (n >= 32 && is_hex(s, 32) && (n == 32 || s[32] == '.' || s[32] == ':'))
		return 32;
	if (n < 36 || (n > 36 && s[36] != '.' && s[36] != ':'))
		return 0;
	for (i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-' && s[i] != '_')
				return 0;
		} else if (!is_hex(s + i, 1)) {
			return 0;
		}
	}
	return 36;
}

/* QoS class from a pod's own segment or the one above it. */
static const char *qos_of(const struct segment *s, size_t at, const struct segment *above)
{
	static const char *const names[] = { "besteffort", "burstable" };
	size_t i;

	for (i = 0; i < 2; i++) {
		size_t n = strlen(names[i]);

		if (at > n && !memcmp(s->at + at - n - 1, names[i], n))
			return names[i];
		if (is_word(above, names[i]))
			return names[i];
	}
	return "guaranteed";
}

/* "pod<uid>", "kubepods-burstable-pod<uid>.slice" and the like. Returns the letters up to the uid's end, or 0. */
static size_t pod_segment(const struct segment *s, const struct segment *above,
			  struct workload_ids *ids)
{
	size_t i, k, n;

	for (i = 0; i + 3 < s->n; i++) {
		if (memcmp(s->at + i, "pod", 3) != 0 || (i && s->at[i - 1] != '-'))
			continue;
		n = uid_length(s->at + i + 3, s->n - i - 3);
		if (!n)
			continue;
		for (k = 0; k < n; k++)
			ids->pod_uid[k] = s->at[i + 3 + k] == '_' ? '-' : s->at[i + 3 + k];
		ids->pod_uid[n] = 0;
		ids->qos = qos_of(s, i, above);
		ids->container_id[0] = 0;
		ids->runtime = "";
		ids->form = WORKLOAD_POD;
		return i + 3 + n;
	}
	return 0;
}

static bool set_container(struct workload_ids *ids, const char *id, size_t n, const char *runtime)
{
	memcpy(ids->container_id, id, n);
	ids->container_id[n] = 0;
	ids->runtime = runtime;
	ids->form = WORKLOAD_CONTAINER;
	return true;
}

static const struct {
	const char *prefix, *runtime;
	bool is_monitor;
} prefixes[] = {
	{ "crio-conmon-", "", true },
	{ "libpod-conmon-", "", true },
	{ "cri-containerd-", "containerd", false },
	{ "crio-", "cri-o", false },
	{ "docker-", "docker", false },
	{ "libpod-", "podman", false },
};

/* "docker-<id>.scope", "cri-containerd-<id>", and the monitors beside them. */
static bool prefixed_segment(const struct segment *s, struct workload_ids *ids)
{
	size_t i, n = ends_with(s, ".scope") ? s->n - 6 : s->n;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t k = strlen(prefixes[i].prefix);

		if (n <= k || memcmp(s->at, prefixes[i].prefix, k) != 0 ||
		    !is_id64(s->at + k, n - k))
			continue;
		if (!prefixes[i].is_monitor)
			return set_container(ids, s->at + k, 64, prefixes[i].runtime);
		ids->form = WORKLOAD_MONITOR;
		return true;
	}
	return false;
}

/* "<pod slice>:cri-containerd:<id>", as containerd writes it without the systemd driver. */
static bool colon_segment(const struct segment *s, size_t from, struct workload_ids *ids)
{
	const char *p = memchr(s->at + from, ':', s->n - from), *q;
	size_t left;

	if (!p)
		return false;
	left = (size_t)(s->at + s->n - p) - 1;
	q = memchr(p + 1, ':', left);
	if (!q || !is_id64(q + 1, (size_t)(s->at + s->n - q) - 1))
		return false;
	if (q - p - 1 == 14 && !memcmp(p + 1, "cri-containerd", 14))
		return set_container(ids, q + 1, 64, "containerd");
	if (q - p - 1 == 4 && !memcmp(p + 1, "crio", 4))
		return set_container(ids, q + 1, 64, "cri-o");
	return set_container(ids, q + 1, 64, "");
}

/* A bare id: the segment above it may tell the runtime. */
static bool bare_segment(const struct segment *s, const struct segment *above, bool in_ecs,
			 struct workload_ids *ids)
{
	const char *runtime = in_ecs			 ? "ecs"
			      : is_word(above, "docker") ? "docker"
			      : is_word(above, "libpod") ? "podman"
							 : "";

	if (is_id64(s->at, s->n))
		return set_container(ids, s->at, 64, runtime);
	/* Fargate: 32 hex digits and a number */
	if (in_ecs && s->n > 33 && s->n < WORKLOAD_ID_MAX && is_hex(s->at, 32) &&
	    s->at[32] == '-' && is_digits(s->at + 33, s->n - 33))
		return set_container(ids, s->at, s->n, runtime);
	return false;
}

static const char *skip_head(const char *path)
{
	const char *p = path;

	/* "N:ctrl[,ctrl]:PATH": split on the first two colons only, a path may hold more */
	while (*p >= '0' && *p <= '9')
		p++;
	if (p == path || *p != ':')
		return path;
	p = strchr(p + 1, ':');
	return p ? p + 1 : path;
}

static size_t path_length(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strcspn(path, "\n"), k = sizeof(deleted) - 1;

	return n > k && !memcmp(path + n - k, deleted, k) ? n - k : n;
}

void workload_parse(const char *path, struct workload_ids *ret_ids)
{
	const char *start = path, *end;
	struct segment s, above = { "", 0 };
	bool in_ecs = false, is_first = true;
	size_t at;

	memset(ret_ids, 0, sizeof(*ret_ids));
	ret_ids->runtime = ret_ids->qos = "";
	path = skip_head(path);
	end = path + path_length(path);
	for (; path < end; path = s.at + s.n + 1) {
		const char *slash = memchr(path, '/', (size_t)(end - path));

		s.at = path;
		s.n = (size_t)((slash ? slash : end) - path);
		if (s.n == 0 || is_word(&s, ".."))
			continue;
		if (is_first)
			in_ecs = is_word(&s, "ecs");
		is_first = false;
		at = pod_segment(&s, &above, ret_ids);
		if ((at && colon_segment(&s, at, ret_ids)) || at || prefixed_segment(&s, ret_ids) ||
		    bare_segment(&s, &above, in_ecs, ret_ids))
			ret_ids->end = (size_t)(s.at + s.n - start);
		above = s;
	}
}
