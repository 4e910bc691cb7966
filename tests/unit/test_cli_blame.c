/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `linnix blame`: the table that people read of an answer, what is asked for, and how it ends. */
#include <fcntl.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli_server.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

struct run {
	struct server server;
	int code;
	char out[8192], err[2048];
};

/* What is written to descriptor <fd> from now on goes to a file of its own. Returns the place before. */
static int redirect(int fd, FILE **ret_file)
{
	int was = dup(fd);

	*ret_file = tmpfile();
	assert_non_null(*ret_file);
	assert_true(was >= 0 && dup2(fileno(*ret_file), fd) == fd);
	return was;
}

static void restore(int fd, int was, FILE *file, char *ret_text, size_t cap)
{
	size_t n;

	assert_int_equal(dup2(was, fd), fd);
	(void)close(was);
	rewind(file);
	n = fread(ret_text, 1, cap - 1, file);
	ret_text[n] = 0;
	(void)fclose(file);
}

static void ask(struct run *r, const char *url, const char *const *words)
{
	const struct lnx_verb *verb = lnx_verb_find("blame");
	char pool[16][64], *argv[16];
	struct lnx_cli cli = { .url = url };
	struct lnx_cli_args args;
	FILE *out, *err;
	int argc = 0, out_was, err_was;

	for (; words[argc]; argc++) {
		(void)snprintf(pool[argc], sizeof(pool[0]), "%s", words[argc]);
		argv[argc] = pool[argc];
	}
	assert_non_null(verb);
	(void)fflush(stdout);
	(void)fflush(stderr);
	out_was = redirect(1, &out);
	err_was = redirect(2, &err);
	r->code = lnx_cli_parse(&cli, verb, argc, argv, &args) < 0 ? LNX_EXIT_USAGE
								   : verb->run(&cli, &args);
	(void)fflush(stdout);
	(void)fflush(stderr);
	restore(1, out_was, out, r->out, sizeof(r->out));
	restore(2, err_was, err, r->err, sizeof(r->err));
}

/* Ask an agent that answers <answer>. */
#define BLAME(r, answer, ...) blame(r, answer, (const char *const[]){ __VA_ARGS__, NULL })

static void blame(struct run *r, const char *answer, const char *const *words)
{
	*r = (struct run){ .server = { .answers = { answer } } };
	server_start(&r->server);
	ask(r, r->server.url, words);
	server_stop(&r->server);
}

static void has(const struct run *r, const char *text)
{
	if (!strstr(r->out, text))
		fail_msg("no '%s' in:\n%s%s", text, r->out, r->err);
}

static void has_not(const struct run *r, const char *text)
{
	if (strstr(r->out, text))
		fail_msg("'%s' in:\n%s", text, r->out);
}

/* Words of line <i> with one blank between them. */
static const char *line(const struct run *r, unsigned i)
{
	static char words[512];
	const char *at = r->out;
	size_t n = 0;

	for (; i && at; i--)
		at = (at = strchr(at, '\n')) ? at + 1 : NULL;
	assert_non_null(at);
	for (; *at && *at != '\n' && n < sizeof(words) - 1; at++)
		if (*at != ' ' || (n && words[n - 1] != ' '))
			words[n++] = *at;
	n -= n && words[n - 1] == ' ';
	words[n] = 0;
	return words;
}

/* Two minutes, in which the machine's victim lost a minute to eight, as the agent orders them. */
static const char answer[] = HEAD
	"{\"window_ms\":120000,\"victims\":["
	"{\"victim\":{\"workload\":\"prod/shop\",\"namespace\":\"\",\"container_name\":\"app\"},\"resource\":\"cpu\","
	"\"method\":\"exact\",\"coverage_ratio\":0.987,\"stalled_ms\":60000,\"parts\":["
	"{\"kind\":\"neighbour\",\"culprit\":{\"workload\":\"batch\",\"namespace\":\"dev\"},\"stall_ms\":30000,"
	"\"share_ratio\":0.5,\"processes\":[{\"pid\":881,\"comm\":\"convert\"},{\"pid\":7,\"comm\":\"no\"}]},"
	"{\"kind\":\"throttled\",\"limit\":\"cpu.max 1 2\",\"owner\":\"/pods\",\"stall_ms\":12000,\"share_ratio\":0.2},"
	"{\"kind\":\"throttled\",\"limit\":\"cpu.max 3 4\",\"owner\":\"\",\"stall_ms\":6000,\"share_ratio\":0.1},"
	"{\"kind\":\"kernel\",\"stall_ms\":6000,\"share_ratio\":0.1,\"processes\":[{\"pid\":5,\"comm\":\"kworker\"}]},"
	"{\"kind\":\"steal\",\"stall_ms\":3000,\"share_ratio\":0.05},"
	"{\"kind\":\"irq\",\"stall_ms\":1800,\"share_ratio\":0.03},"
	"{\"kind\":\"idle\",\"stall_ms\":900,\"share_ratio\":0.015},"
	"{\"kind\":\"self\",\"stall_ms\":300,\"share_ratio\":0.005}]},"
	"{\"victim\":{\"workload\":\"disk\"},\"resource\":\"io\",\"method\":\"psi-only\",\"coverage_ratio\":null,"
	"\"stalled_ms\":250,\"parts\":[{\"kind\":\"other\",\"stall_ms\":250,\"share_ratio\":1}]},"
	"{\"victim\":{\"workload\":\"none\"},\"resource\":\"memory\",\"method\":\"heuristic\",\"coverage_ratio\":1,"
	"\"stalled_ms\":100,\"parts\":[]}]}";

