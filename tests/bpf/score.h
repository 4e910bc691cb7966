/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a laboratory found: each check is told in a line and counted, and the closing line is what the runner of tests counts. */
#ifndef LNX_SCORE_H
#define LNX_SCORE_H

#define SCORE_TRIES 3

struct score {
	int passed, failed, skipped;
	int broken; /* of <failed>, what no other user of the machine explains */
};

void score_check(struct score *s, int ok, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What holds whoever else runs. */
void score_sure(struct score *s, int ok, const char *what);
void score_skip(struct score *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A scenario measures beside whatever else the machine does: what fails is measured again, at most SCORE_TRIES times in all, and
 * every try is told. What is broken is not. False: what was counted since <before> is taken back, measure again. */
int score_stands(struct score *s, const struct score *before, int try);
/* The closing line. Returns the exit status; without a check it is no success. */
int score_end(const struct score *s);

#endif
