/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The program of a task, read off the loop. Who runs the task may be hostile: a file system that answers when it likes must not hold
 * up a thread, so the file is opened for reading only where the kernel itself gives the bytes. */
#include "exe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect.h"

#define TICK_NS(per_s) (1000000000ull / (uint64_t)(per_s))
#define LINE	       4096

/* ---- in the job */

static FILE *open_proc(uint32_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name); /* fits */
	return fopen(path, "re");
}

/* Did process <pid> start then? */
static int is_same(uint32_t pid, uint64_t start_ns)
{
	FILE *f = open_proc(pid, "stat");
	char line[LINE];
	const char *at;
	unsigned long long ticks = 0;
	size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;

	if (f)
		(void)fclose(f); /* read only */
	line[n] = 0;
	at = strrchr(line, ')'); /* the name before it may hold anything */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		ticks = strtoull(at, NULL, 10);
	return at && ticks == start_ns / TICK_NS(sysconf(_SC_CLK_TCK));
}

/* Number of the mount that <fd> lies in. 0 or -errno. */
static int mount_of(int fd, unsigned long *ret)
{
	char path[64], line[128];
	FILE *f;
	int rc = -ENOENT;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd); /* fits */
	f = fopen(path, "re");
	while (f && rc && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %lu", ret) == 1)
			rc = 0;
	if (f)
		(void)fclose(f); /* read only */
	return rc;
}

/* Were the mounts that <pid> sees made with our rights? Those of a user namespace of its own are made by whoever runs it. */
static int has_our_mounts(uint32_t pid)
{
	struct stat owner, own;
	char path[64];
	int fd, user, is_yes;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu32 "/ns/mnt", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	user = ioctl(fd, NS_GET_USERNS); /* refused: of one above ours */
	(void)close(fd);		 /* read only */
	if (user < 0)
		return 0;
	is_yes = fstat(user, &owner) == 0 && stat("/proc/self/ns/user", &own) == 0 &&
		 owner.st_dev == own.st_dev && owner.st_ino == own.st_ino;
	(void)close(user); /* likewise */
	return is_yes;
}

/* The kernel has the bytes, or reads them from a disk: nobody else is asked for them. */
static int is_of_kernel(const char *type, size_t n)
{
	static const char *const types[] = { "ext2",	 "ext3",  "ext4",    "xfs",    "btrfs",
					     "f2fs",	 "tmpfs", "ramfs",   "rootfs", "overlay",
					     "squashfs", "erofs", "iso9660", "vfat",   "zfs" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i]) == n && !memcmp(types[i], type, n))
			return 1;
	return 0;
}

/* As the process's own list of mounts says, where ours may not have it. */
static int is_readable(uint32_t pid, int fd)
{
	FILE *f = open_proc(pid, "mountinfo");
	unsigned long want = 0, id;
	char *line = NULL;
	const char *type;
	int is_found = 0, is_yes = 0;
	size_t cap = 0;

	if (mount_of(fd, &want) < 0)
		is_found = 1; /* not looked for */
	/* whole lines: how long one is, is up to who mounts */
	while (f && !is_found && getline(&line, &cap, f) > 0) {
		if (sscanf(line, "%lu ", &id) != 1 || id != want)
			continue;
		is_found = 1;
		type = strstr(line, " - ");
		is_yes = type && is_of_kernel(type + 3, strcspn(type + 3, " "));
		/* what lies below an overlay is not told, and in a user namespace it may be anything */
		if (is_yes && !strncmp(type, " - overlay ", 11))
			is_yes = has_our_mounts(pid);
	}
	free(line);
	if (f)
		(void)fclose(f); /* read only */
	return is_yes;
}

static int hash_file(int fd, uint8_t ret[32])
{
	crypto_hash_sha256_state h;
	uint8_t buf[16384];
	uint64_t all = 0;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)EXE_BYTES)
		return -EFBIG;
	(void)crypto_hash_sha256_init(&h); /* none of these can fail */
	while ((n = read(fd, buf, sizeof(buf))) > 0 && (all += (uint64_t)n) <= EXE_BYTES)
		(void)crypto_hash_sha256_update(&h, buf, (unsigned long long)n);
	if (n < 0)
		return -errno;
	if (n > 0)
		return -EFBIG; /* it grew */
	(void)crypto_hash_sha256_final(&h, ret);
	return 0;
}

int exe_hash(uint32_t pid, uint64_t start_ns, uint8_t ret[32])
{
	char path[64];
	int fd, at, rc;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid); /* fits */
	at = open(path, O_PATH | O_CLOEXEC);				  /* asks no file system */
	if (at < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	rc = !is_same(pid, start_ns) ? -ESRCH : !is_readable(pid, at) ? -ENODEV : 0;
	if (!rc) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at); /* fits */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		rc = fd < 0 ? -errno : hash_file(fd, ret);
		if (fd >= 0)
			(void)close(fd); /* read only */
	}
	(void)close(at); /* likewise */
	return rc;
}

/* ---- on the loop */

struct exe_job {
	struct settle *s; /* the collector may be gone */
	struct leaf leaf;
};

static int run(void *arg)
{
	struct exe_job *j = arg;

	return exe_hash(j->leaf.pid, j->leaf.start_ns, j->leaf.exe_sha256);
}

static void not_read(struct collector *c, const char *why)
{
	c->n_exe_lost++;
	c->s->host->log(c->s->ctx, LNX_DEBUG, "program of the task: no hash of it: %s", why);
}

static void start(struct collector *c, struct exe_job *j);

static void done(void *arg, int rc)
{
	struct exe_job *j = arg;
	struct collector *c = j->s->collectors;

	while (c && c->exe != j)
		c = c->next;
	if (!c) {
		free(j);
		return;
	}
	c->exe = NULL;
	if (c->is_exe_stale) { /* which of two programs was read is not known */
		c->is_exe_stale = 0;
		not_read(c, "it ran another one meanwhile");
		j->leaf = c->exe_next;
		start(c, j);
		return;
	}
	if (rc < 0) {
		not_read(c, strerror(-rc));
	} else {
		j->leaf.has_exe = true;
		j->leaf.ts_boot_ns = c->s->host->now_ns(c->s->ctx);
		c->n_exe++;
		collect_leaf(c, &j->leaf);
	}
	free(j);
}

static void start(struct collector *c, struct exe_job *j)
{
	c->exe = j;
	if (c->s->host->submit(c->s->ctx, run, done, j) == 0)
		return;
	c->exe = NULL;
	not_read(c, "too many jobs wait");
	free(j);
}

void exe_begin(struct collector *c, const struct leaf *exec)
{
	struct leaf leaf = *exec;
	struct exe_job *j;

	(void)snprintf(leaf.type, sizeof(leaf.type), "proc.exe"); /* fits */
	leaf.args_policy = LEAF_ARGS_NONE;
	leaf.has_args = leaf.is_args_cut = false;
	if (c->exe) {
		c->is_exe_stale = 1;
		c->exe_next = leaf;
		return;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		not_read(c, "out of memory");
		return;
	}
	j->s = c->s;
	j->leaf = leaf;
	start(c, j);
}
