/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One BPF object: opened, its maps sized and shared, its constants set, loaded; and if that fails, a
 * reason that a person can act on. */
#include "probe_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "log.h"

#define LOG_BYTES (1u << 20) /* of the verifier; freed after the load */
#define LOG_LINES 8	     /* of its end, for the log at debug */

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

#define CAP_SYS_ADMIN_BIT 21
#define CAP_PERFMON_BIT	  38
#define CAP_BPF_BIT	  39

int lnx_probe_fail(struct lnx_probe *p, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->why, sizeof(p->why), fmt, ap); /* cut is fine */
	va_end(ap);
	p->state = LNX_PROBE_FAILED;
	return rc;
}

/* Effective capabilities, all of them if they cannot be read. */
static uint64_t probe_caps(void)
{
	unsigned long long caps = ~0ULL;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return caps;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(f);
	return caps;
}

const char *lnx_probe_remedy(int rc, char *buf, size_t cap)
{
	uint64_t caps = probe_caps();
	int bpf = caps >> CAP_BPF_BIT & 1, perfmon = caps >> CAP_PERFMON_BIT & 1;

	if (rc != -EPERM && rc != -EACCES)
		(void)snprintf(buf, cap, "%s", strerror(-rc));
	else if (caps >> CAP_SYS_ADMIN_BIT & 1 || (bpf && perfmon))
		(void)snprintf(buf, cap, "%s: a kernel lockdown or security module forbids it",
			       strerror(-rc));
	else
		(void)snprintf(buf, cap, "needs %s%s%s: run as root or grant them",
			       bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : " and ",
			       perfmon ? "" : "CAP_PERFMON");
	return buf;
}

/* The verifier's last words, and the end of its log at debug. */
static void probe_last_words(const struct lnx_probe *p, char *log, char *words, size_t cap)
{
	const char *last[LOG_LINES] = { NULL };
	char *line, *save = NULL;
	unsigned n = 0, i;

	words[0] = 0;
	for (line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		last[n++ % LOG_LINES] = line;
		if (strncmp(line, "processed ", 10) != 0 &&
		    strncmp(line, "verification time", 17) != 0 &&
		    strncmp(line, "stack depth", 11) != 0)
			(void)snprintf(words, cap, "%s", line);
	}
	for (i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
		lnx_log(LNX_DEBUG, "probe %s: verifier: %s", p->row->name, last[i % LOG_LINES]);
}

static int probe_say_load(struct lnx_probe *p, int rc, char *log)
{
	char words[160], buf[160];

	probe_last_words(p, log, words, sizeof(words));
	if (rc == -EPERM)
		return lnx_probe_fail(p, rc, "cannot load: %s",
				      lnx_probe_remedy(rc, buf, sizeof(buf)));
	if (words[0])
		return lnx_probe_fail(p, rc, "refused by the kernel's verifier: %s", words);
	if (rc == -ESRCH)
		return lnx_probe_fail(
			p, rc, "this kernel lacks a function or type that the probe hooks on to");
	return lnx_probe_fail(p, rc, "cannot load: %s", lnx_probe_remedy(rc, buf, sizeof(buf)));
}

/* A constant (`const volatile`) of an object before its load. */
struct probe_constant {
	struct bpf_map *map;
	const char *data; /* all constants */
	size_t size;	  /* of them */
	size_t offset;
};

/* Find the u32 <name>. Returns 0 or -ENOENT. */
static int probe_constant(struct bpf_object *obj, const char *name, struct probe_constant *ret_c)
{
	const struct btf *btf = bpf_object__btf(obj);
	struct probe_constant c = { .map = NULL };
	const struct btf_var_secinfo *v;
	const struct btf_type *sec, *t;
	unsigned i;
	int id;

	id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
	while (id > 0 && (c.map = bpf_object__next_map(obj, c.map))) {
		c.data = bpf_map__initial_value(c.map, &c.size);
		if (!c.data || !strstr(bpf_map__name(c.map), ".rodata"))
			continue;
		sec = btf__type_by_id(btf, (uint32_t)id);
		v = btf_var_secinfos(sec);
		for (i = 0; i < btf_vlen(sec); i++, v++) {
			t = btf__type_by_id(btf, v->type);
			c.offset = v->offset;
			if (v->size == sizeof(uint32_t) && c.offset + sizeof(uint32_t) <= c.size &&
			    strcmp(btf__name_by_offset(btf, t->name_off), name) == 0) {
				*ret_c = c;
				return 0;
			}
		}
	}
	return -ENOENT;
}

/* An object that has no use for <name> does not have it. */
static int probe_set_u32(struct bpf_object *obj, const char *name, uint32_t value)
{
	struct probe_constant c;
	char *copy;
	int rc;

	if (probe_constant(obj, name, &c) < 0)
		return 0;
	copy = malloc(c.size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, c.data, c.size);
	memcpy(copy + c.offset, &value, sizeof(value));
	rc = bpf_map__set_initial_value(c.map, copy, c.size);
	free(copy);
	return rc;
}

static uint32_t probe_get_u32(struct bpf_object *obj, const char *name)
{
	struct probe_constant c;
	uint32_t value;

	if (probe_constant(obj, name, &c) < 0)
		return 0;
	memcpy(&value, c.data + c.offset, sizeof(value));
	return value;
}

/* Maps that all objects share, and those with an entry per CPU. */
static int probe_size_maps(struct lnx_probe *p, const struct lnx_probe_shared *shared)
{
	struct bpf_map *ring = bpf_object__find_map_by_name(p->obj, "events");
	struct bpf_map *wake = bpf_object__find_map_by_name(p->obj, "wake");
	const char *const *name;
	struct bpf_map *map;
	int rc = 0;

	if (p->row->types[0] && !ring)
		return lnx_probe_fail(p, -EINVAL, "its object has no map 'events': reinstall");
	if (ring)
		rc = bpf_map__reuse_fd(ring, shared->ring_fd);
	if (rc == 0 && wake)
		rc = bpf_map__reuse_fd(wake, shared->wake_fd);
	for (name = p->row->cpu_maps; rc == 0 && name && *name; name++) {
		map = bpf_object__find_map_by_name(p->obj, *name);
		if (!map)
			return lnx_probe_fail(p, -EINVAL, "its object has no map '%s': reinstall",
					      *name);
		rc = bpf_map__set_max_entries(map, shared->n_cpus * bpf_map__max_entries(map));
	}
	if (rc < 0)
		return lnx_probe_fail(p, rc, "its maps cannot be set up: %s", strerror(-rc));
	return 0;
}

/* Iterator programs by name; their links come after the load. */
static int probe_list_programs(struct lnx_probe *p)
{
	struct bpf_program *prog;
	char name[LNX_PROBE_NAME_MAX + 8];
	unsigned n = 0;

	bpf_object__for_each_program(prog, p->obj)
	{
		struct lnx_probe_iter *it;

		if (++n > LNX_PROBE_PROGRAMS_MAX)
			return lnx_probe_fail(p, -E2BIG, "its object has more than %d programs",
					      LNX_PROBE_PROGRAMS_MAX);
		if (bpf_program__expected_attach_type(prog) != BPF_TRACE_ITER)
			continue;
		it = &p->iters[p->n_iters++];
		it->link_fd = -1;
		(void)snprintf(it->name, sizeof(it->name), "%s", bpf_program__name(prog));
		(void)snprintf(name, sizeof(name), "%s_bytes", it->name);
		it->record_bytes = probe_get_u32(p->obj, name);
	}
	if (n == 0)
		return lnx_probe_fail(p, -EINVAL, "its object has no programs: reinstall");
	return 0;
}

/* True if the kernel has the tracepoint <hook> with types. */
static int probe_has_hook(const struct btf *kernel, const char *hook)
{
	char name[128];

	return snprintf(name, sizeof(name), "btf_trace_%s", hook) < (int)sizeof(name) &&
	       btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF) > 0;
}

