/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two HTTP servers asked in turns over one kept connection each: CPU time and latency of a request.
 *
 *   bench_http ROUNDS REQUESTS PORT PATH PID PORT PATH PID
 *
 * Prints a JSON object for each: median over the rounds of CPU us per request, p50 and p99 of all requests in us,
 * bytes of a body. CPU time is that of the main thread of PID. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX   64
#define REQUESTS_MAX 10000

struct server {
	int fd;
	const char *path, *pid;
	double cpu_us[ROUNDS_MAX]; /* per request */
	double *took_us;
	size_t n;
	size_t body_bytes;
};

static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double cpu_us(const char *pid)
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
	return (double)ns / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int dial(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Read one answer whole. Returns the bytes of its body, -1 unless it is a 200 with a Content-Length. */
static ssize_t read_answer(int fd)
{
	static char bytes[1 << 18];
	size_t have = 0, body, rest;
	const char *length, *end = NULL;
	ssize_t n;

	while (!end && have < sizeof(bytes) - 1) {
		n = read(fd, bytes + have, sizeof(bytes) - 1 - have);
		if (n <= 0)
			return -1;
		have += (size_t)n;
		bytes[have] = 0;
		end = strstr(bytes, "\r\n\r\n");
	}
	length = strcasestr(bytes, "\r\ncontent-length:");
	if (!end || !length || length > end || strncmp(bytes, "HTTP/1.1 200", 12) != 0) {
		(void)fprintf(stderr, "bench_http: not a 200: %.60s\n", bytes);
		return -1;
	}
	body = strtoul(length + 17, NULL, 10);
	have -= (size_t)(end + 4 - bytes);
	for (rest = body - have; rest; rest -= (size_t)n) {
		n = read(fd, bytes, rest < sizeof(bytes) ? rest : sizeof(bytes));
		if (n <= 0)
			return -1;
	}
	return (ssize_t)body;
}

static int ask(struct server *s)
{
	double start = now_us();
	char req[512];
	ssize_t body;
	int len;

	len = snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", s->path);
	if (len < 0 || (size_t)len >= sizeof(req) || write(s->fd, req, (size_t)len) != len)
		return -1;
	body = read_answer(s->fd);
	if (body < 0)
		return -1;
	s->body_bytes = (size_t)body;
	s->took_us[s->n++] = now_us() - start;
	return 0;
}

static int ask_round(struct server *s, unsigned long round, unsigned long requests)
{
	double cpu = cpu_us(s->pid);
	unsigned long i;

	for (i = 0; i < requests; i++)
		if (ask(s) < 0)
			return -1;
	s->cpu_us[round] = (cpu_us(s->pid) - cpu) / (double)requests;
	return 0;
}

static int report(struct server *s, unsigned long rounds)
{
	qsort(s->cpu_us, rounds, sizeof(*s->cpu_us), by_value);
	qsort(s->took_us, s->n, sizeof(*s->took_us), by_value);
	return printf("{\"cpu_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"body_bytes\":%zu}\n",
		      s->cpu_us[rounds / 2], s->took_us[s->n / 2], s->took_us[s->n * 99 / 100],
		      s->body_bytes);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc == 9 ? strtoul(argv[1], NULL, 10) : 0,
		      requests = argc == 9 ? strtoul(argv[2], NULL, 10) : 0, r;
	static struct server servers[2];
	unsigned k;

	if (!rounds || rounds > ROUNDS_MAX || !requests || requests > REQUESTS_MAX) {
		(void)fprintf(stderr,
			      "usage: bench_http ROUNDS REQUESTS PORT PATH PID PORT PATH PID\n");
		return 2;
	}
	for (k = 0; k < 2; k++) {
		struct server *s = &servers[k];

		s->fd = dial(argv[3 + 3 * k]);
		s->path = argv[4 + 3 * k];
		s->pid = argv[5 + 3 * k];
		s->took_us = calloc(rounds * requests + 1, sizeof(*s->took_us));
		if (s->fd < 0 || !s->took_us || ask(s) < 0) /* warm */
			return 1;
		s->n = 0;
	}
	for (r = 0; r < rounds; r++)
		for (k = 0; k < 2; k++)
			if (ask_round(&servers[k], r, requests) < 0)
				return 1;
	return report(&servers[0], rounds) < 0 || report(&servers[1], rounds) < 0;
}
