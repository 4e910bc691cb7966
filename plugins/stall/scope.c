/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A victim of memory met the nearest limit above it that is nearly used up; where there is none, and the kernel reclaimed
 * for want of memory of the whole machine, that. Else nobody knows, and nobody is to blame. */
#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stall.h"

#define NEAR_PERMILLE 900	      /* of a limit: it is what tasks below it wait for */
#define V1_KEEP_NS    (5 * STALL_SEC) /* ids of a v1 hierarchy are not asked for more often */
#define PATH_BYTES    4096

void stall_scope_init(struct stall_scope *sc, struct stall *s)
{
	memset(sc, 0, sizeof(*sc));
	sc->s = s;
}

static void forget_victims(struct stall_scope *sc)
{
	for (uint32_t i = 0; i < sc->n_victims; i++)
		free(sc->victims[i].path);
	sc->n_victims = 0;
}

void stall_scope_done(struct stall_scope *sc)
{
	forget_victims(sc);
	free(sc->v1);
	memset(sc, 0, sizeof(*sc));
}

/* ---- the machine */

/* Pages that the kernel looked at for want of memory of the machine: no limit of a cgroup counts here. */
static uint64_t scans_of(const char *vmstat)
{
	static const char *const names[] = { "allocstall_", "pgscan_kswapd " };
	uint64_t sum = 0;

	for (const char *line = vmstat; *line; line += strcspn(line, "\n"), line += *line == '\n')
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strncmp(line, names[i], strlen(names[i])))
				sum += strtoull(line + strcspn(line, " "), NULL, 10);
	return sum;
}