static void a_table_says_who_lost_how_much_by_whom_and_how_sure(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r, answer, "--since", "2m");
	assert_int_equal(r.code, LNX_EXIT_OK);
	assert_string_equal(line(&r, 0), "VICTIM LOST/S LOST SHARE BY KIND RES SURE METHOD");
	assert_string_equal(line(&r, 1), "prod/shop (app) 250ms 30.0s 50.0% dev/batch: convert 881 "
					 "neighbour cpu 98.7% exact");
	assert_string_equal(line(&r, 2), "100ms 12.0s 20.0% quota cpu.max 1 2 of /pods throttled");
	assert_string_equal(line(&r, 3), "50ms 6.0s 10.0% quota cpu.max 3 4 throttled");
	assert_string_equal(line(&r, 4), "50ms 6.0s 10.0% kernel threads: kworker 5 kernel");
	assert_string_equal(line(&r, 5), "25ms 3.0s 5.0% the hypervisor steal");
	assert_string_equal(line(&r, 6), "15ms 1.8s 3.0% interrupts irq");
	/* Six lines; what is left is summed. */
	assert_string_equal(line(&r, 7), "10ms 1.2s 2.0% others");
	/* Nothing to compare with is no certainty; who has no parts is told all the same. */
	assert_string_equal(line(&r, 8), "disk 2.08ms 250ms 100.0% not known other io - psi-only");
	assert_string_equal(line(&r, 9),
			    "none 833us 100ms 100.0% not known memory 100.0% heuristic");
	assert_string_equal(line(&r, 10), "");
}

static void small_parts_are_one_line_and_every_kind_has_words(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r,
	      HEAD
	      "{\"window_ms\":1000,\"victims\":[{\"victim\":{\"workload\":\"w\"},\"resource\":\"cpu\","
	      "\"method\":\"exact\",\"coverage_ratio\":1,\"stalled_ms\":1000,\"parts\":["
	      "{\"kind\":\"self\",\"stall_ms\":600,\"share_ratio\":0.6},"
	      "{\"kind\":\"idle\",\"stall_ms\":393,\"share_ratio\":0.393},"
	      "{\"kind\":\"steal\",\"stall_ms\":4,\"share_ratio\":0.004},"
	      "{\"kind\":\"irq\",\"stall_ms\":3,\"share_ratio\":0.003}]}]}",
	      "--by", "pod");
	assert_string_equal(line(&r, 1), "w 600ms 600ms 60.0% itself self cpu 100.0% exact");
	assert_string_equal(line(&r, 2), "393ms 393ms 39.3% a CPU waking up idle");
	assert_string_equal(line(&r, 3), "7ms 7ms 0.7% others");
	assert_string_equal(line(&r, 4), "");
	/* By process the culprit itself is one. */
	BLAME(&r,
	      HEAD
	      "{\"window_ms\":1000,\"victims\":[{\"victim\":{\"workload\":\"w\"},\"stalled_ms\":10,\"parts\":["
	      "{\"kind\":\"neighbour\",\"culprit\":{\"workload\":\"x\",\"pid\":12,\"comm\":\"hog\"},"
	      "\"stall_ms\":10,\"share_ratio\":1}]}]}",
	      "--by", "process");
	has(&r, "x: hog 12");
	has_not(&r, "others");
}

static void names_of_the_host_move_no_cursor(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r,
	      HEAD
	      "{\"window_ms\":1000,\"victims\":[{\"victim\":{\"workload\":\"a\\u001b[31mb\\nc\"},"
	      "\"stalled_ms\":10,\"parts\":[{\"kind\":\"neighbour\",\"culprit\":{\"workload\":\"x\"},"
	      "\"processes\":[{\"pid\":1,\"comm\":\"e\\u009bvil\"}],\"stall_ms\":10,\"share_ratio\":1}]}]}",
	      "--victim", "x");
	has_not(&r, "\033");
	has_not(&r, "\302\233");
	has(&r, "\\x1b[31mb\\nc");
	assert_string_equal(line(&r, 2), "");
}

