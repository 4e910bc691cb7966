/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the kernel lets this caller do with BPF: every feature is tried, none is guessed from a version. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/paths.h"
#include "probe.h"

static int doctor_quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* r0 = 0; exit */
static const struct bpf_insn doctor_nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

/* Load the smallest program of <type>; <attach_id> is a BTF id, or 0. Returns 0 or -errno. */
static int doctor_load(enum bpf_prog_type type, enum bpf_attach_type attach, int attach_id)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
		    .attach_btf_id = (unsigned)attach_id);
	int fd = bpf_prog_load(type, "linnix_doctor", "GPL", doctor_nothing,
			       sizeof(doctor_nothing) / sizeof(doctor_nothing[0]), &opts);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

static int doctor_ringbuf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "linnix_doctor", 0, 0,
				(unsigned)sysconf(_SC_PAGESIZE), NULL);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

/* Why a load was refused. */
static void doctor_refused(struct lnx_doctor *d, int rc)
{
	char text[4096];
	const char *fix = "run linnixd as root, or give it CAP_BPF and CAP_PERFMON";
	const char *seccomp;

	if (lnx_doctor_read(d->proc_root, "self/status", text, sizeof(text)) > 0) {
		seccomp = strstr(text, "\nSeccomp:");
		if (seccomp && strtol(seccomp + 9, NULL, 10) == 2)
			fix = "allow bpf(2) in the container's seccomp profile, and give it CAP_BPF and CAP_PERFMON";
	}
	if (lnx_doctor_read(d->sys_root, "kernel/security/lockdown", text, sizeof(text)) > 0 &&
	    strstr(text, "[confidentiality]"))
		fix = "kernel lockdown is at confidentiality, which refuses BPF tracing: boot with lockdown=integrity";
	if (rc == -ENOSYS)
		fix = "use a kernel with CONFIG_BPF_SYSCALL=y";
	lnx_doctor_add(d, d->agent_has_probes ? LNX_FINDING_WARN : LNX_FINDING_FAIL, "bpf",
		       d->agent_has_probes ? "run doctor as root to try it here, too" : fix,
		       "the kernel refuses a BPF program of yours: %s", strerror(-rc));
}

static void doctor_try(struct lnx_doctor *d)
{
	int rc = doctor_load(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);

	if (rc < 0) {
		doctor_refused(d, rc);
		return;
	}
	rc = doctor_ringbuf();
	if (rc < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "bpf",
			       rc == -EPERM ? "raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity)"
					    : "use a kernel with BPF ring buffers",
			       "a program loads, a ring buffer is refused: %s", strerror(-rc));
		return;
	}
	d->can_load = true;
	lnx_doctor_add(d, LNX_FINDING_OK, "bpf", "", "a program and a ring buffer load");
}

/* Exact figures need typed tracepoints; without them the agent has pressure only. */
static void doctor_tier(struct lnx_doctor *d)
{
	int id;

	if (!d->has_btf) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "tier", "see btf", "psi-only: no BTF");
		return;
	}
	if (!d->can_load) {
		lnx_doctor_add(d, d->agent_has_probes ? LNX_FINDING_OK : LNX_FINDING_FAIL, "tier",
			       d->agent_has_probes ? "" : "see bpf",
			       "not tried: no program can be loaded by you");
		return;
	}
	id = libbpf_find_vmlinux_btf_id("sched_switch", BPF_TRACE_RAW_TP);
	if (id <= 0 || doctor_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id) < 0)
		lnx_doctor_add(d, LNX_FINDING_WARN, "tier", "use a newer kernel for exact figures",
			       "psi-only: the kernel lacks typed tracepoints (tp_btf)");
	else
		lnx_doctor_add(d, LNX_FINDING_OK, "tier", "", "exact: tp_btf works");
	id = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER);
	if (id <= 0)
		lnx_doctor_add(d, LNX_FINDING_WARN, "iterator", "use a newer kernel",
			       "no task iterator: processes are read from /proc, which costs more");
	else
		lnx_doctor_add(d, LNX_FINDING_OK, "iterator", "", "the kernel lists tasks to BPF");
}

/* Each object is there, and libbpf can read it. */
static void doctor_objects(struct lnx_doctor *d)
{
	char path[LNX_PATH_BYTES], file[LNX_PATH_BYTES + 48];
	unsigned i, n_wrong = 0;
	struct bpf_object *obj;

	if (lnx_path_lib(d->cli, "bpf", path) < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "objects",
			       "run make, or install linnix whole; --lib-dir says where",
			       "no folder with BPF objects beside this program");
		return;
	}
	for (i = 0; lnx_probe_name(i); i++) {
		(void)snprintf(file, sizeof(file), "%s/%s.bpf.o", path, lnx_probe_name(i));
		if (access(file, R_OK) < 0) {
			n_wrong++;
			lnx_doctor_add(d, LNX_FINDING_FAIL, "objects",
				       "run make, or install linnix again", "%s: %s", file,
				       strerror(errno));
			continue;
		}
		obj = bpf_object__open_file(file, NULL);
		if (obj) {
			bpf_object__close(obj);
			continue;
		}
		n_wrong++;
		lnx_doctor_add(d, LNX_FINDING_FAIL, "objects", "run make, or install linnix again",
			       "%s is not a BPF object", file);
	}
	if (!n_wrong)
		lnx_doctor_add(d, LNX_FINDING_OK, "objects", "", "%s", path);
}

void lnx_doctor_bpf(struct lnx_doctor *d)
{
	(void)libbpf_set_print(doctor_quiet);
	doctor_objects(d);
	doctor_try(d);
	doctor_tier(d);
}
