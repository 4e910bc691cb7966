/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Pressure of cgroups: which there are, found by walking the v2 hierarchy a slice at a time, and their files,
 * read within a budget. A cgroup is known by its id, the inode of its folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linnix/ev_psi.h>

#include "cgroups.h"

#define PSI_BUCKETS 1024

static const char *const psi_files[PSI_N] = { "cpu.pressure", "memory.pressure", "io.pressure" };

/* ---- the table */

static struct psi_cgroup **bucket_of(const struct psi_cgroups *c, uint64_t id)
{
	return &c->bucket[(id * 0x9e3779b97f4a7c15ULL) >> 54]; /* 64 - log2(PSI_BUCKETS) */
}

const struct psi_cgroup *psi_cgroup_find(const struct psi_cgroups *c, uint64_t id)
{
	const struct psi_cgroup *g;

	for (g = *bucket_of(c, id); g; g = g->hash_next)
		if (g->id == id)
			return g;
	return NULL;
}

static void close_files(struct psi_cgroups *c, struct psi_cgroup *g)
{
	int i;

	for (i = 0; i < PSI_N; i++) {
		if (g->fd[i] < 0)
			continue;
		close(g->fd[i]);
		g->fd[i] = -1;
		c->n_fds--;
	}
}

static void cgroup_del(struct psi_cgroups *c, struct psi_cgroup *g)
{
	struct psi_cgroup **at = bucket_of(c, g->id);

	while (*at != g)
		at = &(*at)->hash_next;
	*at = g->hash_next;
	if (g->prev)
		g->prev->next = g->next;
	else
		c->first = g->next;
	if (g->next)
		g->next->prev = g->prev;
	else
		c->last = g->prev;
	if (c->walk_at == g)
		c->walk_at = g->next;
	if (c->cold_at == g)
		c->cold_at = g->next;
	if (c->hot_at == g)
		c->hot_at = g->next;
	close_files(c, g);
	free(g);
	c->n--;
}

/* Where it is now: renamed ones are others for us. */
static int has_path(const struct psi_cgroup *g, const struct psi_cgroup *parent, const char *name,
		    size_t n)
{
	size_t up = parent ? parent->path_bytes + 1u : 0;

	return g->path_bytes == up + n && memcmp(g->path + up, name, n) == 0 &&
	       (!parent || (memcmp(g->path, parent->path, parent->path_bytes) == 0 &&
			    g->path[parent->path_bytes] == '/'));
}

static void table_add(struct psi_cgroups *c, struct psi_cgroup *g)
{
	g->hash_next = *bucket_of(c, g->id);
	*bucket_of(c, g->id) = g;
	g->prev = c->last;
	if (c->last)
		c->last->next = g;
	else
		c->first = g;
	c->last = g;
	c->n++;
	if (!c->walk_at && c->is_walking)
		c->walk_at = g;
}

/* A folder <name> with inode <id> in <parent> (NULL: the root). Returns it when it is new. */
static struct psi_cgroup *cgroup_seen(struct psi_cgroups *c, const struct psi_cgroup *parent,
				      const char *name, size_t n, uint64_t id)
{
	struct psi_cgroup *g = *bucket_of(c, id);
	size_t up = parent ? parent->path_bytes + 1u : 0;
	int i;

	while (g && g->id != id)
		g = g->hash_next;
	if (g && has_path(g, parent, name, n)) {
		g->pass = c->pass;
		return NULL;
	}
	if (g && g == parent)
		return NULL; /* its own parent: no such hierarchy */
	if (g)
		cgroup_del(c, g);
	if (c->n >= c->max || up + n > PSI_PATH_MAX) {
		c->refused++;
		return NULL;
	}
	g = calloc(1, sizeof(*g) + up + n + 1);
	if (!g) {
		c->refused++;
		return NULL;
	}
	if (parent) {
		memcpy(g->path, parent->path, parent->path_bytes);
		g->path[parent->path_bytes] = '/';
	}
	memcpy(g->path + up, name, n);
	g->path_bytes = (uint32_t)(up + n);
	g->id = id;
	g->pass = c->pass;
	g->is_due = 1;
	for (i = 0; i < PSI_N; i++)
		g->fd[i] = -1;
	table_add(c, g);
	return g;
}

