/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The file of `linnix record`: what is there stays until a recording takes its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "rec.h"

#define OLD "an older recording"

struct fixture {
	char dir[64], good[96], link[96], url[128], sock[96];
	struct lnx_buf piece; /* what the agent answers */
	int fd;
	pthread_t thread;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Bytes of <path> in <ret>; fails if it is not there. */
static size_t read_file(const char *path, char *ret, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(ret, 1, cap, f);
	(void)fclose(f);
	return n;
}

static void assert_is_old(const char *path)
{
	char text[64];

	assert_int_equal(read_file(path, text, sizeof(text)), strlen(OLD));
	assert_memory_equal(text, OLD, strlen(OLD));
}

static unsigned files_in(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2; /* . and .. */
}

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/lnx-record-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->good, sizeof(f->good), "%s/good.lxr", f->dir);
	(void)snprintf(f->link, sizeof(f->link), "%s/link.lxr", f->dir);
	(void)snprintf(f->sock, sizeof(f->sock), "%s/s", f->dir);
	(void)snprintf(f->url, sizeof(f->url), "unix:%s", f->sock);
	write_file(f->good, OLD);
	assert_int_equal(chmod(f->good, 0640), 0);
	assert_int_equal(symlink("good.lxr", f->link), 0);
}

static void teardown(struct fixture *f)
{
	(void)unlink(f->good);
	(void)unlink(f->link);
	(void)unlink(f->sock);
	assert_int_equal(rmdir(f->dir), 0); /* nothing else is left behind */
	lnx_buf_done(&f->piece);
}

static int record_to(const struct fixture *f, const char *path)
{
	struct lnx_cli cli = { .url = f->url };
	struct lnx_cli_args args = { .opts = lnx_record_opts };
	unsigned i;

	for (i = 0; lnx_record_opts[i].name; i++) {
		if (!strcmp(lnx_record_opts[i].name, "last"))
			args.value[i] = "1s";
		if (!strcmp(lnx_record_opts[i].name, "output"))
			args.value[i] = path;
	}
	return lnx_cli_record(&cli, &args);
}

static void without_an_agent_a_file_stays_as_it_was(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(record_to(&f, f.good), LNX_EXIT_UNREACHABLE);
	assert_is_old(f.good);
	assert_int_equal(files_in(f.dir), 2);
	teardown(&f);
}

static void without_an_agent_a_link_and_its_target_stay(void **state)
{
	struct fixture f;
	struct stat st;

	(void)state;
	setup(&f);
	assert_int_equal(record_to(&f, f.link), LNX_EXIT_UNREACHABLE);
	assert_int_equal(lstat(f.link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_is_old(f.good);
	teardown(&f);
}

static void without_an_agent_no_file_is_left_and_no_pipe_removed(void **state)
{
	struct fixture f;
	struct stat st;
	char path[96];
	int fd;

	(void)state;
	setup(&f);
	(void)snprintf(path, sizeof(path), "%s/new", f.dir);
	assert_int_equal(record_to(&f, path), LNX_EXIT_UNREACHABLE);
	assert_int_equal(files_in(f.dir), 2);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(record_to(&f, path), LNX_EXIT_UNREACHABLE);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	(void)close(fd);
	(void)unlink(path);
	teardown(&f);
}

static void where_no_file_can_be_is_told_at_once(void **state)
{
	struct fixture f;
	char path[96];

	(void)state;
	setup(&f);
	(void)snprintf(path, sizeof(path), "%s/no/dir", f.dir);
	assert_int_equal(record_to(&f, path), LNX_EXIT_FAILURE);
	assert_int_equal(record_to(&f, f.dir), LNX_EXIT_FAILURE);
	assert_int_equal(unlink(f.good), 0);
	assert_int_equal(record_to(&f, f.link), LNX_EXIT_FAILURE); /* a link to nothing */
	assert_int_equal(files_in(f.dir), 1);
	teardown(&f);
}

/* ---- with an agent that answers one piece */

static void *answer(void *arg)
{
	struct fixture *f = arg;
	int fd = accept(f->fd, NULL, NULL);
	char head[2048];
	size_t used = 0;
	ssize_t n;

	assert_true(fd >= 0);
	memset(head, 0, sizeof(head));
	while (used < sizeof(head) - 1 && !strstr(head, "\r\n\r\n")) {
		n = read(fd, head + used, sizeof(head) - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		     f->piece.size);
	assert_int_equal(send(fd, head, (size_t)n, MSG_NOSIGNAL), n);
	(void)send(fd, f->piece.data, f->piece.size, MSG_NOSIGNAL); /* all of it: the file tells */
	(void)close(fd);
	return NULL;
}

static int record_from(struct fixture *f, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int code;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->sock);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(f->fd >= 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(f->fd, 1), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, answer, f), 0);
	code = record_to(f, path);
	(void)shutdown(f->fd, SHUT_RDWR);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	(void)close(f->fd);
	(void)unlink(f->sock);
	return code;
}

static void make_piece(struct fixture *f)
{
	static const struct lnx_ident ident = { .size = sizeof(ident),
						.schema = 1,
						.node = "n1",
						.cluster = "",
						.boot_id = "b",
						.version = "1" };
	struct lnx_rec_about about = { .ident = &ident };
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_rec_writer *w = lnx_rec_writer_new(registry, &f->piece);

	assert_non_null(w);
	lnx_rec_write_head(w, &about);
	lnx_rec_write_from(w, 100, 100);
	lnx_rec_write_loss(w, "kernel", 0);
	assert_int_equal(lnx_rec_flush(w), 0);
	lnx_rec_writer_free(w);
	lnx_registry_free(registry);
}

static void a_recording_takes_the_place_of_what_a_link_names(void **state)
{
	char bytes[16384];
	struct fixture f;
	struct stat st;
	size_t n;

	(void)state;
	setup(&f);
	make_piece(&f);
	assert_int_equal(record_from(&f, f.link), LNX_EXIT_OK);
	assert_int_equal(lstat(f.link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	n = read_file(f.good, bytes, sizeof(bytes));
	assert_true(n > f.piece.size); /* and the end block */
	assert_memory_equal(bytes, f.piece.data, f.piece.size);
	assert_int_equal(stat(f.good, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640); /* as it was */
	assert_int_equal(files_in(f.dir), 2);
	teardown(&f);
}

static void an_answer_that_is_no_recording_leaves_the_file(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	lnx_buf_add(&f.piece, "<html>hello</html>", 18);
	assert_int_equal(record_from(&f, f.good), LNX_EXIT_FAILURE);
	assert_is_old(f.good);
	assert_int_equal(files_in(f.dir), 2);
	teardown(&f);
}

static void a_new_file_is_for_its_owner_alone(void **state)
{
	struct fixture f;
	struct stat st;
	char path[96];

	(void)state;
	setup(&f);
	make_piece(&f);
	(void)snprintf(path, sizeof(path), "%s/new", f.dir);
	assert_int_equal(record_from(&f, path), LNX_EXIT_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)unlink(path);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_agent_a_file_stays_as_it_was),
		cmocka_unit_test(without_an_agent_a_link_and_its_target_stay),
		cmocka_unit_test(without_an_agent_no_file_is_left_and_no_pipe_removed),
		cmocka_unit_test(where_no_file_can_be_is_told_at_once),
		cmocka_unit_test(a_recording_takes_the_place_of_what_a_link_names),
		cmocka_unit_test(an_answer_that_is_no_recording_leaves_the_file),
		cmocka_unit_test(a_new_file_is_for_its_owner_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
