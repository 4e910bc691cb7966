/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Memory that runs out: of our own code, as libraries keep their own malloc. For one test program, which links with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup */
#ifndef LNX_FAIL_ALLOC_H
#define LNX_FAIL_ALLOC_H

#include <stddef.h>

static long allocations, fail_at; /* the <fail_at>th fails; 0: none */

static int may_allocate(void)
{
	return ++allocations != fail_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
	return may_allocate() ? __real_realloc(p, n) : NULL;
}

char *__wrap_strdup(const char *s)
{
	return may_allocate() ? __real_strdup(s) : NULL;
}

#endif