static void the_question_is_what_was_asked(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r, answer, "--victim", "prod/a b", "--culprit", "c&d", "--resource", "io", "--by",
	      "pod", "--from", "1", "--to", "2", "--limit", "7");
	assert_non_null(strstr(r.server.requests[0],
			       "GET /blame?victim=prod/a%20b&culprit=c%26d&resource=io&by=pod&"
			       "from=1&to=2&limit=7 HTTP/1.1"));
	BLAME(&r, answer, "--since", "5m");
	assert_non_null(strstr(r.server.requests[0], "GET /blame?since=5m HTTP/1.1"));
	/* Who watches wants to see what is now. */
	BLAME(&r, answer, "--watch", "--count", "1");
	assert_non_null(strstr(r.server.requests[0], "GET /blame?since=10s HTTP/1.1"));
	assert_int_equal(r.code, LNX_EXIT_OK);
	BLAME(&r, answer, "--watch", "--count", "1", "--from", "3");
	assert_non_null(strstr(r.server.requests[0], "GET /blame?from=3 HTTP/1.1"));
}

static void nobody_is_no_failure(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r, HEAD "{\"window_ms\":60000,\"victims\":[]}", "--since", "1m");
	assert_int_equal(r.code, LNX_EXIT_OK);
	assert_string_equal(r.out, "");
	assert_non_null(strstr(r.err, "nobody was stalled in the last 60 s"));
	BLAME(&r, HEAD "{\"window_ms\":0,\"victims\":[]}", "--since", "1m");
	assert_int_equal(r.code, LNX_EXIT_OK);
	assert_non_null(strstr(r.err, "nothing has been measured yet"));
}

static void every_end_has_its_code(void **state)
{
	static const char *const none[] = { NULL };
	struct run r;

	(void)state;
	BLAME(&r, HEAD "{\"window_ms\":1}", "--since", "1m");
	assert_int_equal(r.code, LNX_EXIT_FAILURE);
	assert_non_null(strstr(r.err, "no list of victims"));
	BLAME(&r,
	      "HTTP/1.1 400 Bad Request\r\nContent-Length: 57\r\n\r\n"
	      "{\"error\":{\"code\":\"bad_parameter\",\"message\":\"since must\"}}",
	      "--since", "x");
	assert_int_equal(r.code, LNX_EXIT_FAILURE);
	assert_non_null(strstr(r.err, "since must"));
	assert_string_equal(r.out, "");
	ask(&r, "unix:/nonexistent/linnix.sock", none);
	assert_int_equal(r.code, LNX_EXIT_UNREACHABLE);
	ask(&r, "unix:/nonexistent/linnix.sock", (const char *const[]){ "--watch", NULL });
	assert_int_equal(r.code, LNX_EXIT_UNREACHABLE); /* and it ends */
	for (unsigned i = 0; i < 6; i++) {
		static const char *const words[][3] = {
			{ "word" },	    { "--count", "2" },	    { "--watch", "--count", "0" },
			{ "--limit", "0" }, { "--limit", "10001" }, { "--nothing" }
		};
		const char *const w[] = { words[i][0], words[i][1], words[i][2], NULL };

		if (i == 2)
			ask(&r, "unix:/nonexistent/linnix.sock",
			    (const char *const[]){ "--watch", "--count=0", NULL });
		else
			ask(&r, "unix:/nonexistent/linnix.sock", w);
		if (r.code != LNX_EXIT_USAGE)
			fail_msg("%s: %d %s", words[i][0], r.code, r.err);
	}
}

static void json_is_the_answer_as_it_came(void **state)
{
	struct run r;

	(void)state;
	BLAME(&r, HEAD "{\"window_ms\":1,\"victims\":[]}", "--json");
	assert_int_equal(r.code, LNX_EXIT_OK);
	assert_string_equal(line(&r, 0), "{\"window_ms\":1,\"victims\":[]}");
	has_not(&r, "nobody");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_says_who_lost_how_much_by_whom_and_how_sure),
		cmocka_unit_test(small_parts_are_one_line_and_every_kind_has_words),
		cmocka_unit_test(names_of_the_host_move_no_cursor),
		cmocka_unit_test(the_question_is_what_was_asked),
		cmocka_unit_test(nobody_is_no_failure),
		cmocka_unit_test(every_end_has_its_code),
		cmocka_unit_test(json_is_the_answer_as_it_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
