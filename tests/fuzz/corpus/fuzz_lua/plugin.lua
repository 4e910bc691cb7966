-- SPDX-License-Identifier: MIT
--
-- Crash bursts: counts processes that a signal killed, and publishes an event when there were too
-- many in a window. The same as sdk/template/c, as a script.
--
-- A template for a plugin in Lua: one file, one plugin{}. Copy it into a directory of plugins.dir;
-- its name must be that of the file. It runs in the sandbox of rules: no files, no network, a
-- budget of instructions a call. Keep what you count in locals: each instance has its own.

-- ILL, ABRT, BUS, FPE, SEGV; not who was told to go
local fatal = { [4] = true, [6] = true, [7] = true, [8] = true, [11] = true }
local limit
local count, last_comm = 0, ""

local function close_window()
  if count > limit then
    agent.publish("crash_bursts.burst", { crashes = count, comm = last_comm })
    agent.log("info", count .. " crashes, the last one of " .. last_comm)
  end
  count = 0
end

plugin "crash_bursts" {
  version = "1.0",
  summary = "counts processes that a signal killed",

  options = {
    limit  = { "u32", default = 5, min = 1, max = 1000000, reload = true,
               help = "Crashes in a window that are a burst." },
    window = { "duration", default = "10s", min = "1s", max = "1h",
               help = "Time in which they are counted." },
  },

  on = "proc.exit",

  events = {
    ["crash_bursts.burst"] = {
      doc = "too many processes crashed in a window",
      { "crashes", "u32", doc = "crashes in the window" },
      { "comm", "text", doc = "name of the last one" },
    },
  },

  metrics = {
    crash_bursts_crashes_total = { "counter", help = "Processes that a signal killed.",
                                   labels = { "signal" } },
  },

  init = function(conf)
    limit = conf.limit
    agent.every(conf.window, close_window)
  end,

  on_event = function(ev)
    if not fatal[ev.signal] then return end
    count = count + 1
    last_comm = ev.comm
    agent.add("crash_bursts_crashes_total", 1, tostring(ev.signal))
  end,

  reload = function(conf) limit = conf.limit end,
  stop = close_window,
}
