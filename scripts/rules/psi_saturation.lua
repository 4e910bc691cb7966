-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- PSI saturation: the machine, or a container, unit or other leaf cgroup of it, has waited for a
-- resource for too long. CPU: some task waited for more than 60 % of 5 minutes (warning). Memory:
-- all tasks at once waited for more than 10 % of a minute (warning) or 30 % (critical). I/O: all
-- tasks waited for more than 40 % of 5 minutes (info).
--
-- Why these figures: CPU pressure is ordinary in short bursts, and machines are bought to be
-- used; at 60 % for five minutes whoever waits for an answer notices. When all tasks stall on
-- memory at once, nothing is done: a tenth of a minute is thrashing already, a third of it is
-- minutes before the OOM killer. I/O pressure of batch jobs hurts nobody else: it is told and
-- notifies nobody.
--
-- A cgroup's CPU pressure includes its own throttling, which is a quota at work and not counted:
-- the stall ledger measures it; without the ledger the throttled time of cpu.stat is taken off
-- (it sums CPUs, so too much rather than too little).

-- Five looks in a row, a minute each (a little less, as samples come early or late).
local cpu_pct, memory_pct, memory_critical_pct, io_pct = 60, 10, 30, 40
local pct_ms = 600 -- a percent of a minute

rule "psi-saturation-cpu" {
  every     = "1m",
  when      = function(host) return host.psi.cpu.some > cpu_pct end,
  lasting   = "225s",
  keep      = "1m",
  value     = "psi.cpu.some",
  threshold = cpu_pct,
  severity  = "warning",
  blame     = "cpu",
  say       = "tasks waited for a CPU for {psi.cpu.some} % of the last minute; five like it",
}

rule "psi-saturation-memory" {
  every     = "1m",
  when      = function(host) return host.psi.memory.full > memory_pct end,
  keep      = "1m",
  value     = "psi.memory.full",
  threshold = memory_pct,
  severity  = function(host)
    return host.psi.memory.full > memory_critical_pct and "critical" or "warning"
  end,
  blame     = "memory",
  say       = "all tasks waited for memory for {psi.memory.full} % of a minute",
}

rule "psi-saturation-io" {
  every     = "1m",
  when      = function(host) return host.psi.io.full > io_pct end,
  lasting   = "225s",
  keep      = "1m",
  value     = "psi.io.full",
  threshold = io_pct,
  severity  = "info",
  blame     = "io",
  say       = "all tasks waited for I/O for {psi.io.full} % of the last minute; five like it",
}

-- Percent of the last minute, without throttling.
local function waited_pct(w, ev)
  local throttled_ms = w.throttled_ms
  if ev.method == "psi-only" then throttled_ms = w.quota_ms end
  return (w.stalled_ms - throttled_ms) / pct_ms
end

local function who(ev)
  if ev.workload_namespace ~= "" then return ev.workload_namespace .. "/" .. ev.workload end
  return ev.workload ~= "" and ev.workload or ev.path
end

rule "psi-saturation-cgroup-cpu" {
  on        = "stall.window",
  where     = { resource = "cpu", cgroup_id = { gt = 0 } },
  by        = "cgroup_id",
  window    = {
    stalled_ms   = "sum stalled_ms 1m",
    throttled_ms = "sum throttled_ms 1m",
    quota_ms     = { "sum throttled_ms 1m", on = "workload.usage" },
  },
  when      = function(w, _, ev) return waited_pct(w, ev) > cpu_pct end,
  lasting   = "4m",
  keep      = "1m",
  threshold = cpu_pct,
  severity  = "warning",
  blame     = "cpu",
  say       = function(w, _, ev)
    return string.format("%s waited for a CPU for %.0f %% of the last minute; five like it",
      who(ev), waited_pct(w, ev))
  end,
}

rule "psi-saturation-cgroup-memory" {
  on        = "stall.window",
  where     = { resource = "memory", cgroup_id = { gt = 0 } },
  by        = "cgroup_id",
  window    = { full_ms = "sum full_ms 1m" },
  when      = function(w) return w.full_ms / pct_ms > memory_pct end,
  keep      = "1m",
  threshold = memory_pct * pct_ms,
  severity  = function(w)
    return w.full_ms / pct_ms > memory_critical_pct and "critical" or "warning"
  end,
  blame     = "memory",
  say       = function(w, _, ev)
    return string.format("all tasks of %s waited for memory for %.0f %% of a minute", who(ev),
      w.full_ms / pct_ms)
  end,
}

