/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who a figure belongs to: the cgroups that windows name, with the names they had last, and their pressure files. */
#ifndef LNX_STALL_WHO_H
#define LNX_STALL_WHO_H

#include <linnix/svc_workload.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_WHO_MAX	 4096
#define STALL_WHO_HASH	 8192 /* a power of two, above STALL_WHO_MAX */
#define STALL_WHO_NODE	 0    /* all tasks */
#define STALL_WHO_KERNEL 1    /* kernel threads */
#define STALL_WHO_OTHER	 2    /* what did not fit */
#define STALL_WHO_FIRST	 3
#define STALL_WHO_NONE	 0xffffffffU

#define STALL_LIMITS_MAX    256		   /* quotas remembered; the first says unknown */
#define STALL_DEPTHS	    16		   /* of a quota's owner below the root */
#define STALL_LIMIT_KEEP_NS 10000000000ULL /* then limits and paths are asked for again */

/* A quota, or a limit of memory, as shown. */
struct stall_limit {
	char *owner;	  /* path of the cgroup that carries it; owned */
	char *text;	  /* "cpu.max 200000 100000"; owned */
	uint64_t used_ns; /* last given out: what is kept may name it for STALL_KEEP_NS */
};

/* Pressure of one cgroup and resource, against what was measured. */
struct stall_psi {
	int fd;		   /* of its file, -1 none */
	uint32_t is_known; /* the totals are valid */
	uint32_t window;   /* number of the window that read it last */
	uint32_t pad;
	uint64_t some_us, full_us;
	uint64_t unread_ns; /* what was measured since that read */
	uint64_t credit_ns; /* pressure not yet matched by it */
};

struct stall_who {
	uint64_t cgroup_id; /* 0: free, or one of the first */
	uint64_t used_ns;   /* last window that names it, or made */
	uint64_t asked_ns;  /* its names are from then */
	char *text;	    /* of all names; owned */
	const char *workload, *namespace_, *pod_name, *pod_uid, *container_name, *container_id,
		*path, *qos;
	uint64_t parent_cgroup_id;
	uint32_t cpu_request_millicores;
	uint64_t pod_key, workload_key; /* equal for all of one pod, of one workload; 0 none */
	uint32_t level;			/* enum stall_by of a set above slots; 0 a slot */
	uint32_t is_known;		/* plugin workload knew it once */
	uint32_t is_gone;
	uint32_t
		n_children; /* cgroups below that are victims of their own: its pressure file counts them, too */
	struct stall_psi psi[3]; /* by resource */
	uint64_t
		sample_ns[3]
			 [2]; /* from psi.cgroup and psi.sample since the last window: some, full */
	uint16_t limit[STALL_DEPTHS]; /* by depth of the owner; 0 not asked */
	uint64_t limit_ns;
	char *mem_path; /* in a v1 hierarchy of memory; NULL: not asked; owned */
	uint64_t mem_path_ns;
};

struct stall_whos {
	struct stall_who *who;	       /* STALL_WHO_MAX */
	uint32_t hash[STALL_WHO_HASH]; /* index + 1 */
	uint32_t n;		       /* ever used places */
	uint32_t n_fds;
	uint32_t is_new;  /* some came since n_children were counted */
	uint64_t refused; /* no place: counted as STALL_WHO_OTHER */
	struct stall_limit limits[STALL_LIMITS_MAX];
	uint32_t n_limits;
	uint64_t limits_refused; /* no place: shown as unknown */
	int root_fd;		 /* of the v2 hierarchy, -1 */
	char *cpu_root;		 /* folder of the cpu controller's hierarchy, NULL unknown; owned */
	uint32_t is_v1;		 /* of the cpu controller */
	uint32_t is_mem_v1;
	char *mem_root; /* of the memory controller's; owned */
	char *io_root;	/* of blkio's, if it is v1; owned */
	char *v2_root;	/* owned */
};

/* enum stall_by */
#define STALL_BY_CONTAINER 0
#define STALL_BY_POD	   1
#define STALL_BY_WORKLOAD  2
#define STALL_BY_PROCESS   3

/* At one level of an answer. */
struct stall_levels {
	uint32_t by;
	uint16_t of[STALL_WHO_MAX];  /* who stands for it */
	uint16_t pod[STALL_WHO_MAX]; /* who stands for its pod */
	uint8_t is[STALL_WHO_MAX];   /* its own level */
};

/* 0 or -ENOMEM. */
int stall_whos_init(struct stall_whos *w);
void stall_whos_done(struct stall_whos *w);
/* Find where the hierarchies are mounted. <mountinfo> is the text of /proc/self/mountinfo. */
void stall_whos_mounts(struct stall_whos *w, const char *mountinfo);
/* Index of the cgroup, STALL_WHO_NONE if not there. */
uint32_t stall_who_find(const struct stall_whos *w, uint64_t cgroup_id);
/* The same, made if needed. Places unused since <keep_ns> are taken. STALL_WHO_OTHER when full, counted. */
uint32_t stall_who_make(struct stall_whos *w, uint64_t cgroup_id, uint64_t now_ns,
			uint64_t keep_ns);
/* Take the names over. 0 or -ENOMEM (the old ones stay). */
int stall_who_name(struct stall_who *who, const struct lnx_workload *from, uint64_t now_ns);
/* Its pressure totals. 0, or -errno: none known. */
int stall_who_psi(struct stall_whos *w, struct stall_who *who, uint32_t resource,
		  uint64_t *ret_some_us, uint64_t *ret_full_us);
/* Those of /proc/pressure. */
int stall_psi_node(uint32_t resource, uint64_t *ret_some_us, uint64_t *ret_full_us);
/* First line of a small file. 0 or -errno. */
int stall_read_word(const char *dir, const char *file, char *ret_text, size_t cap);
/* Path of <who> in the v1 hierarchy of <controller>, from one of its processes, else the v2 path. */
void stall_who_path(const struct stall_whos *w, const struct stall_who *who, const char *controller,
		    char *ret_path, size_t cap);
/* True if both have a name, and the same one. */
int stall_who_is_same_workload(const struct stall_who *a, const struct stall_who *b);
/* Index of limits[]. A place that was not given out for <keep_ns> is taken; 0 when there is none, counted. */
uint16_t stall_limit_put(struct stall_whos *w, const char *owner, const char *text, uint64_t now_ns,
			 uint64_t keep_ns);
/* Quota at <depth> above <who>; <owner_id> is the cgroup of it, 0 unknown. Returns an index of limits[]. */
uint16_t stall_who_limit(struct stall_whos *w, struct stall_who *who, uint32_t depth,
			 uint64_t owner_id, uint64_t now_ns, uint64_t keep_ns);

#endif
