-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Circuit breaker: the machine is saturated. CPU pressure above 40 % (some task waited for a CPU
-- in more than 400 ms of each second) while more than 90 % of the CPU is used, for 5 s.
--
-- Why both: a busy machine without pressure does its work, and pressure without a busy machine is
-- a quota at work. Why `info` as a rule: that the load is the machine's own is the usual case, and
-- nobody is to be woken for it. It is critical when, in each of the last three seconds, one process
-- tree held at least 40 % of the node's stall, other workloads lost 100 ms a second to it, and the
-- figures agree with the kernel's own pressure to 90 %. Then it names that tree.
--
-- stall.node comes once a window of stall.interval (1 s; 200 ms to 10 s), also where stalls have no
-- culprit: then it is never more than `info`. Each tells of the time before it, so times are added
-- up instead of events counted: what came within 4.75 s covers five seconds when no window is
-- missing, what came within 2.75 s three.

local pressure_pct = 40
local cpu_pct = 90
local tree_share = 0.4
local caused_ms = 100
local confidence = 0.9
-- A little less than five and three seconds, as windows end early or late.
local lasted, guilty = 4.5 * second, 2.6 * second

rule "circuit-breaker" {
  on        = "stall.node",
  window    = {
    covered_ns   = "sum window_ns 4750ms",
    saturated_ns = { "sum window_ns 4750ms",
      where = { psi_cpu_some = { gt = pressure_pct }, cpu_pct = { gt = cpu_pct } } },
    pressure     = "max psi_cpu_some 1500ms",
    guilty_ns    = { "sum window_ns 2750ms", where = {
      tree_share_ratio     = { ge = tree_share },
      tree_caused_ms_per_s = { ge = caused_ms },
      confidence           = { ge = confidence },
    } },
  },
  when      = function(w)
    return w.covered_ns / 1e9 >= lasted and w.saturated_ns == w.covered_ns
  end,
  keep      = "10s",
  value     = "pressure",
  threshold = pressure_pct,
  severity  = function(w) return w.guilty_ns / 1e9 >= guilty and "critical" or "info" end,
  blame     = "cpu",
  say       = function(w, _, ev)
    local state = string.format("CPU pressure is %.0f %% at %.0f %% CPU", ev.psi_cpu_some,
      ev.cpu_pct)
    if ev.pid == 0 then
      return state .. ": saturated by its own load (no process tree is measured)"
    end
    local tree = string.format("%s (pid %d%s) holds %.0f %% of the node's stall", ev.tree_comm,
      ev.pid, ev.tree_workload ~= "" and ", " .. ev.tree_workload or "", ev.tree_share_ratio * 100)
    if w.guilty_ns / 1e9 >= guilty then
      return string.format("%s: %s, and others lose %.0f ms a second to it", state, tree,
        ev.tree_caused_ms_per_s)
    end
    return string.format("%s: saturated by its own load; %s", state, tree)
  end,
}

-- The node each `interval` (a second) from second `from` to second `to`; `fields` change what is
-- usual: a saturated machine whose load is its own.
local function node(t, from, to, fields, interval)
  for s = from, to, interval or 1 do
    local e = {
      window_ns = (interval or 1) * 1e9,
      psi_cpu_some = 62, cpu_pct = 98, stalled_ms = 620, method = "exact", confidence = 0.99,
      pid = 41, tree_comm = "make", tree_workload = "build", tree_share_ratio = 0.9,
      tree_ms = 560, tree_caused_ms_per_s = 12,
    }
    for k, v in pairs(fields or {}) do e[k] = v end
    t.event(s, "stall.node", e)
  end
end

test "five seconds of pressure on a busy machine are a note" {
  feed  = function(t) node(t, 0, 8) end,
  fires = { { rule = "circuit-breaker", at = 4, severity = "info" } },
}

test "one tree that holds the stall and takes from others is critical" {
  feed  = function(t) node(t, 0, 8, { tree_caused_ms_per_s = 640 }) end,
  fires = { { at = 4, severity = "critical" } },
}

test "the tree may be of no workload that is known" {
  feed  = function(t) node(t, 0, 8, { tree_workload = "", tree_caused_ms_per_s = 640 }) end,
  fires = { { at = 4, severity = "critical" } },
}

