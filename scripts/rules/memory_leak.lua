-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Memory leak: a container or unit older than 15 minutes whose anonymous memory grew along a line
-- for 15 minutes, by at least 10 % and 64 MiB, and will have used up what it is left within
-- 6 hours. Within 30 minutes it is critical. What it is left is the room below the nearest limit
-- of memory, its own or that of a cgroup around it, or what the machine has left (MemAvailable),
-- whichever is less.
--
-- Why these figures: page cache is not memory that anyone misses, so only anonymous and shared
-- pages count. A quarter of an hour outlasts warm-up and garbage collection, and a program that
-- fills a cache in steps or saws up and down does not follow a line: r2 of 0.8 asks that the
-- line explains four fifths of the movement. 64 MiB and 10 % keep small change out. Six hours
-- is a night's sleep less the time to act; half an hour is the time to find somebody.
--
-- A process killed at a limit (oom_kill) is the witness, told by a rule of its own: critical when
-- the line foretold it, with what the line had said. When there was no such line yet, but the
-- memory had grown by as much, the kill is a warning. A kill without growth is not a leak.

local span_s = 15 * minute
local growth_bytes = 64 * MiB
local growth_pct = 10
local fit = 0.8
local warn_s = 6 * hour
local critical_s = 30 * minute

-- Bytes that are left, below a limit or of the machine.
local function room(w)
  local limit, machine = w.room.last, host.mem_available_bytes
  if machine ~= machine or limit < machine then return limit end
  return machine
end

-- Seconds until they are used up at this pace.
local function left(w)
  return w.mem:eta(w.mem.last + room(w))
end

local function has_grown(w)
  return w.mem.growth >= growth_bytes and w.mem.growth_pct >= growth_pct
end

local function follows_a_line(w)
  return w.mem.span >= span_s * 0.9 and w.mem.slope > 0 and w.mem.r2 >= fit
end

local function name_of(id)
  local who = cgroup(id)
  if not who then return "cgroup " .. id end
  local name = who.container_name ~= "" and who.container_name or who.workload
  return who.namespace ~= "" and who.namespace .. "/" .. name or name
end

local function grew(w, ev)
  return string.format("%s grew by %.0f MiB in %.0f minutes", name_of(ev.cgroup_id),
    w.mem.growth / MiB, w.mem.span / minute)
end

rule "memory-leak" {
  on        = "workload.usage",
  by        = "cgroup_id",
  series    = { mem = "anon_bytes 15m", room = "memory_room_bytes 15m" },
  when      = function(w, _, ev)
    return has_grown(w) and follows_a_line(w) and ev.age_ns >= span_s * 1e9 and left(w) < warn_s
  end,
  keep      = "2m",
  value     = "mem.growth",
  threshold = growth_bytes,
  severity  = function(w) return left(w) < critical_s and "critical" or "warning" end,
  blame     = "memory",
  say       = function(w, _, ev)
    local limit, what = cgroup(ev.limit_cgroup_id), "what the machine has left"
    if w.room.last == room(w) then
      what = "the room below " .. (limit and "the limit of " .. limit.path or "its limit")
    end
    return string.format("%s: %s lasts for %.0f minutes", grew(w, ev), what, left(w) / minute)
  end,
}

rule "memory-leak-oom" {
  on        = "workload.usage",
  by        = "cgroup_id",
  window    = { oom_kills = "sum oom_kills 1m" },
  -- what is left after a kill does not belong to the line before it
  series    = {
    mem  = { "anon_bytes 15m", where = { oom_kills = 0 } },
    room = { "memory_room_bytes 15m", where = { oom_kills = 0 } },
  },
  when      = function(w) return w.oom_kills > 0 and has_grown(w) end,
  keep      = "1m",
  value     = "oom_kills",
  severity  = function(w) return follows_a_line(w) and "critical" or "warning" end,
  blame     = "memory",
  say       = function(w, _, ev)
    local line = "; there was no line yet"
    if follows_a_line(w) then
      line = string.format("; by its line it had %.0f minutes left", left(w) / minute)
    end
    return grew(w, ev) .. ", and the kernel killed a process of it (oom_kill)" .. line
  end,
}

