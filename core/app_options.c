/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Option tables of the core's own sections. */
#include <stddef.h>

#include "app.h"

#define AT(m) offsetof(struct lnx_core_conf, m)
#define END                                              \
	{                                                \
		NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL \
	}

static const char *const lnx_log_levels[] = { "error", "warn", "info", "debug", NULL };
static const char *const lnx_log_formats[] = { "text", "json", NULL };
static const char *const lnx_args_modes[] = { "off", "script", "full", NULL };

const struct lnx_option lnx_core_options_node[] = {
	{ "name", LNX_OPT_STR, AT(node_name), "", 0, 0, NULL, 0, 0,
	  "name of this node on everything that leaves the agent; empty: $NODE_NAME, else the host name" },
	END
};

const struct lnx_option lnx_core_options_cluster[] = {
	{ "name", LNX_OPT_STR, AT(cluster_name), "", 0, 0, NULL, 0, 0,
	  "name of the cluster on everything that leaves the agent" },
	END
};

const struct lnx_option lnx_core_options_log[] = {
	{ "level", LNX_OPT_ENUM, AT(log_level), "info", 0, 0, lnx_log_levels, LNX_OPTF_RELOAD, 0,
	  "least severe lines to write" },
	{ "format", LNX_OPT_ENUM, AT(log_format), "text", 0, 0, lnx_log_formats, 0, 0,
	  "lines for people or JSON" },
	END
};

const struct lnx_option lnx_core_options_plugins[] = {
	{ "dir", LNX_OPT_LIST, AT(plugins_dir), "", 0, 0, NULL, 0, 0,
	  "folders whose *.so are loaded; empty: the one that belongs to this binary" },
	{ "state_file", LNX_OPT_PATH, AT(plugins_state_file), "/run/linnix/plugins.state", 0, 0,
	  NULL, 0, 0, "remembers across a crash which plugin ran; empty: nothing is quarantined" },
	END
};

const struct lnx_option lnx_core_options_probes[] = {
	{ "args", LNX_OPT_ENUM, AT(probes_args), "off", 0, 0, lnx_args_modes, 0, 0,
	  "what of a command line is kept: nothing, the script's path, or all arguments" },
	{ "disabled", LNX_OPT_LIST, AT(probes_disabled), "", 0, 0, NULL, 0, 0,
	  "names of probes that are not loaded" },
	{ "ring_size", LNX_OPT_SIZE, AT(probes_ring_size), "0", 0, 268435456, NULL, 0, 0,
	  "ring buffer between kernel and agent, rounded up to a power of two; 0: 512 KiB a CPU, from 1 to 8 MiB" },
	END
};

const struct lnx_option lnx_core_options_rules[] = {
	{ "dir", LNX_OPT_LIST, AT(rules_dir), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "folders whose *.lua are loaded; empty: the one that belongs to this binary" },
	{ "memory", LNX_OPT_SIZE, AT(rules_memory), "32MiB", 1048576, 1073741824, NULL,
	  LNX_OPTF_RELOAD, 0, "most memory that all rules together may use" },
	{ "budget", LNX_OPT_U64, AT(rules_budget), "1000000", 1000, 1e9, NULL, LNX_OPTF_RELOAD, 0,
	  "Lua instructions that one call of a rule may take" },
	END
};

const struct lnx_option lnx_core_options_bus[] = {
	{ "ring_size", LNX_OPT_SIZE, AT(bus_ring_size), "8MiB", 65536, 1073741824, NULL, 0, 0,
	  "ring of past events for /events, resumed streams and evidence" },
	{ "ring_keep", LNX_OPT_DURATION, AT(bus_ring_keep), "15m", 0, 8.64e13, NULL,
	  LNX_OPTF_RELOAD, 0,
	  "what is older leaves that ring, and its memory is given back; 0: until newer events push it out" },
	{ "pool_size", LNX_OPT_SIZE, AT(bus_pool_size), "16MiB", 1048576, 1073741824, NULL, 0, 0,
	  "most memory of events that wait in queues" },
	{ "max_pending", LNX_OPT_U32, AT(bus_max_pending), "8192", 16, 1048576, NULL, 0, 0,
	  "events that handlers may have published and that have not run yet" },
	END
};

const struct lnx_option lnx_core_options_budget[] = {
	{ "cpu_pct", LNX_OPT_F64, AT(budget_cpu_pct), "1", 0.01, 100, NULL, LNX_OPTF_RELOAD, 0,
	  "share of the machine that the agent may use, BPF included; over it, it says so and sheds: first the detail of processes, then the ledger" },
	{ "cpu_max_millicores", LNX_OPT_U32, AT(budget_cpu_max_millicores), "250", 1, 1024000, NULL,
	  LNX_OPTF_RELOAD, 0, "the same as an absolute figure; the smaller of the two counts" },
	{ "burst", LNX_OPT_DURATION, AT(budget_burst), "30s", 1e9, 3.6e12, NULL, LNX_OPTF_RELOAD, 0,
	  "CPU time of so long that may be saved and used at once before the budget is used up" },
	{ "memory_mb", LNX_OPT_U32, AT(budget_memory_mb), "64", 8, 65536, NULL, LNX_OPTF_RELOAD, 0,
	  "resident memory before the agent says that it is over" },
	{ "series", LNX_OPT_U32, AT(budget_series), "300", 10, 100000, NULL, 0, 0,
	  "series of workloads and pairs in /metrics" },
	END
};
