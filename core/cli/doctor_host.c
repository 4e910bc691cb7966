/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Checks of the machine: kernel, BTF, PSI, cgroups, the caller's capabilities, the node's name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/doctor.h"

static void doctor_kernel(struct lnx_doctor *d)
{
	struct utsname un;

	if (uname(&un) < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "kernel", "", "uname: %s", strerror(errno));
		return;
	}
	if (strcmp(un.sysname, "Linux") != 0)
		lnx_doctor_add(d, LNX_FINDING_FAIL, "kernel", "run it on Linux", "%s is not Linux",
			       un.sysname);
	else
		lnx_doctor_add(d, LNX_FINDING_OK, "kernel", "", "%s %s %s, %ld CPUs online",
			       un.sysname, un.release, un.machine, sysconf(_SC_NPROCESSORS_ONLN));
}

static void doctor_btf(struct lnx_doctor *d)
{
	static const char fix[] =
		"use a kernel built with CONFIG_DEBUG_INFO_BTF=y (all current distributions)";
	char head[5];
	int n = lnx_doctor_read(d->sys_root, "kernel/btf/vmlinux", head, sizeof(head));

	/* struct btf_header begins with the magic 0xeb9f in the machine's byte order */
	if (n >= 4 && (memcmp(head, "\x9f\xeb", 2) == 0 || memcmp(head, "\xeb\x9f", 2) == 0)) {
		d->has_btf = true;
		lnx_doctor_add(d, LNX_FINDING_OK, "btf", "", "%s/kernel/btf/vmlinux", d->sys_root);
	} else if (n == -ENOENT) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "btf", fix,
			       "the kernel has no %s/kernel/btf/vmlinux: no probe can load",
			       d->sys_root);
	} else if (n < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "btf",
			       "make it readable for the agent, and mount sysfs",
			       "%s/kernel/btf/vmlinux: %s", d->sys_root, strerror(-n));
	} else {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "btf", fix, "%s/kernel/btf/vmlinux is not BTF",
			       d->sys_root);
	}
}

/* Why there is no /proc/pressure: what the kernel was told at boot. */
static void doctor_psi_missing(struct lnx_doctor *d, int rc)
{
	char text[4096];
	bool is_off;

	is_off = lnx_doctor_read(d->proc_root, "cmdline", text, sizeof(text)) > 0 &&
		 strstr(text, "psi=0");
	if (is_off)
		lnx_doctor_add(d, LNX_FINDING_FAIL, "psi",
			       "remove psi=0 from the kernel command line and boot again",
			       "pressure is switched off by psi=0");
	else if (rc == -EOPNOTSUPP || rc == -ENOENT)
		lnx_doctor_add(
			d, LNX_FINDING_FAIL, "psi",
			"boot with psi=1; needs a kernel with CONFIG_PSI=y (CONFIG_PSI_DEFAULT_DISABLED asks for psi=1)",
			"the kernel measures no pressure: no usable %s/pressure", d->proc_root);
	else
		lnx_doctor_add(d, LNX_FINDING_FAIL, "psi",
			       "make /proc/pressure readable for the agent", "%s/pressure/cpu: %s",
			       d->proc_root, strerror(-rc));
}

static void doctor_psi(struct lnx_doctor *d)
{
	static const char *const files[] = { "pressure/cpu", "pressure/memory", "pressure/io" };
	char text[512], figures[3][32];
	const char *avg;
	int n;

	for (unsigned i = 0; i < 3; i++) {
		n = lnx_doctor_read(d->proc_root, files[i], text, sizeof(text));
		if (n < 0) {
			doctor_psi_missing(d, n);
			return;
		}
		avg = strstr(text, "avg10=");
		if (!avg || strncmp(text, "some ", 5) != 0) {
			lnx_doctor_add(d, LNX_FINDING_FAIL, "psi", "",
				       "%s/%s does not hold pressure", d->proc_root, files[i]);
			return;
		}
		(void)snprintf(figures[i], sizeof(figures[i]), "%.*s", (int)strcspn(avg + 6, " \n"),
			       avg + 6);
	}
	lnx_doctor_add(d, LNX_FINDING_OK, "psi", "",
		       "cpu %s %%, memory %s %%, io %s %% (some, last 10 s)", figures[0],
		       figures[1], figures[2]);
}

/* One line of mountinfo: "id parent dev root MOUNTPOINT options [tags] - TYPE source super". */
static bool doctor_mount(char *line, const char **ret_at, const char **ret_type)
{
	char *save = NULL, *word, *dash = strstr(line, " - ");
	unsigned i = 0;

	if (!dash)
		return false;
	*dash = 0;
	*ret_type = dash + 3;
	dash[3 + strcspn(dash + 3, " ")] = 0;
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (i++ == 4) {
			*ret_at = word;
			return true;
		}
	return false;
}