void psi_cgroup_made(struct psi_cgroups *c, const struct lnx_ev_cgroup *ev)
{
	const char *path = (const char *)ev + ev->path.off,
		   *name = memrchr(path, '/', ev->path.len);
	const struct psi_cgroup *parent = psi_cgroup_find(c, ev->parent_id);
	struct psi_cgroup *g;
	struct stat st;
	size_t n;

	if (c->root_fd < 0 || !name || (!parent && ev->parent_id != c->root_id))
		return; /* the next walk finds it */
	name++;
	n = (size_t)(path + ev->path.len - name);
	g = n ? cgroup_seen(c, parent, name, n, ev->cgroup_id) : NULL;
	if (!g)
		return;
	/* the path may be cut, or the cgroup gone again */
	if (fstatat(c->root_fd, g->path, &st, AT_SYMLINK_NOFOLLOW) || st.st_ino != g->id) {
		cgroup_del(c, g);
		return;
	}
	if (!ev->is_rename)
		g->read_ns = ev->h.ts_ns; /* its totals were 0 then */
}

void psi_cgroup_gone(struct psi_cgroups *c, uint64_t id)
{
	struct psi_cgroup *g = *bucket_of(c, id);

	while (g && g->id != id)
		g = g->hash_next;
	if (g)
		cgroup_del(c, g);
}

int psi_cgroups_init(struct psi_cgroups *c, const char *root, uint32_t max, uint32_t max_fds)
{
	struct stat st;

	c->max = max;
	c->max_fds = max_fds;
	c->root_fd = -1;
	c->bucket = calloc(PSI_BUCKETS, sizeof(struct psi_cgroup *));
	if (!c->bucket)
		return -ENOMEM;
	c->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->root_fd < 0 || fstat(c->root_fd, &st))
		return -errno;
	c->root_id = st.st_ino;
	return 0;
}

void psi_cgroups_done(struct psi_cgroups *c)
{
	while (c->first)
		cgroup_del(c, c->first);
	free(c->bucket);
	c->bucket = NULL;
	if (c->root_fd >= 0)
		close(c->root_fd);
	c->root_fd = -1;
	lnx_buf_done(&c->buf);
}

/* ---- the walk */

