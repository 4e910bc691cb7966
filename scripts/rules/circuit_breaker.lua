-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Circuit breaker: the machine is saturated. CPU pressure above 40 % (some task waited for a CPU
-- in more than 400 ms of each second) while more than 90 % of the CPU is used, for 5 s.
--
-- Why both: a busy machine without pressure does its work, and pressure without a busy machine is
-- a quota at work. Why `info`: that the load is the machine's own is the rule, and nobody is to be
-- woken for it. It may be called critical only when one process tree holds at least 40 % of the
-- node's stall and others lost 100 ms/s to it. That is for the stall ledger to say; without its
-- facts the alert says "saturated by its own load".

local pressure_pct = 40
local cpu_pct = 90

rule "circuit-breaker" {
  every     = "1s",
  when      = function(h) return h.psi.cpu.some > pressure_pct and h.cpu > cpu_pct end,
  lasting   = "5s",
  keep      = "10s",
  value     = "psi.cpu.some",
  threshold = pressure_pct,
  severity  = "info",
  blame     = "cpu",
  labels    = { cause = "saturated by its own load" },
  say       = "CPU pressure is {psi.cpu.some} % at {cpu} % CPU: saturated by its own load",
}

local function sample(t, s, pressure, cpu)
  t.sample(s, { psi = { cpu = { some = pressure } }, cpu = cpu })
end

test "five seconds of pressure on a busy machine" {
  feed  = function(t) for s = 0, 8 do sample(t, s, 46, 97) end end,
  fires = { { rule = "circuit-breaker", at = 5, severity = "info" } },
}

test "a dip resets the clock" {
  feed  = function(t) for s = 0, 8 do sample(t, s, s == 4 and 10 or 46, 97) end end,
  fires = {},
}

test "a busy machine without pressure does its work" {
  feed  = function(t) for s = 0, 20 do sample(t, s, 5, 100) end end,
  fires = {},
}

test "pressure without a busy machine is a quota" {
  feed  = function(t) for s = 0, 20 do sample(t, s, 80, 30) end end,
  fires = {},
}

test "a machine without PSI is not judged" {
  feed  = function(t) for s = 0, 20 do t.sample(s, { cpu = 100 }) end end,
  fires = {},
}

test "exactly at the limits is not above them" {
  feed  = function(t) for s = 0, 20 do sample(t, s, 40, 90) end end,
  fires = {},
}

test "it is over ten seconds after the pressure, and a short relief does not end it" {
  feed  = function(t)
    for s = 0, 40 do sample(t, s, (s <= 8 or s == 12) and 60 or 3, 95) end
  end,
  fires = { { at = 5, resolved = 23 } },
}
