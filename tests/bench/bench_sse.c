/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers of the event stream of an agent, and the forks they are to hear of.
 *
 *   bench_sse latency PORT COUNT
 *       one reader; COUNT forks, ms apart: from before fork() to the frame that tells of the child
 *   bench_sse fan PORT PID READERS SILENT RATE MS
 *       READERS that read and SILENT ones that never do, while RATE forks a second are made for MS ms
 *
 * Each prints one JSON object. CPU time is that of the main thread of PID, the agent. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 4000
#define COUNT_MAX   100000
#define LINE_BYTES  4096
#define QUIET_MS    1000 /* without a byte for this long after the load: all has come */
#define WAIT_MS	    5000 /* for one frame */

struct reader {
	int fd;
	uint64_t told;	 /* frames about children of <forker> */
	uint64_t missed; /* as `lagged` frames said */
	size_t have;
	int is_lagged;
	char line[LINE_BYTES];
};

static char forker[32]; /* set once: "ppid":N, of the forks that count */

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double cpu_ms(const char *pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		(void)fclose(f);
	return (double)ns / 1e6;
}

static double rss_mib(const char *pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%s/statm", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	if (f)
		(void)fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static int dial(const char *port)
{
	static const char req[] = "GET /stream?type=proc.fork HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    write(fd, req, sizeof(req) - 1) != sizeof(req) - 1) {
		(void)fprintf(stderr, "bench_sse: connect: %s\n", strerror(errno));
		return -1;
	}
	return fd;
}

/* One line of a stream. */
static void reader_line(struct reader *r)
{
	const char *missed;

	if (strncmp(r->line, "event: ", 7) == 0) {
		r->is_lagged = strcmp(r->line + 7, "lagged") == 0;
	} else if (strncmp(r->line, "data: ", 6) == 0) {
		missed = r->is_lagged ? strstr(r->line, "\"missed\":") : NULL;
		if (missed)
			r->missed += strtoull(missed + 9, NULL, 10);
		else if (*forker && strstr(r->line, forker))
			r->told++;
	}
}

/* Read what is there; <each> of the lines. Returns bytes, 0 at the end. */
static ssize_t reader_read(struct reader *r, void (*each)(struct reader *r))
{
	static char bytes[1 << 18];
	ssize_t n = recv(r->fd, bytes, sizeof(bytes), MSG_DONTWAIT), i;

	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	for (i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			if (r->have < sizeof(r->line) - 1)
				r->line[r->have++] = bytes[i];
			continue;
		}
		r->line[r->have] = 0;
		r->have = 0;
		each(r);
	}
	return n;
}

/* ---- latency */

/* Wait until a frame tells <want>. */
static int await(struct reader *r, const char *want, double timeout_ms)
{
	double end = now_ms() + timeout_ms, left;
	struct pollfd p = { .fd = r->fd, .events = POLLIN };

	(void)snprintf(forker, sizeof(forker), "%s", want);
	r->told = 0;
	while (!r->told && (left = end - now_ms()) > 0) {
		if (poll(&p, 1, (int)left + 1) > 0 && reader_read(r, reader_line) == 0)
			return -1;
	}
	return r->told ? 0 : -ETIMEDOUT;
}

static int do_latency(const char *port, unsigned long count)
{
	static double took_ms[COUNT_MAX];
	static struct reader r;
	unsigned long i, lost = 0;
	char want[32];
	pid_t pid;

	r.fd = dial(port);
	if (r.fd < 0 || count > COUNT_MAX || await(&r, "\"boot_id\"", WAIT_MS) < 0)
		return 1;
	for (i = 0; i < count; i++) {
		double start;

		/* some ms apart, so that the loop of the agent is met at any point of its sleep */
		(void)await(&r, "\"nothing\"", 1 + (double)(i * 7 % 11));
		start = now_ms();
		pid = fork();
		if (pid == 0)
			_exit(0);
		(void)snprintf(want, sizeof(want), "\"child_pid\":%d,", pid);
		if (await(&r, want, WAIT_MS) < 0)
			lost++;
		took_ms[i] = now_ms() - start;
		(void)waitpid(pid, NULL, 0);
	}
	qsort(took_ms, count, sizeof(*took_ms), by_value);
	return printf("{\"count\":%lu,\"lost\":%lu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
		      count, lost, took_ms[count / 2], took_ms[count * 99 / 100],
		      took_ms[count - 1]) < 0;
}

/* ---- fan */

/* The process that forks: starts with the first byte of <go>, tells how many to <done>. */
static void fork_at_rate(int go, int done, double rate, double ms)
{
	uint64_t n = 0;
	double start, next;
	char c;

	if (read(go, &c, 1) != 1)
		_exit(1);
	for (start = next = now_ms(); next < start + ms; next += 1e3 / rate) {
		double left = next - now_ms();
		pid_t pid;

		if (left > 0)
			(void)poll(NULL, 0, (int)left);
		pid = fork();
		if (pid == 0)
			_exit(0);
		n += pid > 0;
		(void)waitpid(pid, NULL, 0);
	}
	_exit(write(done, &n, sizeof(n)) != sizeof(n));
}

