-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Fork storm: more than 10 new processes a second, in two successive windows of one second, in one
-- process tree. The root of a tree is the topmost ancestor in the same cgroup; threads make no
-- proc.fork.
--
-- Why these figures: nothing that waits for people starts 10 processes a second for long, but an
-- ordinary `make -j2` makes 300. So a rate alone is only worth a note (info). It becomes a warning
-- when the children do no work of their own (at least 80 % of those that ended never ran a
-- program), when 100 more are alive than 10 s ago, when more than 80 % of the cgroup's limit of
-- processes (pids.max) is used, or when other workloads lost 100 ms in a second to the tree.

local per_second = 10
local never_exec_pct = 80
local enough_ends = 20 -- children that must have ended before their share means something
local live_growth = 100
local caused_ms = 100 -- of stall to others, a second
local full = 0.8 -- of pids.max

rule "fork-storm" {
  on        = "proc.fork",
  where     = { is_kthread = false },
  by        = "tree",
  window    = {
    forks      = "count 1s",
    forks_10s  = "count 10s",
    ends_10s   = { "count 10s", on = "proc.exit" },
    barren_10s = { "count 10s", on = "proc.exit", where = { did_exec = false } },
    harm       = { "count 3s", on = "stall.tree",
      where = { caused_ms_per_s = { ge = caused_ms } } },
    full       = { "count 3s", on = "cgroup.pids", where = { pids_ratio = { gt = full } } },
  },
  when      = function(w) return w.forks > per_second end,
  lasting   = "2 windows",
  keep      = "10s",
  value     = "forks",
  threshold = per_second,
  severity  = function(w)
    local ends = w.ends_10s
    if ends >= enough_ends and w.barren_10s * 100 >= ends * never_exec_pct then
      return "warning"
    end
    if w.forks_10s - ends >= live_growth or w.harm > 0 or w.full > 0 then
      return "warning"
    end
    return "info"
  end,
  blame     = "cpu",
  say       = "{comm} (pid {pid}) and its children started {forks_10s} processes in 10 s",
}

-- n forks a second below process 100, from second `from` to second `to`; each child ends `life`
-- seconds later.
local function storm(t, n, from, to, life, did_exec)
  local pid = 1000
  for i = 0, (to - from) * n - 1 do
    local s = from + i / n
    pid = pid + 1
    t.fork(s, { ppid = 100, child_pid = pid })
    if life then
      t.exit(s + life, { pid = pid, ppid = 100, did_exec = did_exec })
    end
  end
end

test "a storm of children that do nothing is a warning" {
  feed  = function(t) storm(t, 50, 0, 5, 0.01, false) end,
  fires = { { rule = "fork-storm", at = 1, severity = "warning" } },
}

test "the same in grandchildren, each forked by the one before" {
  feed  = function(t)
    for i = 0, 149 do
      t.fork(i / 50, { ppid = 1000 + i, child_pid = 1001 + i })
      t.exit(i / 50 + 0.1, { pid = 1000 + i, did_exec = false })
    end
  end,
  fires = { { at = 1, severity = "warning" } },
}

test "make -j2: many forks that run programs stay a note" {
  feed  = function(t) storm(t, 300, 0, 10, 0.006, true) end,
  fires = { { at = 1, severity = "info" } },
}

test "live descendants that grow by 100 are a warning" {
  feed  = function(t) storm(t, 60, 0, 4) end,
  fires = { { at = 1, severity = "warning" } },
}

test "make -j2 that takes 100 ms a second from others is a warning" {
  feed  = function(t)
    storm(t, 300, 0, 10, 0.006, true)
    t.event(5, "stall.tree", { pid = 100, caused_ms_per_s = 100 })
  end,
  fires = { { at = 1, severity = "warning" } },
}

test "what it takes from others in little pieces, and what another tree takes, does not count" {
  feed  = function(t)
    storm(t, 300, 0, 10, 0.006, true)
    for s = 0, 9 do
      t.event(s, "stall.tree", { pid = 100, caused_ms_per_s = 99 })
      t.event(s, "stall.tree", { pid = 200, caused_ms_per_s = 900 })
    end
  end,
  fires = { { at = 1, severity = "info" } },
}

test "make -j2 in a cgroup whose limit of processes is nearly reached is a warning" {
  feed  = function(t)
    storm(t, 300, 0, 10, 0.006, true)
    t.event(5, "cgroup.pids", { pid = 100, pids = 81, pids_max = 100, pids_ratio = 0.81 })
  end,
  fires = { { at = 1, severity = "warning" } },
}

test "a limit that is far away, or another tree's, does not count" {
  feed  = function(t)
    storm(t, 300, 0, 10, 0.006, true)
    t.event(5, "cgroup.pids", { pid = 100, pids = 80, pids_max = 100, pids_ratio = 0.8 })
    t.event(5, "cgroup.pids", { pid = 200, pids = 99, pids_max = 100, pids_ratio = 0.99 })
  end,
  fires = { { at = 1, severity = "info" } },
}

test "ten a second is not more than ten" {
  feed  = function(t) storm(t, 10, 0, 20, 0.1, true) end,
  fires = {},
}

test "one burst of a second is not a storm" {
  feed  = function(t)
    storm(t, 50, 0, 1, 0.1, true)
    t.idle(30)
  end,
  fires = {},
}

test "a quiet second between two bursts resets the count" {
  feed  = function(t)
    for second = 0, 20, 2 do
      for i = 0, 19 do t.fork(second + i / 25, { ppid = 100 }) end
    end
  end,
  fires = {},
}

test "two trees are not added up" {
  feed  = function(t)
    for i = 0, 99 do t.fork(i / 14, { ppid = i % 2 == 0 and 100 or 200 }) end
  end,
  fires = {},
}

test "threads and kernel threads are not processes" {
  feed  = function(t)
    for i = 0, 500 do t.fork(i / 100, { ppid = 2, is_kthread = true, comm = "kworker" }) end
    -- threads make no proc.fork: only the machine's count sees them
    for s = 0, 5 do t.sample(s, { forks_per_s = 4000 }) end
  end,
  fires = {},
}

test "it is over ten seconds after its last window" {
  feed  = function(t)
    storm(t, 50, 0, 5, 0.01, true)
    t.idle(30)
  end,
  fires = { { at = 1, resolved = 16 } },
}
