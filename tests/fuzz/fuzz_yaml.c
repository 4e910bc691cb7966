/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a configuration: parse, bind to a table with every type, dump. What was accepted must read back from its
 * own dump as the same; what was refused must say why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_conf {
	const char *str, *path, *nested;
	const char *const *list;
	uint64_t u64, duration_ns, size_bytes;
	double f64;
	uint32_t flag, u32, word, pad;
};

#define AT(member) (uint32_t) offsetof(struct fuzz_conf, member)

static const char *const words[] = { "auto", "on", "off", NULL };
static const char *const known[] = { "slack", NULL };

static const struct lnx_option options[] = {
	{ "bool", LNX_OPT_BOOL, AT(flag), "false", .help = "" },
	{ "u32", LNX_OPT_U32, AT(u32), "64", 1, 65535, .help = "" },
	{ "u64", LNX_OPT_U64, AT(u64), "0", .help = "" },
	{ "f64", LNX_OPT_F64, AT(f64), "0.5", .help = "" },
	{ "str", LNX_OPT_STR, AT(str), "text", .help = "" },
	{ "list", LNX_OPT_LIST, AT(list), "a,b", .help = "" },
	{ "duration", LNX_OPT_DURATION, AT(duration_ns), "10s", .help = "" },
	{ "size", LNX_OPT_SIZE, AT(size_bytes), "8MiB", 0, 1e12, .help = "" },
	{ "enum", LNX_OPT_ENUM, AT(word), "auto", .names = words },
	{ "path", LNX_OPT_PATH, AT(path), "", .help = "" },
	{ "map.of.str", LNX_OPT_STR, AT(nested), "", .help = "" },
	{ 0 },
};

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static struct lnx_optset *bind(const struct lnx_node *root, struct fuzz_conf *conf, int may_fail)
{
	struct lnx_section sections[] = { { "all", options, conf, sizeof(*conf), 0 },
					  { "none", NULL, NULL, 0, 0 } };
	struct lnx_bind_args args = {
		.file = "f", .root = root, .sections = sections, .n_sections = 2, .known = known
	};
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	struct lnx_optset *set = NULL;
	int r = lnx_option_bind(&args, &errors, &warnings, &set);

	must(r == 0 ? set && errors.size == 0 : may_fail && !set && errors.size > 0);
	must(warnings.size == 0);
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	return set;
}

static void read_back(const struct lnx_optset *set)
{
	struct lnx_buf dump = { 0 }, diff = { 0 };
	struct lnx_node *root = NULL;
	struct lnx_optset *again;
	struct fuzz_conf conf;

	lnx_optset_dump(set, &dump);
	/* escapes make text longer: a dump may pass the limit of a file */
	if (dump.size <= LNX_CONF_MAX_BYTES) {
		must(lnx_conf_parse(dump.data, dump.size, &root, NULL) == 0);
		again = bind(root, &conf, 0);
		lnx_optset_diff(set, again, &diff);
		must(diff.size == 0);
		lnx_optset_free(again);
		lnx_conf_free(root);
	}
	lnx_buf_done(&dump);
	lnx_buf_done(&diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lnx_node *root = NULL;
	struct lnx_err err = { .line = 0 };
	struct lnx_optset *set;
	struct fuzz_conf conf;

	if (lnx_conf_parse((const char *)data, size, &root, &err) < 0) {
		must(!root && err.msg[0] && err.line > 0 && err.column > 0);
		return 0;
	}
	set = bind(root, &conf, 1);
	if (set) {
		must(conf.str && conf.path && conf.nested && conf.list);
		read_back(set);
	}
	lnx_optset_free(set);
	lnx_conf_free(root);
	return 0;
}
