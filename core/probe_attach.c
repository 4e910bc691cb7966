/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Programs of a loaded object put to their hooks and taken away, and its iterators run. Needs no
 * privilege on kernels that check them at load only. */
#include "probe_impl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define ITER_RETRIES 64 /* of one read that met nothing to tell for long */

const struct lnx_probe_map *lnx_probe_find_map(const struct lnx_probe *p, const char *name)
{
	unsigned i;

	for (i = 0; i < p->n_maps; i++)
		if (strcmp(p->maps[i].name, name) == 0)
			return &p->maps[i];
	return NULL;
}

int lnx_probe_link_iters(struct lnx_probe *p)
{
	char buf[160];
	unsigned i, k;

	for (i = 0; i < p->n_iters; i++) {
		for (k = 0; k < p->n_programs; k++)
			if (strcmp(p->programs[k].name, p->iters[i].name) == 0)
				break;
		errno = ENOENT;
		if (k < p->n_programs)
			p->iters[i].link_fd =
				bpf_link_create(p->programs[k].fd, 0, BPF_TRACE_ITER, NULL);
		if (p->iters[i].link_fd < 0)
			return lnx_probe_fail(p, -errno, "iterator %s cannot be made: %s",
					      p->iters[i].name,
					      lnx_probe_remedy(-errno, buf, sizeof(buf)));
	}
	return 0;
}

int lnx_probe_attach(struct lnx_probe *p)
{
	char buf[160];
	unsigned i;
	int rc = 0, fd;

	for (i = 0; i < p->n_programs && rc == 0; i++) {
		if (p->programs[i].is_iter)
			continue;
		/* the hook was named at load */
		fd = bpf_raw_tracepoint_open(NULL, p->programs[i].fd);
		if (fd < 0)
			rc = lnx_probe_fail(p, -errno, "cannot attach %s: %s", p->programs[i].name,
					    lnx_probe_remedy(-errno, buf, sizeof(buf)));
		else
			p->links[p->n_links++] = fd;
	}
	if (rc < 0) {
		lnx_probe_detach(p);
		return rc;
	}
	p->state = LNX_PROBE_ATTACHED;
	p->why[0] = 0;
	return 0;
}

void lnx_probe_detach(struct lnx_probe *p)
{
	while (p->n_links > 0)
		(void)close(p->links[--p->n_links]);
	if (p->state == LNX_PROBE_ATTACHED)
		p->state = LNX_PROBE_LOADED;
}

uint64_t lnx_probe_missed(const struct lnx_probe *p)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < p->n_programs; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t bytes = sizeof(info);

		/* an older kernel leaves the member zero */
		if (bpf_obj_get_info_by_fd(p->programs[i].fd, &info, &bytes) == 0)
			sum += info.recursion_misses;
	}
	return sum;
}

const struct lnx_probe_iter *lnx_probe_find_iter(const struct lnx_probe *p, const char *program)
{
	unsigned i;

	for (i = 0; i < p->n_iters; i++)
		if (strcmp(p->iters[i].name, program) == 0)
			return &p->iters[i];
	return NULL;
}

/* read(2) that goes on when the kernel paused between two records. */
static ssize_t probe_iter_read(int fd, char *buf, size_t cap)
{
	unsigned tries;
	ssize_t n = 0;

	for (tries = 0; tries < ITER_RETRIES; tries++) {
		n = read(fd, buf, cap);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return n < 0 ? -errno : n;
}

int lnx_probe_run_iter(const struct lnx_probe_iter *it, char *buf, uint32_t record_bytes,
		       void (*each)(void *arg, const void *record), void *arg)
{
	uint32_t step = it->record_bytes ? it->record_bytes : record_bytes;
	size_t have = 0, at;
	int fd, sum = 0;
	ssize_t n;

	if (record_bytes == 0 || record_bytes > step || step > LNX_PROBE_ITER_BYTES)
		return -EINVAL;
	fd = bpf_iter_create(it->link_fd);
	if (fd < 0)
		return -errno;
	while ((n = probe_iter_read(fd, buf + have, LNX_PROBE_ITER_BYTES - have)) > 0) {
		have += (size_t)n;
		for (at = 0; have - at >= step; at += step, sum++)
			each(arg, buf + at);
		have -= at;
		memmove(buf, buf + at, have);
	}
	(void)close(fd);
	if (n < 0)
		return (int)n;
	return have ? -EPROTO : sum; /* a piece of a record: they are of another size */
}
