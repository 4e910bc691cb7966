/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What takes an action back. The plugin and its guardian, a program of its own, share this: libc alone, no memory is
 * allocated, and a struct undo is what crosses their socket. */
#ifndef LNX_ENFORCE_UNDO_H
#define LNX_ENFORCE_UNDO_H

#include <stddef.h>
#include <stdint.h>

#define UNDO_MAX  512 /* entries that are held at a time */
#define UNDO_ID	  27  /* a ULID with its NUL */
#define UNDO_SEC  1000000000ULL
#define UNDO_PROC "/proc"

/* enum undo_kind */
#define UNDO_FILE 1 /* a file of a cgroup gets the value back that it had */
#define UNDO_CONT 2 /* a stopped process goes on */

/* enum undo_result */
#define UNDO_RESTORED 0
#define UNDO_NOT_OURS 1 /* somebody else changed it since: left as it is */
#define UNDO_GONE     2 /* the cgroup or process no longer exists */
#define UNDO_FAILED   3
#define UNDO_RESULTS  4

struct undo {
	char id[UNDO_ID]; /* of the action */
	uint8_t kind;	  /* enum undo_kind */
	uint32_t pid;	  /* of UNDO_CONT */
	uint64_t start_ticks;
	uint64_t deadline_ns; /* CLOCK_BOOTTIME: end of the lease */
	uint64_t dev, ino;    /* of the folder: another one of the same name is not meant */
	char dir[512], file[32];
	char ours[64], before[64]; /* contents without the line end */
};

/* Descriptors of the guardian. */
#define GUARD_SOCKET  3
#define GUARD_JOURNAL 4

#define GUARD_CONTS 128 /* processes of one message */

/* enum guard_op: what the plugin sends; the guardian answers with GUARD_ACK and GUARD_DONE. */
#define GUARD_ADD    1
#define GUARD_FORGET 2 /* all of action <id>: it was undone, or never done */
#define GUARD_QUIT   3 /* forget everything and end */
#define GUARD_ACK    4 /* it is held */
#define GUARD_DONE   5 /* the lease of action <id> is over and it was undone */

/* A stopped process that is to go on. */
struct guard_cont {
	uint64_t start_ticks;
	uint32_t pid, pad;
};

/* All of an action is one message: the socket takes only so many that nobody has read. Sent as far as it is used. */
struct guard_msg {
	uint32_t op;
	uint32_t results[UNDO_RESULTS]; /* of GUARD_DONE: how many entries came out how */
	uint32_t n_conts;		/* of GUARD_ADD; 0: <undo> itself is what is held */
	struct undo undo;		/* id and deadline are those of all */
	struct guard_cont conts[GUARD_CONTS];
};
#define GUARD_MSG_BYTES(n_conts) \
	(offsetof(struct guard_msg, conts) + (n_conts) * sizeof(struct guard_cont))

/* Contents of <file> in folder <dirfd>, without the line end. Returns 0 or -errno. */
int undo_read(int dirfd, const char *file, char *ret, size_t cap);
int undo_write(int dirfd, const char *file, const char *text);
/* The folder of <u>, if it is still the same one: an fd, or -ENOENT, -errno. */
int undo_dir(const struct undo *u);
/* True if what is there (<now>) is what we wrote: a cgroup that is being frozen is. */
int undo_is_ours(const struct undo *u, const char *now);
/* Take it back. enum undo_result; *ret_rc: why it failed. */
int undo_run(const struct undo *u, int *ret_rc);
/* Parent, flags, state and start (clock ticks) of a process. 0 or -ESRCH. */
struct undo_stat {
	uint64_t start_ticks;
	uint32_t ppid, flags;
	char state;
	char comm[64];
};
int undo_stat(uint32_t pid, struct undo_stat *ret);
/* An fd of process <pid>, if it began at <start_ticks>: what is sent to it reaches no other. -ESRCH: it is gone, or its
 * number is another's by now. */
int undo_pidfd(uint32_t pid, uint64_t start_ticks);
int undo_kill(int pidfd, int signal);
/* CLOCK_BOOTTIME. */
uint64_t undo_now(void);

#endif
