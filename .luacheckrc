-- SPDX-License-Identifier: AGPL-3.0-or-later
std = "lua54"
max_line_length = 100
globals = { "linnix" } -- the version that a rule file may state
-- What the sandbox gives to rules and plugins.
read_globals = {
  "rule", "test", "plugin", "agent", "host", "proc", "is_main", "cgroup", "glob",
  "KiB", "MiB", "GiB", "second", "minute", "hour", "percent",
}