-- Usage of a cgroup each 10 s: `at(second)` bytes; `fields` change what is usual.
local function life(t, from, to, free, at, fields)
  for s = from, to, 10 do
    t.sample(s, { mem_available_bytes = free })
    local e = { cgroup_id = 9, path = "/app.service", age_ns = s * 1e9, anon_bytes = at(s) }
    for k, v in pairs(fields or {}) do e[k] = type(v) == "function" and v(s) or v end
    t.event(s, "workload.usage", e)
  end
end

local function climb(s) return (500 + s) * MiB end

test "1 MiB a second with 8 GiB left: a warning" {
  feed  = function(t) life(t, 0, 1000, 8 * GiB, climb) end,
  fires = { { at = 900, severity = "warning" } },
}

test "1 MiB a second with 1 GiB left: critical" {
  feed  = function(t) life(t, 0, 1000, 1 * GiB, climb) end,
  fires = { { severity = "critical" } },
}

test "a limit of its own is nearer than the end of the machine" {
  feed  = function(t)
    t.event(0, "workload.update", { cgroup_id = 9, path = "/app.service" })
    life(t, 0, 1000, 64 * GiB, climb, {
      limit_cgroup_id = 9, memory_room_bytes = function(s) return (2500 - s) * MiB end,
    })
  end,
  fires = { { at = 900, severity = "critical" } },
}

test "a limit that is far away, on a machine with little left" {
  feed  = function(t)
    life(t, 0, 1000, 1 * GiB, climb, { limit_cgroup_id = 3, memory_room_bytes = 64 * GiB })
  end,
  fires = { { severity = "critical" } },
}

test "a limit that lasts for a week" {
  feed  = function(t)
    life(t, 0, 1800, 64 * GiB, function(s) return 500 * MiB + s * 0.1 * MiB end,
      { memory_room_bytes = 60 * GiB })
  end,
  fires = {},
}

test "the kill that was foretold is critical" {
  feed  = function(t)
    life(t, 0, 1000, 64 * GiB, climb, { memory_room_bytes = 4 * GiB })
    t.event(1003, "workload.usage",
      { cgroup_id = 9, age_ns = 1003e9, anon_bytes = 20 * MiB, oom_kills = 1 })
    life(t, 1010, 1300, 64 * GiB, function() return 30 * MiB end)
  end,
  fires = {
    { rule = "memory-leak", at = 900, severity = "warning" },
    { rule = "memory-leak-oom", at = 1003, severity = "critical" },
  },
}

test "a kill two minutes after the start is a warning" {
  feed  = function(t)
    life(t, 0, 120, 64 * GiB, climb, { memory_room_bytes = 200 * MiB })
    t.event(125, "workload.usage",
      { cgroup_id = 9, age_ns = 125e9, anon_bytes = 20 * MiB, oom_kills = 1 })
  end,
  fires = { { rule = "memory-leak-oom", at = 125, severity = "warning" } },
}

test "a kill of what did not grow is no leak" {
  feed  = function(t)
    life(t, 0, 1000, 64 * GiB, function() return 500 * MiB end)
    t.event(1005, "workload.usage",
      { cgroup_id = 9, age_ns = 1e12, anon_bytes = 20 * MiB, oom_kills = 3 })
  end,
  fires = {},
}

test "a cgroup that is younger than a quarter of an hour" {
  feed  = function(t) life(t, 0, 1000, 1 * GiB, climb, { age_ns = 600e9 }) end,
  fires = {},
}

test "half an hour of warm-up that ends" {
  feed  = function(t)
    life(t, 0, 2400, 8 * GiB, function(s) return math.min(500 + s * 3, 1400) * MiB end)
  end,
  fires = {},
}

test "a saw of garbage collection" {
  feed  = function(t)
    life(t, 0, 2400, 4 * GiB, function(s) return (1024 + s % 300 * 2) * MiB end)
  end,
  fires = {},
}

test "small change" {
  feed  = function(t)
    life(t, 0, 1800, 1 * GiB, function(s) return 2 * GiB + s * 0.1 * MiB end)
  end,
  fires = {},
}
