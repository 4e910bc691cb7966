/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers of /proc/pressure, /proc/stat, /proc/meminfo, /proc/loadavg and mountinfo. Kernels differ and
 * containers fake some of these files: what is missing or odd is left out, never guessed. */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PSI_FILE_MAX (1u << 20) /* bytes: /proc/stat of thousands of CPUs fits */

int psi_read(int fd, struct lnx_buf *buf)
{
	off_t at = 0;
	ssize_t n;
	char *room;

	lnx_buf_reset(buf);
	buf->max = PSI_FILE_MAX;
	for (;;) {
		room = lnx_buf_room(buf, 4096);
		if (!room)
			return lnx_buf_error(buf) == -ENOSPC ? -EFBIG : lnx_buf_error(buf);
		n = pread(fd, room, buf->cap - buf->size - 1, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf->size += (size_t)n;
		buf->data[buf->size] = 0;
		if (!n)
			return 0;
		at += n;
	}
}

double psi_pct(uint64_t before_us, uint64_t now_us, uint64_t window_ns)
{
	double pct;

	if (now_us < before_us || !window_ns)
		return (double)NAN;
	pct = 100.0 * (double)(now_us - before_us) * 1000.0 / (double)window_ns;
	return pct > 100.0 ? 100.0 : pct;
}

/* A decimal number that is followed by white space or the end. */
static int parse_u64(const char *s, uint64_t *ret_v, const char **ret_end)
{
	uint64_t v = 0, d;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		d = (uint64_t)(*s - '0');
		if (v > (UINT64_MAX - d) / 10)
			return -ERANGE;
		v = v * 10 + d;
	}
	if (*s && !isspace((unsigned char)*s))
		return -EINVAL;
	*ret_v = v;
	*ret_end = s;
	return 0;
}

static int parse_avg(const char *s, const char *key, double *ret_v)
{
	const char *at = strstr(s, key), *eol = strchr(s, '\n');
	char *end;
	double v;

	if (!at || (eol && at > eol))
		return -EINVAL;
	at += strlen(key);
	if (!isdigit((unsigned char)*at))
		return -EINVAL;
	v = strtod(at, &end);
	if (!isfinite(v) || (*end && !isspace((unsigned char)*end)))
		return -EINVAL;
	*ret_v = v;
	return 0;
}