rule "psi-saturation-cgroup-io" {
  on        = "stall.window",
  where     = { resource = "io", cgroup_id = { gt = 0 } },
  by        = "cgroup_id",
  window    = { full_ms = "sum full_ms 1m" },
  when      = function(w) return w.full_ms / pct_ms > io_pct end,
  lasting   = "4m",
  keep      = "1m",
  threshold = io_pct * pct_ms,
  severity  = "info",
  blame     = "io",
  say       = function(w, _, ev)
    return string.format("all tasks of %s waited for I/O for %.0f %% of a minute; five like it",
      who(ev), w.full_ms / pct_ms)
  end,
}

local function samples(t, seconds, psi)
  for s = 0, seconds do t.sample(s, { psi = psi(s) }) end
end

test "five minutes of CPU pressure" {
  feed  = function(t) samples(t, 330, function() return { cpu = { some = 70 } } end) end,
  fires = { { rule = "psi-saturation-cpu", severity = "warning" } },
}

test "four minutes are not enough" {
  feed  = function(t)
    samples(t, 400, function(s) return { cpu = { some = s < 230 and 70 or 5 } } end)
  end,
  fires = {},
}

test "memory: a minute of a tenth, and of a third" {
  feed  = function(t)
    samples(t, 190, function(s) return { memory = { full = s < 100 and 15 or 40 } } end)
  end,
  fires = { { rule = "psi-saturation-memory", severity = "critical" } },
}

test "memory: ten seconds of thrashing are not" {
  feed  = function(t)
    samples(t, 190, function(s) return { memory = { full = s < 8 and 60 or 0 } } end)
  end,
  fires = {},
}

test "I/O is a note" {
  feed  = function(t) samples(t, 330, function() return { io = { full = 80 } } end) end,
  fires = { { rule = "psi-saturation-io", severity = "info" } },
}

-- Stall of cgroup 7 each second.
local function stalls(t, from, to, resource, fields)
  for s = from, to do
    local e = { resource = resource, cgroup_id = 7, method = "exact", workload = "shop" }
    for k, v in pairs(fields) do e[k] = v end
    t.event(s, "stall.window", e)
  end
end

test "a cgroup that waits for a CPU for five minutes" {
  feed  = function(t) stalls(t, 0, 330, "cpu", { stalled_ms = 700 }) end,
  fires = { { rule = "psi-saturation-cgroup-cpu", severity = "warning" } },
}

test "a cgroup that waits for four minutes" {
  feed  = function(t) stalls(t, 0, 225, "cpu", { stalled_ms = 700 }) end,
  fires = {},
}

test "a cgroup that waits for its own quota" {
  feed  = function(t) stalls(t, 0, 600, "cpu", { stalled_ms = 900, throttled_ms = 500 }) end,
  fires = {},
}

test "a cgroup that waits for its own quota, where there is no ledger" {
  feed  = function(t)
    for s = 0, 600 do
      stalls(t, s, s, "cpu", { stalled_ms = 900, method = "psi-only" })
      if s % 30 == 0 then
        t.event(s, "workload.usage", { cgroup_id = 7, throttled_ms = 15000 })
      end
    end
  end,
  fires = {},
}

test "without a ledger, and no quota" {
  feed  = function(t) stalls(t, 0, 330, "cpu", { stalled_ms = 900, method = "psi-only" }) end,
  fires = { { rule = "psi-saturation-cgroup-cpu" } },
}

test "the node is judged by its own pressure" {
  feed  = function(t) stalls(t, 0, 600, "cpu", { stalled_ms = 900, cgroup_id = 0 }) end,
  fires = {},
}

test "a cgroup that thrashes: a tenth of a minute, and a third" {
  feed  = function(t)
    stalls(t, 0, 100, "memory", { stalled_ms = 300, full_ms = 150 })
    stalls(t, 101, 200, "memory", { stalled_ms = 500, full_ms = 400 })
  end,
  fires = { { rule = "psi-saturation-cgroup-memory", severity = "critical" } },
}

test "some tasks that wait for memory while others run" {
  feed  = function(t) stalls(t, 0, 200, "memory", { stalled_ms = 900, full_ms = 50 }) end,
  fires = {},
}

test "a cgroup that waits for I/O is a note" {
  feed  = function(t) stalls(t, 0, 330, "io", { stalled_ms = 800, full_ms = 700 }) end,
  fires = { { rule = "psi-saturation-cgroup-io", severity = "info" } },
}