/* Look into one folder. Returns -ENOENT when it is gone. */
static int walk_folder(struct psi_cgroups *c, const struct psi_cgroup *g)
{
	int fd = openat(c->root_fd, g ? g->path : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			(void)cgroup_seen(c, g, e->d_name, strlen(e->d_name), e->d_ino);
	closedir(d);
	return 0;
}

static void walk_end(struct psi_cgroups *c)
{
	struct psi_cgroup *g, *next;

	c->is_walking = 0;
	for (g = c->first; g; g = next) {
		next = g->next;
		if (g->pass != c->pass)
			cgroup_del(c, g);
	}
}

void psi_walk_begin(struct psi_cgroups *c)
{
	if (c->root_fd < 0 || c->is_walking)
		return;
	c->pass++;
	c->is_walking = 1;
	c->walk_at = NULL;
	(void)walk_folder(c,
			  NULL); /* a root that is gone leaves nothing seen: the walk ends empty */
	c->walk_at = c->first;
}

int psi_walk_step(struct psi_cgroups *c, uint32_t n)
{
	struct psi_cgroup *g;

	if (!c->is_walking)
		return 0;
	while (n-- && (g = c->walk_at)) {
		c->walk_at = g->next;
		if (g->pass == c->pass && walk_folder(c, g) == -ENOENT)
			cgroup_del(c, g);
	}
	if (c->walk_at)
		return 1;
	walk_end(c);
	return 0;
}

/* ---- reading */

static int open_file(const struct psi_cgroups *c, const struct psi_cgroup *g, int res)
{
	char path[PSI_PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", g->path, psi_files[res]); /* fits: see cgroup_seen */
	fd = openat(c->root_fd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Returns 0, or -ENODEV when the cgroup is gone. A file that is not there or makes no sense counts as unmoved. */
static int read_file(struct psi_cgroups *c, struct psi_cgroup *g, int res,
		     struct psi_file *ret_file)
{
	int fd = g->fd[res] >= 0 ? g->fd[res] : open_file(c, g, res), r;

	c->reads++;
	if (fd < 0)
		return fd;
	r = psi_read(fd, &c->buf);
	if (!r)
		r = psi_parse_pressure(c->buf.data, ret_file);
	if (g->fd[res] < 0) {
		if (!r && c->n_fds < c->max_fds) {
			g->fd[res] = fd;
			c->n_fds++;
		} else {
			close(fd);
		}
	}
	return r;
}

static int publish_cgroup(struct psi_cgroups *c, const struct psi_cgroup *g, uint64_t window_ns,
			  uint64_t before[PSI_N][2])
{
	struct {
		struct lnx_ev_psi_cgroup e;
		char tail[PSI_PATH_MAX + 1];
	} b;
	double *const pct[] = { &b.e.cpu_some_pct,    &b.e.cpu_full_pct, &b.e.memory_some_pct,
				&b.e.memory_full_pct, &b.e.io_some_pct,	 &b.e.io_full_pct };
	__u64 *const us[] = { &b.e.cpu_some_us,	   &b.e.cpu_full_us, &b.e.memory_some_us,
			      &b.e.memory_full_us, &b.e.io_some_us,  &b.e.io_full_us };
	int i, k;

	memset(&b.e, 0, sizeof(b.e));
	b.e.h.type = LNX_EV_PSI_CGROUP;
	b.e.h.fixed = sizeof(b.e);
	b.e.h.size = (__u32)(sizeof(b.e) + 1 + g->path_bytes);
	b.e.h.cpu = LNX_CPU_NONE;
	b.e.cgroup_id = g->id;
	b.e.window_ns = window_ns;
	for (i = 0; i < PSI_N; i++)
		for (k = 0; k < 2; k++) {
			*us[i * 2 + k] = g->total_us[i][k];
			*pct[i * 2 + k] = psi_pct(before[i][k], g->total_us[i][k], window_ns);
		}
	b.e.path.off = sizeof(b.e);
	b.e.path.len = (__u16)(1 + g->path_bytes);
	b.tail[0] = '/';
	memcpy(b.tail + 1, g->path, g->path_bytes);
	return c->host->publish(c->ctx, &b.e.h);
}

/* Returns 0, or -ENODEV: it is gone. */
static int read_cgroup(struct psi_cgroups *c, struct psi_cgroup *g, uint64_t now_ns,
		       const uint64_t system_us[PSI_N])
{
	uint64_t before[PSI_N][2], window_ns = now_ns - g->read_ns;
	struct psi_file f;
	int i, r, is_first = !g->read_ns, has_moved = 0, n_missing = 0;

	memcpy(before, g->total_us, sizeof(before));
	for (i = 0; i < PSI_N; i++) {
		if (!is_first && g->system_us[i] == system_us[i])
			continue; /* nobody on the machine stalled, so neither did this one */
		memset(&f, 0, sizeof(f));
		r = read_file(c, g, i, &f);
		c->tokens -= 1;
		if (r == -ENODEV)
			return r;
		n_missing += r == -ENOENT;
		g->system_us[i] = system_us[i];
		if (r)
			continue;
		has_moved |= f.total_us[0] != before[i][0] || f.total_us[1] != before[i][1];
		g->total_us[i][0] = f.total_us[0];
		g->total_us[i][1] = f.total_us[1];
	}
	if (n_missing && faccessat(c->root_fd, g->path, F_OK, 0))
		return -ENODEV;
	g->read_ns = now_ns;
	/* hot once it moves: the first read tells nothing */
	g->unmoved = is_first ? PSI_COLD_AFTER : has_moved ? 0 : g->unmoved + 1;
	/* what stalls no more is told once; what the bus refuses (and counts), again */
	if (!is_first && (has_moved || g->is_due))
		g->is_due = publish_cgroup(c, g, window_ns, before) < 0 || has_moved;
	return 0;
}

/* The reads it would take now. */
static int cost_of(const struct psi_cgroup *g, const uint64_t system_us[PSI_N])
{
	int i, n = 0;

	for (i = 0; i < PSI_N; i++)
		n += !g->read_ns || g->system_us[i] != system_us[i];
	return n;
}

static int is_hot(const struct psi_cgroup *g)
{
	return g->read_ns && g->unmoved < PSI_COLD_AFTER;
}

/* Returns 0 when the budget does not hold for it. */
static int read_if_due(struct psi_cgroups *c, struct psi_cgroup *g, uint64_t now_ns,
		       const uint64_t system_us[PSI_N])
{
	int cost = cost_of(g, system_us);

	if (g->read_ns == now_ns)
		return 1;
	if (cost > c->tokens) {
		c->skipped++;
		return 0;
	}
	if (read_cgroup(c, g, now_ns, system_us) == -ENODEV)
		cgroup_del(c, g);
	return 1;
}

/* Each in its turn, from where the turn before ended: all when the machine is busy, else so many that every one
 * has its turn within PSI_COLD_NS. */
static void read_cold(struct psi_cgroups *c, uint64_t now_ns, const uint64_t system_us[PSI_N],
		      int is_busy)
{
	uint64_t since =
		c->cold_ns && now_ns - c->cold_ns < PSI_COLD_NS ? now_ns - c->cold_ns : PSI_COLD_NS;
	uint64_t quota = is_busy ? c->n : (c->n * since + PSI_COLD_NS - 1) / PSI_COLD_NS;
	struct psi_cgroup *g, *next;
	uint32_t left = c->n;

	c->cold_ns = now_ns;
	for (g = c->cold_at ? c->cold_at : c->first; g && left-- && quota; g = next) {
		next = g->next ? g->next : c->first;
		c->cold_at = g; /* where to go on if the budget ends here */
		if (is_hot(g))
			continue;
		quota--;
		if (next == g)
			next = NULL; /* the only one, and it may be deleted */
		if (!read_if_due(c, g, now_ns, system_us)) {
			c->skipped += quota < left ? quota : left; /* those after it wait, too */
			return;
		}
		c->cold_at = next;
	}
}

/* All of them, unless the budget ends: then the others have their turn next time. */
static void read_hot(struct psi_cgroups *c, uint64_t now_ns, const uint64_t system_us[PSI_N])
{
	struct psi_cgroup *g, *next;
	uint32_t left = c->n;
	int is_over = 0;

	for (g = c->hot_at ? c->hot_at : c->first; g && left--; g = next) {
		next = g->next ? g->next : c->first;
		if (next == g)
			next = NULL; /* the only one, and it may be deleted */
		if (!is_hot(g))
			continue;
		if (is_over) {
			c->skipped++;
		} else if (!read_if_due(c, g, now_ns, system_us)) {
			is_over = 1;
			c->hot_at = g;
		}
	}
}

void psi_cgroups_read(struct psi_cgroups *c, uint64_t now_ns, const uint64_t system_us[PSI_N],
		      int is_busy)
{
	if (c->tokens_ns)
		c->tokens += PSI_READS_PER_S * (double)(now_ns - c->tokens_ns) / 1e9;
	if (!c->tokens_ns || c->tokens > PSI_READS_PER_S)
		c->tokens = PSI_READS_PER_S;
	c->tokens_ns = now_ns;
	read_hot(c, now_ns, system_us);
	read_cold(c, now_ns, system_us, is_busy);
}
