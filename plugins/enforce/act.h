/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What each file of plugin `enforce` does for the others. Loop thread only. */
#ifndef LNX_ENFORCE_ACT_H
#define LNX_ENFORCE_ACT_H

#include "enforce.h"

/* ---- target.c: who is meant, and whether it may be touched. <why> is for people. */
/* Find process, cgroup and names of <a>. 0 or -EPERM. */
int enf_target(struct enforce *s, struct act *a, char *why, size_t cap);
/* 0 or -EPERM. A signal also makes the list of processes anew. */
int enf_check(struct enforce *s, struct act *a, char *why, size_t cap);
/* Clock ticks of a start in ns. */
uint64_t enf_ticks(uint64_t start_ns);

/* ---- plan.c */
void enf_mounts(struct enforce *s);
/* What would be written or sent: fills undo and plan. 0 or -EPERM. */
int enf_plan(struct enforce *s, struct act *a, char *why, size_t cap);
/* Do it. 0 or -errno: then a part may have been done. */
int enf_apply(struct act *a, char *why, size_t cap);
void enf_undo_results(const uint32_t results[UNDO_RESULTS], char *said, size_t cap);
/* Take it back; <said> (may be NULL): how it went, for people. True if something could not be. */
int enf_undo_now(struct act *a, char *said, size_t cap);
void enf_act_free(struct act *a);

/* ---- act.c: an action up to its approval */
#define ENF_SLOW (5 * ENF_SEC) /* journal and guardian answer within this, or it is not done */
int enf_request(struct enforce *s, const struct lnx_event *ev);
/* A place in memory, NULL: none, counted. */
struct act *enf_act_new(struct enforce *s);
/* Refuse, show or propose <a>, unless the same is on its way; <why> (or "") goes with the proposal. Takes <a>. */
void enf_take(struct enforce *s, struct act *a, const char *why);
/* An alert is over: what only it asked for needs no more to be done. */
int enf_alert(struct enforce *s, const struct lnx_event *ev);
int enf_approve(struct enforce *s, struct act *a, const char *who, char *text, size_t cap);
/* What an approval would do now: <text>. As approve, and nothing changes. */
int enf_dry(struct enforce *s, struct act *a, char *text, size_t cap);
int enf_reject(struct enforce *s, struct act *a, const char *who, char *text, size_t cap);
/* -EPERM: there may be no more in this hour. */
int enf_is_over_limit(struct enforce *s, char *why, size_t cap);
struct act *enf_find(struct enforce *s, const char *id, int *ret_rc);
/* What it did is over, or never came to be. */
void enf_idle(struct act *a, uint64_t now);
void enf_refuse(struct enforce *s, struct act *a, uint32_t state);
void enf_expire(struct enforce *s, struct act *a, const char *why);
/* True if nothing is done, as is configured: then it is told. */
int enf_is_dry(struct enforce *s, struct act *a);
int enf_is_auto(const struct enforce *s, const char *rule);
/* True if <who> decides is told; else <text> says so. */
int enf_is_who(const char *who, char *text, size_t cap);

/* ---- steps.c: an action after its approval */
void enf_tick(struct enforce *s, uint64_t now_ns);
int enf_undo(struct enforce *s, struct act *a, const char *who, char *text, size_t cap);
/* The steps after the journal and after the guardian's acknowledgement. */
void enf_journaled(struct enforce *s, struct act *a, int rc);
void enf_guarded(struct enforce *s, struct act *a);
/* Its time is over. <who> or what ended it, and <how> it came out; <is_left>: it is in force all the same; that is
 * tried again, and the next start sees it in the journal. */
void enf_is_over(struct enforce *s, struct act *a, const char *who, const char *how, int is_left);
/* Take back all that is in force. */
void enf_undo_all(struct enforce *s, const char *why);

/* ---- again.c */
/* The lease of <a> is over. */
void enf_leased(struct enforce *s, struct act *a);
/* What is as it was before its action is asked for once more. */
void enf_ask_again(struct enforce *s, uint64_t now_ns);

/* ---- measure.c */
/* Of the victim (without one: what others lost to the culprit), ms/s in the last <window_ns>; NaN: not known. */
double enf_stall(struct enforce *s, const struct act *a, uint64_t window_ns);
void enf_measure_before(struct enforce *s, struct act *a, uint64_t now_ns);
void enf_measure(struct enforce *s, struct act *a, uint64_t now_ns);

/* ---- guard.c */
/* Have the guardian hold what undoes <a>; enf_guarded() follows. 0 or -errno. */
int guard_add(struct enforce *s, const struct act *a);
void guard_forget(struct enforce *s, const struct act *a);
/* Nothing is in force any more. */
void guard_quit(struct enforce *s);

/* ---- journal.c */
/* Open it; undo what an earlier run left in force: how that went is in s->ended and s->left. 0, -EBUSY (the guardian of an
 * earlier run still has it), -errno. Where nothing is to be done it is not made: -ENOENT. */
int journal_open(struct enforce *s);
/* What an earlier run left and could not be undone is tried again. */
void journal_retry(struct enforce *s);
void journal_close(struct enforce *s);
/* Write that <a> begins, on a worker; enf_journaled() follows. 0 or -errno. */
int journal_begin(struct enforce *s, const struct act *a);
void journal_end(struct enforce *s, const char *id);
/* Nothing is on its way or in force: begin it anew once it is large. */
void journal_trim(struct enforce *s);

/* ---- record.c: what the world is told */
extern const char *const enf_verbs[], *const enf_states[], *const enf_outcomes[];
/* Unix time of now. */
uint64_t enf_wall(struct enforce *s);
/* Member <key> of an object that was written here, "" if it is no text. */
const char *enf_text(const json_t *o, const char *key);
/* "TERM" */
const char *enf_signal(uint32_t signal);
/* <a> came to <state>: event, store, and the chained log. */
void enf_tell(struct enforce *s, struct act *a, uint32_t state);
/* An entry of it in the chained log. 0, or why it is not taken. */
int enf_audit(struct enforce *s, const struct act *a, const char *what);
/* What the store did not take then is given to it again. */
void enf_settle(struct enforce *s, struct act *a);
void enf_json(struct enforce *s, const struct act *a, struct lnx_buf *out);
void enf_fill(struct enforce *s, const struct act *a, char *id, size_t cap, struct lnx_action *ret);

/* ---- recover.c */
/* Put records right that an earlier run left, once journal_open() has told. 0, or -EAGAIN and other errors of the store: ask
 * again. */
int enf_recover(struct enforce *s);

/* ---- routes.c */
int enf_routes(struct enforce *s);
extern const struct lnx_svc_enforce enf_service;

#endif
