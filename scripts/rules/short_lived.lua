-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Short-lived jobs: at least 20 processes of one tree and executable ended within a second of their
-- start, in 10 s.
--
-- Why these figures: two such processes a second, over ten seconds, is a loop and no longer
-- somebody at a keyboard. It is worth a note (info) because each costs a fork, an exec and cold
-- caches: a build, a health check in shell, a cron burst all do it, and rightly. It becomes a
-- warning when at least 80 % of them failed for a whole minute: then the loop does nothing but
-- fail. Exit by a signal counts as a failure, too. Processes that a runtime puts into a
-- container from outside (probes, exec) are trees of their own.

local enough = 20
local failed_share = 0.8
local minute_s = 59 -- from the first end to the last

rule "short-lived" {
  on        = "proc.exit",
  where     = { lifetime_ns = { lt = "1s" } },
  by        = { "tree", "comm" },
  window    = {
    exits      = "count 10s",
    exits_60s  = "count 60s",
    ok         = { "count 10s", where = { exit_code = 0, signal = 0 } },
    ok_60s     = { "count 60s", where = { exit_code = 0, signal = 0 } },
  },
  series    = { ends = "exit_code 60s" }, -- how long it goes on
  when      = function(w) return w.exits >= enough end,
  keep      = "10s",
  value     = "exits",
  threshold = enough,
  severity  = function(w)
    local all, failed = w.exits_60s, w.exits_60s - w.ok_60s
    -- a minute of it, and failing still
    if w.ends.span >= minute_s and failed >= all * failed_share
       and w.exits - w.ok >= w.exits * failed_share then
      return "warning"
    end
    return "info"
  end,
  blame     = "cpu",
  say       = function(w, key, ev)
    local pid = tonumber(key:match("^%d+"))
    local root = proc(pid) or { comm = "a tree" }
    return string.format("%s (pid %d): %d processes %s ended within a second, in 10 s",
      root.comm, pid, w.exits, ev.comm)
  end,
}

-- n exits a second from second `from` to second `to`.
local function exits(t, n, from, to, fields)
  for i = 0, (to - from) * n - 1 do
    local e = { pid = 500 + i, ppid = 7, comm = "sh", lifetime_ns = 5000000 }
    for k, v in pairs(fields or {}) do e[k] = v end
    t.exit(from + i / n, e)
  end
end

test "twenty in ten seconds are a note" {
  feed  = function(t) exits(t, 3, 0, 20) end,
  fires = { { at = 6, severity = "info" } },
}

test "a minute of failures is a warning" {
  feed  = function(t) exits(t, 3, 0, 65, { exit_code = 1 }) end,
  fires = { { at = 6, severity = "warning" } },
}

test "50 seconds of failures are not, however many" {
  feed  = function(t) exits(t, 30, 0, 50, { exit_code = 1 }) end,
  fires = { { severity = "info" } },
}

test "most of a minute failed, and now they do not" {
  feed  = function(t)
    exits(t, 3, 0, 52, { exit_code = 1 })
    exits(t, 3, 52, 70)
  end,
  fires = { { severity = "info" } },
}

test "of a program that is known" {
  feed  = function(t)
    t.exec(0, { pid = 7, comm = "loop" })
    exits(t, 3, 0, 10)
  end,
  fires = { { at = 6, severity = "info" } },
}

test "a signal is a failure" {
  feed  = function(t) exits(t, 3, 0, 65, { signal = 11 }) end,
  fires = { { severity = "warning" } },
}

test "one in three fails: a note" {
  feed  = function(t)
    exits(t, 2, 0, 65)
    exits(t, 1, 0, 65, { exit_code = 1 })
  end,
  fires = { { severity = "info" } },
}

test "long jobs are none" {
  feed  = function(t) exits(t, 5, 0, 30, { lifetime_ns = 2000000000 }) end,
  fires = {},
}

test "one a second is not enough" {
  feed  = function(t) exits(t, 1, 0, 60, { exit_code = 1 }) end,
  fires = {},
}

test "a few of each of many programs are no loop" {
  feed  = function(t)
    for i = 0, 4 do exits(t, 1, 0, 30, { comm = "tool" .. i }) end
  end,
  fires = {},
}
