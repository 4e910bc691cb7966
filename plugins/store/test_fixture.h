/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A store on a file in a folder of its own. */
#ifndef LNX_STORE_TEST_FIXTURE_H
#define LNX_STORE_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"
#include "store.h"

#define SECOND 1000000000ULL

struct fix {
	char dir[64], path[96];
	struct testhost *t;
	const struct lnx_svc_store *svc;
	void *self;
};

static inline void fix_conf(struct fix *f, const char *key, const char *value)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s=%s", key, value);
	assert_int_equal(testhost_conf(f->t, text), 0);
}

static inline void fix_dir(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/lnx-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/linnix.db", f->dir);
}

/* A host that is not loaded yet: options may be set. */
static inline void fix_host(struct fix *f)
{
	f->t = testhost_new();
	assert_non_null(f->t);
	fix_conf(f, "path", f->path);
}

static inline void fix_load(struct fix *f)
{
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
	f->svc = testhost_service(f->t, "store/1", &f->self);
	assert_non_null(f->svc);
}

static inline void fix_open(struct fix *f)
{
	if (!*f->dir)
		fix_dir(f);
	fix_host(f);
	fix_load(f);
	(void)testhost_run_jobs(f->t);
}

static inline void fix_shut(struct fix *f)
{
	testhost_free(f->t);
	f->t = NULL;
}

static inline void fix_close(struct fix *f)
{
	char cmd[128];

	fix_shut(f);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
}

static inline int fix_put(struct fix *f, uint32_t kind, const char *id, const char *parent,
			  uint64_t ts_ns, const char *doc)
{
	struct lnx_store_record r = { .size = sizeof(r),
				      .kind = kind,
				      .id = id,
				      .parent = parent,
				      .ts_ns = ts_ns,
				      .doc = doc,
				      .doc_bytes = strlen(doc) };

	return f->svc->put(f->self, &r);
}

struct fix_list {
	char text[1024];
	int n;
};

static inline int fix_add(void *arg, const struct lnx_store_record *r)
{
	struct fix_list *l = arg;
	size_t n = strlen(l->text);

	(void)snprintf(l->text + n, sizeof(l->text) - n, "%s%s%s", n ? " " : "", r->id, r->doc);
	l->n++;
	return 0;
}

/* "id1{doc1} id2{doc2}" */
static inline const char *fix_get(struct fix *f, const struct lnx_store_query *q,
				  struct fix_list *l)
{
	int rc;

	memset(l, 0, sizeof(*l));
	rc = f->svc->each(f->self, q, fix_add, l);
	assert_int_equal(rc, l->n);
	return l->text;
}

#endif