/* Of programs that stand for each other load the one that this kernel has a hook for. */
static int probe_choose(struct lnx_probe *p)
{
	const struct lnx_probe_choice *c = p->row->choices;
	struct bpf_program *prog;
	struct btf *kernel;

	if (!c)
		return 0;
	kernel = btf__parse(KERNEL_BTF, NULL);
	if (!kernel)
		return lnx_probe_fail(p, -errno, "cannot read %s: %s", KERNEL_BTF, strerror(errno));
	for (; c->program; c++) {
		const char *drop = probe_has_hook(kernel, c->hook) ? c->instead : c->program;

		prog = drop ? bpf_object__find_program_by_name(p->obj, drop) : NULL;
		if (prog)
			(void)bpf_program__set_autoload(prog,
							false); /* fails after the load only */
	}
	btf__free(kernel);
	return 0;
}

static int probe_open(struct lnx_probe *p, const char *path, char *log)
{
	/* Named, the kernel's BTF is the only one that is searched. Else libbpf goes on to those of the modules for a
	 * type that this kernel lacks, and listing them needs CAP_SYS_ADMIN. */
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = p->row->name, .kernel_log_buf = log,
		    .kernel_log_size = LOG_BYTES, .btf_custom_path = KERNEL_BTF);
	char file[32];
	int rc;

	p->file_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->file_fd < 0 || fstat(p->file_fd, &p->file) < 0) {
		rc = -errno;
		return lnx_probe_fail(p, rc, "cannot read %s: %s: build it (make bpf) or reinstall",
				      path, strerror(-rc));
	}
	if (access(KERNEL_BTF, R_OK) < 0)
		return lnx_probe_fail(
			p, -ENOTSUP,
			"no BTF of the kernel (%s): needs a kernel with CONFIG_DEBUG_INFO_BTF=y",
			KERNEL_BTF);
	/* the file that was opened, whatever stands at its path by now */
	(void)snprintf(file, sizeof(file), "/proc/self/fd/%d", p->file_fd); /* fits */
	p->obj = bpf_object__open_file(file, &opts);
	if (!p->obj)
		return lnx_probe_fail(p, -errno, "%s is not a sound BPF object: reinstall", path);
	return 0;
}

