-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Memory leak: a process older than 15 minutes whose anonymous memory grew along a line for 15
-- minutes, by at least 10 % and 64 MiB, and will have used up what the machine has left within
-- 6 hours. Within 30 minutes it is critical.
--
-- Why these figures: page cache is not memory that anyone misses, so only anonymous and shared
-- pages count. A quarter of an hour outlasts warm-up and garbage collection, and a program that
-- fills a cache in steps or saws up and down does not follow a line: r2 of 0.8 asks that the
-- line explains four fifths of the movement. 64 MiB and 10 % keep small change out. Six hours
-- is a night's sleep less the time to act; half an hour is the time to find somebody. What is
-- left is the machine's MemAvailable: a limit of its container may be nearer, and is not known
-- here.

local span_s = 15 * minute
local growth_bytes = 64 * MiB
local growth_pct = 10
local fit = 0.8
local warn_s = 6 * hour
local critical_s = 30 * minute

-- Seconds until the memory that is left is used up at this pace.
local function left(w)
  return w.mem:eta(w.mem.last + host.mem_available_bytes)
end

rule "memory-leak" {
  on        = "proc.usage",
  where     = { rss_anon_bytes = { ge = "64MiB" } },
  by        = "pid",
  series    = { mem = "rss_anon_bytes 15m" },
  when      = function(w, _, ev)
    return w.mem.span >= span_s * 0.9
      and ev.ts_ns - ev.start_ns >= span_s * 1e9
      and w.mem.slope > 0
      and w.mem.r2 >= fit
      and w.mem.growth >= growth_bytes
      and w.mem.growth_pct >= growth_pct
      and left(w) < warn_s
  end,
  keep      = "1m",
  value     = "mem.growth",
  threshold = growth_bytes,
  severity  = function(w) return left(w) < critical_s and "critical" or "warning" end,
  blame     = "memory",
  say       = function(w, _, ev)
    return string.format("%s (pid %d) grew by %.0f MiB: what is left lasts for %.0f minutes",
      ev.comm, ev.pid, w.mem.growth / MiB, left(w) / minute)
  end,
}

-- A process that holds `at(second)` bytes, looked at each 10 s, and `free` bytes left.
local function life(t, seconds, free, at)
  for s = 0, seconds, 10 do
    t.sample(s, { mem_available_bytes = free })
    t.event(s, "proc.usage", { pid = 9, comm = "app", start_ns = 1, rss_anon_bytes = at(s) })
  end
end

test "1 MiB a second with 8 GiB left: a warning" {
  feed  = function(t) life(t, 1000, 8 * GiB, function(s) return (500 + s) * MiB end) end,
  fires = { { severity = "warning" } },
}

test "1 MiB a second with 1 GiB left: critical" {
  feed  = function(t) life(t, 1000, 1 * GiB, function(s) return (500 + s) * MiB end) end,
  fires = { { severity = "critical" } },
}

test "half an hour of warm-up that ends" {
  feed  = function(t)
    life(t, 2400, 8 * GiB, function(s) return math.min(500 + s * 3, 1400) * MiB end)
  end,
  fires = {},
}

test "a saw of garbage collection" {
  feed  = function(t)
    life(t, 2400, 4 * GiB, function(s) return (1024 + s % 300 * 2) * MiB end)
  end,
  fires = {},
}

test "small change" {
  feed  = function(t) life(t, 1800, 1 * GiB, function(s) return 2 * GiB + s * 0.1 * MiB end) end,
  fires = {},
}

test "a leak that has a week" {
  feed  = function(t) life(t, 1800, 64 * GiB, function(s) return 500 * MiB + s * 0.1 * MiB end) end,
  fires = {},
}
