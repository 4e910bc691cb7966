-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- PSI saturation: the machine has waited for a resource for too long. CPU: some task waited for
-- more than 60 % of 5 minutes (warning). Memory: all tasks at once waited for more than 10 % of
-- a minute (warning) or 30 % (critical). I/O: all tasks waited for more than 40 % of 5 minutes
-- (info).
--
-- Why these figures: CPU pressure is ordinary in short bursts, and machines are bought to be
-- used; at 60 % for five minutes whoever waits for an answer notices. When all tasks stall on
-- memory at once, nothing is done: a tenth of a minute is thrashing already, a third of it is
-- minutes before the OOM killer. I/O pressure of batch jobs hurts nobody else: it is told and
-- notifies nobody. A cgroup is judged by the stall ledger, which leaves out its own throttling.

-- Five looks in a row, a minute each (a little less, as samples come early or late).
local cpu_pct, memory_pct, memory_critical_pct, io_pct = 60, 10, 30, 40

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