static int probe_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

/* Programs and maps of the loaded object become ours, and libbpf's copy of it goes. */
static int probe_keep(struct lnx_probe *p)
{
	struct bpf_program *prog;
	const struct bpf_map *map = NULL;

	bpf_object__for_each_program(prog, p->obj)
	{
		struct lnx_probe_program *to = &p->programs[p->n_programs];

		if (!bpf_program__autoload(prog))
			continue;
		to->fd = probe_dup(bpf_program__fd(prog));
		if (to->fd < 0)
			return lnx_probe_fail(p, to->fd, "no descriptor: %s", strerror(-to->fd));
		(void)snprintf(to->name, sizeof(to->name), "%s", bpf_program__name(prog));
		to->is_iter = bpf_program__expected_attach_type(prog) == BPF_TRACE_ITER;
		p->n_programs++; /* at most as many as probe_list_programs saw */
	}
	while ((map = bpf_object__next_map(p->obj, map))) {
		struct lnx_probe_map *to = &p->maps[p->n_maps];

		/* those of sections with a name of their own (".bss.table") are asked for, too */
		if (bpf_map__is_internal(map) && bpf_map__name(map)[0] != '.')
			continue;
		if (p->n_maps == LNX_PROBE_MAPS_MAX)
			return lnx_probe_fail(p, -E2BIG, "its object has more than %d maps",
					      LNX_PROBE_MAPS_MAX);
		to->fd = probe_dup(bpf_map__fd(map));
		if (to->fd < 0)
			return lnx_probe_fail(p, to->fd, "no descriptor: %s", strerror(-to->fd));
		(void)snprintf(to->name, sizeof(to->name), "%s", bpf_map__name(map));
		to->value_bytes = bpf_map__value_size(map);
		to->max_entries = bpf_map__max_entries(map);
		p->n_maps++;
	}
	bpf_object__close(p->obj);
	p->obj = NULL;
	p->is_loaded = 1;
	return 0;
}

static int probe_load_into(struct lnx_probe *p, const char *path,
			   const struct lnx_probe_shared *shared, char *log)
{
	char buf[160];
	int rc;

	rc = probe_open(p, path, log);
	if (rc < 0)
		return rc;
	if (shared->ring_fd < 0)
		return lnx_probe_fail(p, shared->ring_fd, "no ring buffer: %s",
				      lnx_probe_remedy(shared->ring_fd, buf, sizeof(buf)));
	rc = probe_size_maps(p, shared);
	if (rc == 0)
		rc = probe_choose(p);
	if (rc == 0)
		rc = probe_list_programs(p);
	if (rc < 0)
		return rc;
	rc = probe_set_u32(p->obj, "args_mode", shared->args_mode);
	if (rc == 0)
		rc = probe_set_u32(p->obj, "batch_bytes", shared->batch_bytes);
	if (rc == 0)
		rc = probe_set_u32(p->obj, "page_bytes", shared->page_bytes);
	if (rc < 0)
		return lnx_probe_fail(p, rc, "its constants cannot be set: %s", strerror(-rc));
	rc = bpf_object__load(p->obj);
	if (rc < 0)
		return probe_say_load(p, rc, log);
	rc = probe_keep(p);
	return rc < 0 ? rc : lnx_probe_link_iters(p);
}

int lnx_probe_load(struct lnx_probe *p, const char *dir, const struct lnx_probe_shared *shared)
{
	char path[4096];
	char *log;
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s.bpf.o", dir, p->row->name) >= (int)sizeof(path))
		return lnx_probe_fail(p, -ENAMETOOLONG, "the path of its object is too long");
	log = calloc(1, LOG_BYTES);
	if (!log)
		return lnx_probe_fail(p, -ENOMEM, "out of memory");
	rc = probe_load_into(p, path, shared, log);
	if (rc < 0)
		lnx_probe_unload(p);
	else
		p->state = LNX_PROBE_LOADED;
	free(log);
	return rc;
}

void lnx_probe_unload(struct lnx_probe *p)
{
	unsigned i;

	lnx_probe_detach(p);
	while (p->n_iters > 0)
		if (p->iters[--p->n_iters].link_fd >= 0)
			(void)close(p->iters[p->n_iters].link_fd);
	for (i = 0; i < p->n_programs; i++)
		(void)close(p->programs[i].fd);
	for (i = 0; i < p->n_maps; i++)
		(void)close(p->maps[i].fd);
	if (p->file_fd >= 0)
		(void)close(p->file_fd); /* read only */
	p->file_fd = -1;
	p->n_programs = p->n_maps = 0;
	p->is_loaded = 0;
	bpf_object__close(p->obj);
	p->obj = NULL;
}