/* The start of line <name>, or NULL. */
static const char *line_of(const char *text, const char *name)
{
	size_t n = strlen(name);

	while (text) {
		if (strncmp(text, name, n) == 0)
			return text + n;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

int psi_parse_pressure(const char *text, struct psi_file *ret_file)
{
	static const char *const kinds[] = { "some ", "full " };
	const char *line, *total, *eol, *end;
	struct psi_file f;
	int i;

	memset(&f, 0, sizeof(f));
	for (i = PSI_SOME; i <= PSI_FULL; i++) {
		f.avg10[i] = f.avg60[i] = f.avg300[i] = (double)NAN;
		line = line_of(text, kinds[i]);
		if (!line)
			continue;
		eol = strchr(line, '\n');
		total = strstr(line, "total=");
		if (!total || (eol && total > eol) || parse_u64(total + 6, &f.total_us[i], &end))
			continue;
		f.has[i] = 1;
		/* for display only: NaN where they make no sense */
		(void)parse_avg(line, "avg10=", &f.avg10[i]);
		(void)parse_avg(line, "avg60=", &f.avg60[i]);
		(void)parse_avg(line, "avg300=", &f.avg300[i]);
	}
	if (!f.has[PSI_SOME] && !f.has[PSI_FULL])
		return -EINVAL;
	*ret_file = f;
	return 0;
}

static int line_u64(const char *text, const char *name, uint64_t *ret_v)
{
	const char *line = line_of(text, name), *end;

	if (!line)
		return -ENOENT;
	while (*line == ' ' || *line == '\t')
		line++;
	return parse_u64(line, ret_v, &end);
}

/* user nice system idle iowait irq softirq steal; guest times follow and are in user and nice already. */
static int parse_cpu(const char *line, struct psi_stat *s)
{
	uint64_t v[8] = { 0 };
	int i;

	for (i = 0; i < 8; i++) {
		while (*line == ' ')
			line++;
		if (parse_u64(line, &v[i], &line))
			break;
	}
	if (i < 4)
		return -EINVAL;
	s->idle = v[3];
	s->iowait = v[4];
	s->steal = v[7];
	s->busy = v[0] + v[1] + v[2] + v[5] + v[6] + v[7];
	return 0;
}

int psi_parse_stat(const char *text, struct psi_stat *ret_stat)
{
	const char *line = line_of(text, "cpu ");
	struct psi_stat s;
	uint64_t v = 0;

	memset(&s, 0, sizeof(s));
	s.has_cpu = line && parse_cpu(line, &s) == 0;
	for (line = line_of(text, "cpu"); line; line = line_of(line, "cpu"))
		s.n_cpus += isdigit((unsigned char)*line) != 0;
	s.has_forks = line_u64(text, "processes ", &s.forks) == 0;
	s.has_switches = line_u64(text, "ctxt ", &s.switches) == 0;
	if (line_u64(text, "procs_running ", &v) == 0 && v <= UINT32_MAX)
		s.n_running = (uint32_t)v;
	if (!s.has_cpu && !s.has_forks && !s.has_switches)
		return -EINVAL;
	*ret_stat = s;
	return 0;
}

static int mem_bytes(const char *text, const char *name, uint64_t *ret_bytes)
{
	uint64_t kib = 0;
	int r = line_u64(text, name, &kib);

	if (!r && kib > UINT64_MAX / 1024)
		r = -ERANGE;
	if (!r)
		*ret_bytes = kib * 1024;
	return r;
}

int psi_parse_mem(const char *text, struct psi_mem *ret_mem)
{
	struct psi_mem m;

	memset(&m, 0, sizeof(m));
	m.has_total = mem_bytes(text, "MemTotal:", &m.total_bytes) == 0 && m.total_bytes;
	m.has_available = mem_bytes(text, "MemAvailable:", &m.available_bytes) == 0;
	(void)mem_bytes(text, "SwapTotal:", &m.swap_total_bytes); /* 0: no swap */
	(void)mem_bytes(text, "SwapFree:", &m.swap_free_bytes);
	if (!m.has_total)
		return -EINVAL;
	*ret_mem = m;
	return 0;
}

int psi_parse_load(const char *text, double ret_load[3])
{
	double v[3];
	char *end;
	int i;

	for (i = 0; i < 3; i++) {
		v[i] = strtod(text, &end);
		if (end == text || !isfinite(v[i]) || v[i] < 0)
			return -EINVAL;
		text = end;
	}
	memcpy(ret_load, v, sizeof(v));
	return 0;
}

/* Copy a mount point, with its "\040" for a blank undone. */
static int unescape(const char *from, size_t n, char *to, size_t cap)
{
	size_t i = 0, out = 0;

	while (i < n) {
		if (out + 1 >= cap)
			return -ENAMETOOLONG;
		if (from[i] == '\\' && i + 3 < n && from[i + 1] >= '0' && from[i + 1] <= '3') {
			to[out++] = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 |
					   (from[i + 3] - '0'));
			i += 4;
		} else {
			to[out++] = from[i++];
		}
	}
	to[out] = 0;
	return 0;
}

int psi_parse_mounts(const char *text, char *ret_path, size_t cap)
{
	const char *line, *eol, *at, *type, *point = NULL;
	int blanks;

	for (line = text; line && *line; line = eol ? eol + 1 : NULL) {
		eol = strchr(line, '\n');
		type = strstr(line, " - cgroup2 ");
		if (!type || (eol && type > eol))
			continue;
		for (at = line, blanks = 0; at < type && blanks < 4; at++)
			if (*at == ' ' && ++blanks == 4)
				point = at + 1;
		if (blanks < 4)
			continue;
		return unescape(point, strcspn(point, " "), ret_path, cap);
	}
	return -ENOENT;
}
