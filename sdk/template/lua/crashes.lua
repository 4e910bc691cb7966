-- SPDX-License-Identifier: MIT
--
-- Crashes: the same program was killed by signals more than 3 times in 10 s.
--
-- A template for a rule: one file, one rule{}, its reasons and its defaults on top, and tests.
-- Copy it into a directory of rules.dir; `linnix rules test DIR` runs the tests without an agent.
-- Windows and filters run in C, `when` sees counts. Fields of events: `linnix events --fields`.

local limit = 3

rule "crashes" {
  on        = "proc.exit",
  where     = { signal = { 4, 6, 7, 8, 11 } }, -- ILL, ABRT, BUS, FPE, SEGV; not who was told to go
  by        = "comm",
  window    = { crashes = "count 10s" },
  when      = function(w) return w.crashes > limit end,
  keep      = "10s",
  value     = "crashes",
  threshold = limit,
  severity  = "warning",
  say       = "{comm} crashed {crashes} times in 10 s",
}

local function crash(t, second, comm, signal)
  t.exit(second, { pid = 100 + second, comm = comm, signal = signal })
end

test "four crashes of one program" {
  feed  = function(t) for s = 0, 3 do crash(t, s, "app", 11) end end,
  fires = { { rule = "crashes", at = 3, severity = "warning" } },
}

test "four crashes of four programs" {
  feed  = function(t) for s = 0, 3 do crash(t, s, "app" .. s, 11) end end,
  fires = {},
}

test "one every four seconds" {
  feed  = function(t) for s = 0, 40, 4 do crash(t, s, "app", 6) end end,
  fires = {},
}

test "who is told to go did not crash" {
  feed  = function(t) for s = 0, 9 do crash(t, s, "app", s % 2 == 0 and 15 or 0) end end,
  fires = {},
}