static char *read_vmstat(void)
{
	size_t cap = 65536, n = 0;
	char *text = malloc(cap);
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	while (text && fd >= 0 && n + 1 < cap && (got = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	if (fd >= 0)
		(void)close(fd); /* read only */
	if (text)
		text[n] = 0;
	return text;
}

void stall_scope_begin(struct stall_scope *sc, const char *vmstat, uint64_t now_ns)
{
	char *owned = vmstat ? NULL : read_vmstat();
	uint64_t scans = vmstat || owned ? scans_of(vmstat ? vmstat : owned) : 0;

	forget_victims(sc);
	sc->now_ns = now_ns;
	sc->is_machine_short = sc->scans && scans > sc->scans;
	sc->scans = scans;
	free(owned);
}

/* ---- limits */

/* 0: none, also where it is "max". */
static uint64_t read_bytes(const char *dir, const char *file)
{
	char text[64];

	if (stall_read_word(dir, file, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return 0;
	return strtoull(text, NULL, 10);
}

/* True if the cgroup at <path> has a limit and nearly used it up. *ret_limit: of limits[], 0 when that is full. */
static int limit_met(struct stall_whos *w, const char *path, uint64_t now_ns, uint16_t *ret_limit)
{
	static const char *const v2[] = { "memory.current", "memory.max", "memory.high", NULL };
	static const char *const v1[] = { "memory.usage_in_bytes", "memory.limit_in_bytes", NULL };
	const char *const *files = w->is_mem_v1 ? v1 : v2;
	char dir[2 * PATH_BYTES], text[128];
	uint64_t used, limit;

	(void)snprintf(dir, sizeof(dir), "%s%s", w->mem_root, path); /* fits */
	used = read_bytes(dir, files[0]);
	for (int i = 1; used && files[i]; i++) {
		limit = read_bytes(dir, files[i]);
		if (!limit || used < limit / 1000 * NEAR_PERMILLE)
			continue;
		(void)snprintf(text, sizeof(text), "%s %llu", files[i],
			       (unsigned long long)limit); /* fits */
		*ret_limit = stall_limit_put(w, path, text, now_ns, STALL_KEEP_NS);
		return 1;
	}
	return 0;
}

/* Path of <who> in the memory hierarchy, "" if it is not known. */
static const char *mem_path(struct stall_scope *sc, struct stall_who *who)
{
	struct stall_whos *w = &sc->s->whos;
	char path[PATH_BYTES], dir[2 * PATH_BYTES];

	if (!w->is_mem_v1 || !w->mem_root)
		return w->mem_root ? who->path : "";
	if (who->mem_path && who->mem_path_ns + STALL_LIMIT_KEEP_NS > sc->now_ns)
		return who->mem_path;
	(void)snprintf(dir, sizeof(dir), "%s%s", w->mem_root, who->path); /* fits */
	if (access(dir, F_OK))
		stall_who_path(w, who, "memory", path, sizeof(path));
	else
		(void)snprintf(path, sizeof(path), "%s", who->path); /* as long */
	free(who->mem_path);
	who->mem_path = strdup(path);
	who->mem_path_ns = sc->now_ns;
	return who->mem_path ? who->mem_path : "";
}

static struct stall_who *who_at(struct stall_scope *sc, uint64_t cgroup_id)
{
	uint32_t i = stall_who_of(sc->s, cgroup_id, sc->now_ns);

	return i >= STALL_WHO_FIRST && i < STALL_WHO_MAX ? &sc->s->whos.who[i] : NULL;
}

int stall_scope_contended(void *arg, uint64_t victim)
{
	struct stall_scope *sc = arg;
	struct stall_who *who = who_at(sc, victim);
	struct stall_scope_victim *v = &sc->victims[sc->n_victims];
	char path[PATH_BYTES], *slash;

	if (!who || sc->n_victims == STALL_SCOPE_VICTIMS)
		return -ENOENT;
	*v = (struct stall_scope_victim){ .cgroup_id = victim };
	(void)snprintf(path, sizeof(path), "%s", mem_path(sc, who)); /* as long */
	while (path[0] && path[1] && !v->path) {
		if (limit_met(&sc->s->whos, path, sc->now_ns, &v->limit))
			v->path = strdup(path);
		slash = strrchr(path, '/');
		if (!slash)
			break;
		*slash = 0;
	}
	if (!v->path && sc->is_machine_short)
		v->path = strdup("");
	if (!v->path)
		return -ENOENT;
	return (int)sc->n_victims++;
}

int stall_scope_is_below(void *arg, uint64_t cgroup_id, int level)
{
	struct stall_scope *sc = arg;
	const char *above = sc->victims[level].path, *path;
	struct stall_who *who;
	size_t n = strlen(above);

	if (!n)
		return 1;
	who = who_at(sc, cgroup_id);
	path = who ? mem_path(sc, who) : "";
	return !strncmp(path, above, n) && (!path[n] || path[n] == '/');
}

uint16_t stall_scope_limit(const struct stall_scope *sc, uint64_t victim)
{
	for (uint32_t i = 0; i < sc->n_victims; i++)
		if (sc->victims[i].cgroup_id == victim)
			return sc->victims[i].limit;
	return 0;
}

/* ---- whose requests */

static int by_v1(const void *a, const void *b)
{
	const struct stall_scope_v1 *x = a, *y = b;

	return x->v1_id < y->v1_id ? -1 : x->v1_id > y->v1_id;
}

/* The cgroups that have the same path in both hierarchies. */
static void ask_v1(struct stall_scope *sc)
{
	struct stall_whos *w = &sc->s->whos;
	char dir[2 * PATH_BYTES];
	struct stat st;

	if (sc->v1_ns && sc->v1_ns + V1_KEEP_NS > sc->now_ns)
		return;
	if (!sc->v1)
		sc->v1 = calloc(STALL_SCOPE_V1, sizeof(*sc->v1));
	sc->v1_ns = sc->now_ns;
	sc->n_v1 = 0;
	for (uint32_t i = STALL_WHO_FIRST; sc->v1 && w->io_root && i < w->n; i++) {
		const struct stall_who *who = &w->who[i];

		if (!who->cgroup_id || who->level || who->path[0] != '/' || !who->path[1] ||
		    who->is_gone)
			continue;
		(void)snprintf(dir, sizeof(dir), "%s%s", w->io_root, who->path); /* fits */
		if (!stat(dir, &st))
			sc->v1[sc->n_v1++] = (struct stall_scope_v1){ st.st_ino, who->cgroup_id };
	}
	if (sc->n_v1)
		qsort(sc->v1, sc->n_v1, sizeof(*sc->v1), by_v1);
}

uint64_t stall_scope_translate(void *arg, uint64_t v1_id, uint64_t hint)
{
	struct stall_scope *sc = arg;
	struct stall_scope_v1 key = { .v1_id = v1_id }, *found = NULL;

	for (int round = 0; !found && round < 2; round++) {
		if (sc->n_v1)
			found = bsearch(&key, sc->v1, sc->n_v1, sizeof(key), by_v1);
		if (!found && !round)
			ask_v1(sc);
	}
	return found ? found->v2_id : hint;
}
