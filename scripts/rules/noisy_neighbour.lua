-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Noisy neighbour: one culprit made one victim wait for a CPU for more than 100 ms in each of three
-- successive seconds, that was more than 40 % of the victim's stall, and the figures agree with the
-- kernel's own pressure to 90 %.
--
-- Why these figures: 100 ms/s is felt by whoever waits for an answer, and a short burst is not
-- worth a message. A small share of a large stall would name one of many. Only neighbours are
-- judged: who waits for itself, for its own quota or for the kernel has no neighbour to complain
-- of. The node as a victim is left out: its stall is everybody's. A replica of the victim is told
-- as info: how many of them run here is the workload's own matter. So is who takes what it is
-- entitled to: a culprit that stays within its CPU request, or a victim that asked for nothing
-- (BestEffort). Without requests nobody is entitled.
--
-- stall.edge comes once a window of stall.interval (1 s; 200 ms to 10 s), so each tells of the time
-- before it, and times are added up instead of events counted. What came within 2.75 s covers three
-- seconds where each window met the condition, and two where one between them was quiet. A window
-- of 10 s is more than three seconds by itself: a short burst has no 100 ms in each of its seconds.

local stalled_ms = 100 -- a second
local share = 0.4
local confidence = 0.9
local covered = 2.6 * second -- within 2.75 s; a little less, as windows end early or late

local function ms_per_s(ev) return ev.stall_ms / ev.window_ns * 1e9 end

rule "noisy-neighbour" {
  on        = "stall.edge",
  where     = {
    resource         = "cpu",
    kind             = { "neighbour", "sibling" },
    victim_cgroup_id = { gt = 0 },
    share_ratio      = { gt = share },
    confidence       = { ge = confidence },
    function(ev) return ms_per_s(ev) > stalled_ms end,
  },
  by        = "pair",
  window    = { covered_ns = "sum window_ns 2750ms", caused_ms = "max stall_ms 1s" },
  when      = function(w) return w.covered_ns / 1e9 >= covered end,
  keep      = "10s", -- not less than a window
  value     = "caused_ms",
  threshold = stalled_ms,
  severity  = function(_, _, ev)
    return (ev.same_workload or ev.entitled) and "info" or "warning"
  end,
  blame     = "cpu",
  say       = function(_, _, ev)
    return string.format("%s (%s, pid %d) made %s wait %.0f ms in a second, %.0f %% of its stall%s",
      ev.culprit, ev.culprit_comm, ev.pid, ev.victim, ms_per_s(ev), ev.share_ratio * 100,
      ev.entitled and "; it was entitled to (entitled: true)" or "")
  end,
}

-- One edge each `interval` (a second) from `from` to `to`; `fields` change what is usual.
local function edges(t, from, to, fields, interval)
  for s = from, to, interval or 1 do
    local e = {
      window_ns = (interval or 1) * 1e9,
      resource = "cpu", kind = "neighbour", victim_cgroup_id = 7, culprit_cgroup_id = 9,
      victim = "shop", culprit = "batch", culprit_comm = "convert", pid = 41, pair = 79,
      stall_ms = 450, share_ratio = 0.9, confidence = 0.99,
    }
    for k, v in pairs(fields or {}) do e[k] = v end
    t.event(s, "stall.edge", e)
  end
end

test "three seconds of a neighbour that takes half the CPU" {
  feed  = function(t) edges(t, 0, 3) end,
  fires = { { rule = "noisy-neighbour", at = 2, severity = "warning" } },
}

test "two seconds are a burst" {
  feed  = function(t) edges(t, 0, 1) end,
  fires = {},
}

test "a quiet second begins it anew" {
  feed  = function(t)
    edges(t, 0, 1)
    edges(t, 3, 4)
    edges(t, 6, 7)
  end,
  fires = {},
}

test "no more than 100 ms a second is borne" {
  feed  = function(t) edges(t, 0, 9, { stall_ms = 100 }) end,
  fires = {},
}

test "40 % of a stall is one of many" {
  feed  = function(t) edges(t, 0, 9, { share_ratio = 0.4 }) end,
  fires = {},
}

test "figures that do not agree with the kernel's blame nobody" {
  feed  = function(t) edges(t, 0, 9, { confidence = 0.89 }) end,
  fires = {},
}

test "a minute of its own quota, its own threads and the kernel: they are no neighbours" {
  feed  = function(t)
    edges(t, 0, 19, { kind = "throttled" })
    edges(t, 20, 39, { kind = "self" })
    edges(t, 40, 59, { kind = "kernel" })
  end,
  fires = {},
}

test "the node is no victim" {
  feed  = function(t) edges(t, 0, 9, { victim_cgroup_id = 0 }) end,
  fires = {},
}

test "I/O and memory are not judged by this rule" {
  feed  = function(t) edges(t, 0, 9, { resource = "io" }) end,
  fires = {},
}

test "two culprits of a second and a half each are not one of three" {
  feed  = function(t)
    edges(t, 0, 1, { pair = 1 })
    edges(t, 2, 3, { pair = 2 })
  end,
  fires = {},
}

test "with windows of 200 ms: three seconds, and a quiet one begins it anew" {
  feed  = function(t)
    edges(t, 0.2, 2.2, { stall_ms = 90 }, 0.2)
    edges(t, 3.2, 5.2, { stall_ms = 90 }, 0.2)
    edges(t, 7.2, 10.2, { stall_ms = 90 }, 0.2)
  end,
  fires = { { at = 9, severity = "warning" } },
}

test "with windows of 200 ms: 100 ms a second is 20 ms in each" {
  feed  = function(t) edges(t, 0.2, 9.2, { stall_ms = 20 }, 0.2) end,
  fires = {},
}

test "with windows of two seconds: the second of them" {
  feed  = function(t) edges(t, 2, 8, { stall_ms = 900 }, 2) end,
  fires = { { at = 4, severity = "warning" } },
}

test "with windows of two seconds: a quiet one begins it anew" {
  feed  = function(t)
    edges(t, 2, 2, { stall_ms = 900 }, 2)
    edges(t, 6, 6, { stall_ms = 900 }, 2)
  end,
  fires = {},
}

test "with windows of ten seconds: the first" {
  feed  = function(t) edges(t, 10, 30, { stall_ms = 4500 }, 10) end,
  fires = { { at = 10, severity = "warning" } },
}

test "with windows of ten seconds: 100 ms a second is a second in each" {
  feed  = function(t) edges(t, 10, 60, { stall_ms = 1000 }, 10) end,
  fires = {},
}

test "a replica of the victim is only worth a note" {
  feed  = function(t) edges(t, 0, 5, { same_workload = true }) end,
  fires = { { at = 2, severity = "info" } },
}

test "who stays within its request is only worth a note" {
  feed  = function(t) edges(t, 0, 5, { entitled = true }) end,
  fires = { { at = 2, severity = "info" } },
}

test "it is over when the neighbour is quiet" {
  feed  = function(t)
    edges(t, 0, 5)
    t.idle(30)
  end,
  fires = { { at = 2, resolved = 15 } },
}
