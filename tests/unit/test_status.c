/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's own metrics, of an agent without a machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linnix/svc_core.h>
#include <linnix/svc_stall.h>
#include <string.h>

#include "app.h"
#include "offline.h"
#include "service.h"

static uint32_t method(void *self, uint32_t resource)
{
	const uint32_t *methods = self;

	return methods[resource];
}

/* Value of a series in the text for Prometheus; -1: it is not there. */
static int value(struct lnx_app *app, const char *series)
{
	struct lnx_buf out = { 0 };
	const struct lnx_svc_core *core;
	const char *at;
	void *self;
	int v = -1;

	assert_int_equal(lnx_services_find(app->services, "core/1", (const void **)&core, &self),
			 0);
	assert_int_equal(core->metrics_text(self, 0, &out), 0);
	lnx_buf_char(&out, 0);
	at = strstr(out.data, series);
	if (at)
		v = at[strlen(series) + 1] - '0';
	lnx_buf_done(&out);
	return v;
}

static void a_method_that_is_no_longer_in_force_is_0(void **state)
{
	static const struct lnx_svc_stall stall = { .size = sizeof(stall), .method = method };
	uint32_t methods[LNX_RES_N] = { LNX_METHOD_EXACT, LNX_METHOD_HEURISTIC, 99 };
	struct lnx_app *app = NULL;

	(void)state;
	assert_int_equal(lnx_offline_new(NULL, &app), 0);
	assert_int_equal(lnx_services_provide(app->services, "stall/1", &stall, methods, methods),
			 0);
	assert_int_equal(lnx_app_status_start(app), 0);
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"exact\"}"), 1);
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"psi-only\"}"), -1);
	assert_int_equal(value(app, "linnix_tier{resource=\"io\",method=\"none\"}"), 1);
	methods[LNX_RES_CPU] = LNX_METHOD_PSI_ONLY; /* over its budget */
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"exact\"}"), 0);
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"psi-only\"}"), 1);
	methods[LNX_RES_CPU] = LNX_METHOD_EXACT;
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"exact\"}"), 1);
	assert_int_equal(value(app, "linnix_tier{resource=\"cpu\",method=\"psi-only\"}"), 0);
	assert_int_equal(value(app, "linnix_tier{resource=\"memory\",method=\"heuristic\"}"), 1);
	lnx_offline_free(app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_method_that_is_no_longer_in_force_is_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
