/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Capabilities: after the probes are loaded, keep only what a running agent needs. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF	    39
#endif

static const struct {
	unsigned cap;
	const char *name;
	bool keep;
	const char *lost; /* without it; NULL: who needs it says so itself */
	bool is_of_root;  /* uid 0 does without: the files are its own */
	bool is_extra;	  /* no function of the agent needs it */
} lnx_caps[] = {
	/* maps and iterators, where the kernel asks for it */
	{ CAP_BPF, "CAP_BPF", true, NULL, false, false },
	{ CAP_PERFMON, "CAP_PERFMON", true, NULL, false, false }, /* attach */
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", true,
	  "cgroups and files of others that they closed are left out", true, false },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", true,
	  "executables of other users' processes are unknown", false, true },
	{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", true,
	  "rising pressure is noticed after 2 s rather than at once", false, true },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false, NULL, false, false },
};

static int lnx_caps_get(struct __user_cap_data_struct *ret_data)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };

	return syscall(SYS_capget, &h, ret_data) < 0 ? -errno : 0;
}

static bool lnx_cap_is_set(const struct __user_cap_data_struct *d, unsigned cap)
{
	return d[cap / 32].effective & 1u << (cap % 32);
}

int lnx_privs_drop(uint64_t keep_more)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct d[2];
	uint32_t keep[2] = { (uint32_t)keep_more, (uint32_t)(keep_more >> 32) };
	unsigned i;
	int rc = lnx_caps_get(d);

	if (rc < 0)
		return rc;
	for (i = 0; i < sizeof(lnx_caps) / sizeof(lnx_caps[0]); i++)
		if (lnx_caps[i].keep)
			keep[lnx_caps[i].cap / 32] |= 1u << (lnx_caps[i].cap % 32);
	/* an older kernel has no CAP_BPF: there SYS_ADMIN stands for it */
	if (!lnx_cap_is_set(d, CAP_BPF) && lnx_cap_is_set(d, CAP_SYS_ADMIN))
		keep[CAP_SYS_ADMIN / 32] |= 1u << (CAP_SYS_ADMIN % 32);
	for (i = 0; i < 2; i++) {
		d[i].permitted &= keep[i];
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none to clear is fine */
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

void lnx_privs_missing(void (*each)(void *arg, const char *name, const char *lost, bool is_extra),
		       void *arg)
{
	struct __user_cap_data_struct d[2];
	unsigned i;

	if (lnx_caps_get(d) < 0)
		return;
	for (i = 0; i < sizeof(lnx_caps) / sizeof(lnx_caps[0]); i++)
		if (lnx_caps[i].lost && !lnx_cap_is_set(d, lnx_caps[i].cap) &&
		    !(lnx_caps[i].is_of_root && geteuid() == 0))
			each(arg, lnx_caps[i].name, lnx_caps[i].lost, lnx_caps[i].is_extra);
}

void lnx_privs_json(struct lnx_buf *out)
{
	struct __user_cap_data_struct d[2];
	unsigned i;

	lnx_buf_char(out, '[');
	for (i = 0; lnx_caps_get(d) == 0 && i < sizeof(lnx_caps) / sizeof(lnx_caps[0]); i++) {
		if (!lnx_cap_is_set(d, lnx_caps[i].cap))
			continue;
		lnx_json_next(out);
		lnx_json_str(out, lnx_caps[i].name);
	}
	lnx_buf_char(out, ']');
}