test "a note becomes critical when others begin to suffer" {
  feed  = function(t)
    node(t, 0, 8)
    node(t, 9, 14, { tree_caused_ms_per_s = 100, tree_share_ratio = 0.4 })
  end,
  fires = { { at = 4, severity = "critical" } },
}

test "two seconds of suffering are not enough" {
  feed  = function(t)
    node(t, 0, 6)
    node(t, 7, 8, { tree_caused_ms_per_s = 900 })
    node(t, 9, 14)
  end,
  fires = { { severity = "info" } },
}

test "many that hold a little each are nobody's doing" {
  feed  = function(t) node(t, 0, 9, { tree_share_ratio = 0.39, tree_caused_ms_per_s = 900 }) end,
  fires = { { severity = "info" } },
}

test "others that lose less than 100 ms a second" {
  feed  = function(t) node(t, 0, 9, { tree_caused_ms_per_s = 99 }) end,
  fires = { { severity = "info" } },
}

test "figures that do not agree with the kernel accuse nobody" {
  feed  = function(t) node(t, 0, 9, { tree_caused_ms_per_s = 900, confidence = 0.89 }) end,
  fires = { { severity = "info" } },
}

test "a machine where no tree is measured" {
  feed  = function(t)
    for s = 0, 9 do
      t.event(s, "stall.node",
        { window_ns = 1e9, psi_cpu_some = 62, cpu_pct = 98, method = "psi-only" })
    end
  end,
  fires = { { at = 4, severity = "info" } },
}

test "a dip resets the clock" {
  feed  = function(t)
    node(t, 0, 3)
    node(t, 4, 4, { psi_cpu_some = 10 })
    node(t, 5, 8)
  end,
  fires = {},
}

test "a minute of a busy machine without pressure: it does its work" {
  feed  = function(t) node(t, 0, 60, { psi_cpu_some = 5, cpu_pct = 100 }) end,
  fires = {},
}

test "pressure without a busy machine is a quota" {
  feed  = function(t) node(t, 0, 20, { psi_cpu_some = 80, cpu_pct = 30 }) end,
  fires = {},
}

test "a machine without PSI is not judged" {
  feed  = function(t)
    for s = 0, 20 do t.event(s, "stall.node", { window_ns = 1e9, cpu_pct = 100 }) end
  end,
  fires = {},
}

test "exactly at the limits is not above them" {
  feed  = function(t) node(t, 0, 20, { psi_cpu_some = 40, cpu_pct = 90 }) end,
  fires = {},
}

test "figures that stop coming are no pressure" {
  feed  = function(t)
    node(t, 0, 3)
    t.idle(30)
  end,
  fires = {},
}

test "it is over ten seconds after the pressure" {
  feed  = function(t)
    node(t, 0, 8)
    node(t, 9, 40, { psi_cpu_some = 3 })
  end,
  fires = { { at = 4, resolved = 18.9 } },
}

test "with windows of 200 ms: five seconds, and a dip resets the clock" {
  feed  = function(t)
    node(t, 0.2, 3.4, { tree_caused_ms_per_s = 640 }, 0.2)
    node(t, 3.6, 3.6, { psi_cpu_some = 10 }, 0.2)
    node(t, 3.8, 10, { tree_caused_ms_per_s = 640 }, 0.2)
  end,
  fires = { { at = 8, severity = "critical" } },
}

test "with windows of 200 ms: two seconds of suffering are not enough" {
  feed  = function(t)
    node(t, 0.2, 6, {}, 0.2)
    node(t, 6.2, 8, { tree_caused_ms_per_s = 900 }, 0.2)
    node(t, 8.2, 14, {}, 0.2)
  end,
  fires = { { severity = "info" } },
}

test "with windows of two seconds: the third of them" {
  feed  = function(t) node(t, 2, 12, { tree_caused_ms_per_s = 640 }, 2) end,
  fires = { { at = 6, severity = "critical" } },
}

test "with windows of ten seconds: the first, and it is over twenty seconds later" {
  feed  = function(t)
    node(t, 10, 30, { tree_caused_ms_per_s = 640 }, 10)
    node(t, 40, 90, { psi_cpu_some = 3 }, 10)
  end,
  fires = { { at = 10, severity = "critical" } },
}