static void doctor_cgroups(struct lnx_doctor *d)
{
	char at[512] = "", *text = malloc(1 << 18), *save = NULL;
	const char *mount, *type;
	unsigned n_v1 = 0;
	int n = text ? lnx_doctor_read(d->proc_root, "self/mountinfo", text, 1 << 18) : -ENOMEM;

	for (char *l = n > 0 ? strtok_r(text, "\n", &save) : NULL; l;
	     l = strtok_r(NULL, "\n", &save)) {
		if (!doctor_mount(l, &mount, &type))
			continue;
		if (strcmp(type, "cgroup") == 0)
			n_v1++;
		else if (strcmp(type, "cgroup2") == 0 && !at[0])
			(void)snprintf(at, sizeof(at), "%s", mount); /* for display */
	}
	free(text);
	d->has_cgroup2 = at[0] != 0;
	if (n < 0)
		lnx_doctor_add(d, LNX_FINDING_FAIL, "cgroups", "mount /proc",
			       "%s/self/mountinfo: %s", d->proc_root, strerror(-n));
	else if (!at[0])
		lnx_doctor_add(
			d, LNX_FINDING_FAIL, "cgroups",
			"boot with systemd.unified_cgroup_hierarchy=1, or: mount -t cgroup2 none /sys/fs/cgroup/unified",
			"no cgroup v2 is mounted%s: events carry no cgroup and stalls no victim",
			n_v1 ? " (v1 only)" : "");
	else if (n_v1)
		lnx_doctor_add(
			d, LNX_FINDING_OK, "cgroups", "",
			"hybrid: ids and pressure from v2 at %s, limits from %u v1 controllers beside it",
			at, n_v1);
	else
		lnx_doctor_add(d, LNX_FINDING_OK, "cgroups", "", "v2 at %s", at);
}

void lnx_doctor_host(struct lnx_doctor *d)
{
	doctor_kernel(d);
	doctor_btf(d);
	doctor_psi(d);
	doctor_cgroups(d);
}

void lnx_doctor_privs(struct lnx_doctor *d)
{
	char text[4096], missing[128] = "";
	unsigned long long caps;
	const char *line;
	bool is_admin, has_bpf, has_perfmon;
	int n = lnx_doctor_read(d->proc_root, "self/status", text, sizeof(text));

	line = n > 0 ? strstr(text, "\nCapEff:") : NULL;
	if (!line) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "capabilities", "mount /proc",
			       "%s/self/status does not tell them", d->proc_root);
		return;
	}
	caps = strtoull(line + 8, NULL, 16);
	is_admin = caps & (1ull << CAP_SYS_ADMIN);
	has_bpf = is_admin || caps & (1ull << CAP_BPF);
	has_perfmon = is_admin || caps & (1ull << CAP_PERFMON);
	if (has_bpf && has_perfmon) {
		lnx_doctor_add(d, LNX_FINDING_OK, "capabilities", "", "%s",
			       is_admin ? "CAP_SYS_ADMIN" : "CAP_BPF, CAP_PERFMON");
		return;
	}
	(void)snprintf(missing, sizeof(missing), "%s%s%s", has_bpf ? "" : "CAP_BPF",
		       has_bpf || has_perfmon ? "" : " and ", has_perfmon ? "" : "CAP_PERFMON");
	if (d->agent_has_probes)
		lnx_doctor_add(d, LNX_FINDING_WARN, "capabilities",
			       "run doctor as root to check BPF here, too",
			       "you lack %s; the agent has its probes attached", missing);
	else
		lnx_doctor_add(
			d, LNX_FINDING_FAIL, "capabilities",
			"run linnixd as root, or with AmbientCapabilities=CAP_BPF CAP_PERFMON (setcap cap_bpf,cap_perfmon+ep)",
			"%s missing: probes cannot load", missing);
}

void lnx_doctor_node(struct lnx_doctor *d)
{
	const char *node = getenv("NODE_NAME"), *kubernetes = getenv("KUBERNETES_SERVICE_HOST");
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = 0;
	if (node && *node)
		lnx_doctor_add(d, LNX_FINDING_OK, "node", "", "NODE_NAME is %s", node);
	else if (kubernetes && *kubernetes)
		lnx_doctor_add(
			d, LNX_FINDING_FAIL, "node",
			"set NODE_NAME from fieldRef spec.nodeName in the pod's env, or node.name in linnix.yaml",
			"in Kubernetes, and NODE_NAME is not set: pods of this node are not found");
	else
		lnx_doctor_add(d, LNX_FINDING_OK, "node", "", "%s (not in Kubernetes)", host);
}