/* Read everything until <done> has told and it is quiet. Returns the forks, or -1. */
static int64_t fan_read(int epfd, int done)
{
	struct epoll_event evs[256];
	double last = now_ms();
	uint64_t forks = 0;
	int k, n, is_over = 0;

	while (!is_over || now_ms() - last < QUIET_MS) {
		n = epoll_wait(epfd, evs, 256, 100);
		for (k = 0; k < n; k++) {
			struct reader *r = evs[k].data.ptr;

			if (!r) {
				if (read(done, &forks, sizeof(forks)) != sizeof(forks))
					return -1;
				(void)epoll_ctl(epfd, EPOLL_CTL_DEL, done, NULL);
				is_over = 1;
				last = now_ms();
				continue;
			}
			if (reader_read(r, reader_line) == 0)
				(void)epoll_ctl(epfd, EPOLL_CTL_DEL, r->fd, NULL);
			/* others on the machine fork too: only ours keep us here */
			if (r->told || !is_over)
				last = is_over && r->told >= forks ? last : now_ms();
		}
	}
	return (int64_t)forks;
}

static int fan_open(const char *port, struct reader *readers, unsigned long n,
		    unsigned long n_silent, int epfd)
{
	struct rlimit lim = { READERS_MAX + 64, READERS_MAX + 64 };
	unsigned long i;

	(void)setrlimit(RLIMIT_NOFILE, &lim);
	for (i = 0; i < n + n_silent; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &readers[i] };

		readers[i].fd = dial(port);
		if (readers[i].fd < 0 ||
		    (i < n && epoll_ctl(epfd, EPOLL_CTL_ADD, readers[i].fd, &ev) < 0))
			return -1;
	}
	return 0;
}

static int fan_report(const struct reader *readers, unsigned long n, uint64_t forks, double ms,
		      double cpu, double rss_before, double rss)
{
	uint64_t sum = 0, missed = 0, least = UINT64_MAX;
	unsigned long i;

	for (i = 0; i < n; i++) {
		sum += readers[i].told;
		missed += readers[i].missed;
		if (readers[i].told < least)
			least = readers[i].told;
	}
	return printf("{\"readers\":%lu,\"forks\":%llu,\"frames\":%llu,\"least\":%llu,"
		      "\"missed_told\":%llu,\"delivered_ratio\":%.6f,\"ms\":%.0f,\"cpu_ms\":%.1f,"
		      "\"cpu_us_per_frame\":%.3f,\"rss_before_mib\":%.2f,\"rss_mib\":%.2f}\n",
		      n, (unsigned long long)forks, (unsigned long long)sum,
		      (unsigned long long)least, (unsigned long long)missed,
		      (double)sum / (double)forks / (double)n, ms, cpu,
		      sum ? cpu * 1e3 / (double)sum : 0, rss_before, rss) < 0;
}

static int do_fan(char **argv)
{
	unsigned long n = strtoul(argv[2], NULL, 10), n_silent = strtoul(argv[3], NULL, 10);
	double rate = strtod(argv[4], NULL), ms = strtod(argv[5], NULL), cpu, start;
	struct epoll_event ev = { .events = EPOLLIN };
	int go[2], done[2], epfd = epoll_create1(EPOLL_CLOEXEC);
	struct reader *readers;
	int64_t forks;
	double rss_before = rss_mib(argv[1]);
	pid_t pid;

	readers = n + n_silent <= READERS_MAX ? calloc(n + n_silent, sizeof(*readers)) : NULL;
	if (!readers || epfd < 0 || pipe(go) < 0 || pipe(done) < 0 || rate <= 0)
		return 1;
	pid = fork();
	if (pid == 0)
		fork_at_rate(go[0], done[1], rate, ms);
	(void)snprintf(forker, sizeof(forker), "\"ppid\":%d,", pid);
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, done[0], &ev) < 0 ||
	    fan_open(argv[0], readers, n, n_silent, epfd) < 0)
		return 1;
	(void)poll(NULL, 0, QUIET_MS); /* all have their hello */
	cpu = cpu_ms(argv[1]);
	start = now_ms();
	if (write(go[1], "", 1) != 1)
		return 1;
	forks = fan_read(epfd, done[0]);
	(void)waitpid(pid, NULL, 0);
	if (forks <= 0)
		return 1;
	return fan_report(readers, n, (uint64_t)forks, now_ms() - start, cpu_ms(argv[1]) - cpu,
			  rss_before, rss_mib(argv[1]));
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	(void)signal(SIGPIPE, SIG_IGN);
	if (strcmp(verb, "latency") == 0 && argc == 4)
		return do_latency(argv[2], strtoul(argv[3], NULL, 10));
	if (strcmp(verb, "fan") == 0 && argc == 8)
		return do_fan(argv + 2);
	(void)fprintf(stderr, "usage: bench_sse latency PORT COUNT\n"
			      "       bench_sse fan PORT PID READERS SILENT RATE MS\n");
	return 2;
}
