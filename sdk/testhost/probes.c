/* SPDX-License-Identifier: MIT */
/* Probes of the test host: maps made of memory, iterators that give what the test prepared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_priv.h"

/* flags of bpf(2), BPF_MAP_UPDATE_ELEM */
#define TH_NOEXIST 1
#define TH_EXIST   2

static struct th_probe *probe_of(struct testhost *t, const char *name)
{
	struct th_probe *p;
	size_t i;

	for (i = 0; i < t->probes.n; i++) {
		p = t->probes.item[i];
		if (strcmp(p->name, name) == 0)
			return p;
	}
	p = calloc(1, sizeof(*p));
	if (!p || th_name(p->name, name) || th_list_add(&t->probes, p)) {
		free(p);
		return NULL;
	}
	return p;
}

int testhost_probe_error(struct testhost *t, const char *probe, int rc)
{
	struct th_probe *p = probe_of(t, probe);

	if (!p)
		return -ENOMEM;
	p->error = rc;
	return 0;
}

int testhost_probe_wanted(struct testhost *t, const char *probe)
{
	const struct th_probe *p = probe_of(t, probe);

	return p ? p->wanted : -ENOMEM;
}

static int host_probe_want(struct lnx_ctx *ctx, const char *probe, int on)
{
	struct th_probe *p = probe_of(ctx->t, probe);
	int r = th_fault(ctx->t, "probe_want");

	if (r || !p)
		return r ? r : -ENOMEM;
	if (p->error)
		return p->error;
	p->wanted = on != 0;
	return 0;
}

/* ---- maps */

int testhost_map(struct testhost *t, const char *probe, const char *map, uint32_t key_size,
		 uint32_t value_size)
{
	struct th_map *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = th_name(m->probe, probe);
	if (!r)
		r = th_name(m->map, map);
	if (!r)
		r = !key_size || !value_size ? -EINVAL : th_list_add(&t->maps, m);
	if (r) {
		free(m);
		return r;
	}
	m->key_size = key_size;
	m->value_size = value_size;
	return TH_FAKE_FD + (int)t->maps.n - 1;
}

static int host_probe_map(struct lnx_ctx *ctx, const char *probe, const char *map)
{
	struct testhost *t = ctx->t;
	const struct th_probe *p = probe_of(t, probe);
	const struct th_map *m;
	size_t i;
	int r = th_fault(t, "probe_map");

	if (r)
		return r;
	if (p && p->error)
		return p->error;
	for (i = 0; i < t->maps.n; i++) {
		m = t->maps.item[i];
		if (strcmp(m->probe, probe) == 0 && strcmp(m->map, map) == 0)
			return TH_FAKE_FD + (int)i;
	}
	return -ENOENT;
}

static struct th_map *map_of(struct testhost *t, int fd)
{
	size_t i = fd < TH_FAKE_FD ? t->maps.n : (size_t)(fd - TH_FAKE_FD);

	return i < t->maps.n ? t->maps.item[i] : NULL;
}

static size_t entry_find(const struct th_map *m, const void *key)
{
	size_t i;

	for (i = 0; i < m->entries.n; i++)
		if (memcmp(m->entries.item[i], key, m->key_size) == 0)
			break;
	return i;
}

static int host_map_lookup(struct lnx_ctx *ctx, int map_fd, const void *key, void *ret_value)
{
	struct th_map *m = map_of(ctx->t, map_fd);
	int r = th_fault(ctx->t, "map_lookup");
	size_t i;

	if (r || !m)
		return r ? r : -EBADF;
	i = entry_find(m, key);
	if (i == m->entries.n)
		return -ENOENT;
	memcpy(ret_value, (char *)m->entries.item[i] + m->key_size, m->value_size);
	return 0;
}

static int host_map_update(struct lnx_ctx *ctx, int map_fd, const void *key, const void *value,
			   uint64_t flags)
{
	struct th_map *m = map_of(ctx->t, map_fd);
	int r = th_fault(ctx->t, "map_update");
	size_t i;
	char *e;

	if (r || !m)
		return r ? r : -EBADF;
	i = entry_find(m, key);
	if (i < m->entries.n) {
		if (flags == TH_NOEXIST)
			return -EEXIST;
		e = m->entries.item[i];
	} else {
		if (flags == TH_EXIST)
			return -ENOENT;
		e = malloc((size_t)m->key_size + m->value_size);
		if (!e || th_list_add(&m->entries, e)) {
			free(e);
			return -ENOMEM;
		}
	}
	memcpy(e, key, m->key_size);
	memcpy(e + m->key_size, value, m->value_size);
	return 0;
}

static int host_map_delete(struct lnx_ctx *ctx, int map_fd, const void *key)
{
	struct th_map *m = map_of(ctx->t, map_fd);
	int r = th_fault(ctx->t, "map_delete");
	size_t i;

	if (r || !m)
		return r ? r : -EBADF;
	i = entry_find(m, key);
	if (i == m->entries.n)
		return -ENOENT;
	free(m->entries.item[i]);
	th_list_del(&m->entries, i);
	return 0;
}

static int host_map_next(struct lnx_ctx *ctx, int map_fd, const void *key, void *ret_key)
{
	struct th_map *m = map_of(ctx->t, map_fd);
	int r = th_fault(ctx->t, "map_next");
	size_t i;

	if (r || !m)
		return r ? r : -EBADF;
	i = key ? entry_find(m, key) : m->entries.n;
	i = i == m->entries.n ? 0 : i + 1; /* as the kernel: an unknown key starts anew */
	if (i >= m->entries.n)
		return -ENOENT;
	memcpy(ret_key, m->entries.item[i], m->key_size);
	return 0;
}

/* ---- iterators */

static struct th_iter *iter_find(struct testhost *t, const char *probe, const char *program)
{
	struct th_iter *it;
	size_t i;

	for (i = 0; i < t->iters.n; i++) {
		it = t->iters.item[i];
		if (strcmp(it->probe, probe) == 0 && strcmp(it->program, program) == 0)
			return it;
	}
	return NULL;
}

int testhost_iter(struct testhost *t, const char *probe, const char *program, const void *records,
		  int n, uint32_t record_size)
{
	struct th_iter *it = iter_find(t, probe, program);
	size_t bytes = n > 0 ? (size_t)n * record_size : 0;
	unsigned char *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		return -ENOMEM;
	if (!it) {
		it = calloc(1, sizeof(*it));
		if (!it || th_name(it->probe, probe) || th_name(it->program, program) ||
		    th_list_add(&t->iters, it)) {
			free(it);
			free(copy);
			return -ENOMEM;
		}
	}
	if (bytes)
		memcpy(copy, records, bytes);
	free(it->records);
	it->records = copy;
	it->n = n;
	it->record_size = record_size;
	return 0;
}

unsigned testhost_iter_runs(struct testhost *t, const char *probe, const char *program)
{
	const struct th_iter *it = iter_find(t, probe, program);

	return it ? it->runs : 0;
}

static int host_probe_iter(struct lnx_ctx *ctx, const char *probe, const char *program,
			   uint32_t record_size, void (*each)(void *arg, const void *record),
			   void *arg)
{
	struct th_iter *it = iter_find(ctx->t, probe, program);
	int r = th_fault(ctx->t, "probe_iter"), i;

	if (r)
		return r;
	if (!it)
		return -ENOENT;
	it->runs++;
	if (it->n < 0)
		return it->n;
	if (record_size != it->record_size)
		return -EINVAL;
	for (i = 0; i < it->n; i++)
		each(arg, it->records + (size_t)i * record_size);
	return it->n;
}

static int host_probe_object(struct lnx_ctx *ctx, uint32_t i, const char **ret_name)
{
	(void)i;
	*ret_name = "";
	return th_fault(ctx->t, "probe_object") ? -ENODEV : -ENOENT; /* a test loads none */
}

static void map_free(void *p)
{
	struct th_map *m = p;

	th_list_done(&m->entries, free);
	free(m);
}

static void iter_free(void *p)
{
	struct th_iter *it = p;

	free(it->records);
	free(it);
}

void th_probe_host(struct lnx_host *h)
{
	h->probe_map = host_probe_map;
	h->probe_want = host_probe_want;
	h->probe_iter = host_probe_iter;
	h->probe_object = host_probe_object;
	h->map_lookup = host_map_lookup;
	h->map_update = host_map_update;
	h->map_delete = host_map_delete;
	h->map_next = host_map_next;
}

void th_probe_done(struct testhost *t)
{
	th_list_done(&t->maps, map_free);
	th_list_done(&t->iters, iter_free);
	th_list_done(&t->probes, free);
}
