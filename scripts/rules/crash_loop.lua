-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Crash loop: the same container of a workload, or the same unit, was started at least 3 times
-- within 10 minutes and failed, whether it got a cgroup of its own each time (a container that is
-- started again, a pod that is replaced) or kept the one that it had (a unit with Restart=, a
-- runtime that uses the path again). crash-loop-supervised is the same of a program that a
-- supervisor inside of the container or unit starts again and again.
--
-- Why these figures: one failure may be a bad moment and a second one its echo; the third
-- within ten minutes is a loop, and a back-off of five minutes between runs still shows two of
-- three. A run ends with the main process of its cgroup: no older one that lived beside it is left,
-- or went down with it. So probes and what is executed from outside in a running container, which
-- may fail a hundred times or be killed with it, and workers that follow their master are none.
-- Who was told to go (SIGTERM, SIGINT, or 128 plus those as an exit code) did not fail.
--
-- A child that fails below any other parent is no run: a script whose commands fail looks the
-- same. So only children of programs whose work it is to start again what ended count, by the name
-- of the program.

local runs = 3
local by_signal = { signal = { ne = { 0, 2, 15 } } }
local by_code = { signal = 0, exit_code = { ne = { 0, 130, 143 } } }
local supervisors = {
  runsv = true, supervise = true, supervisord = true, circusd = true, perpd = true, god = true,
  ["s6-supervise"] = true,
}

local function how(ev)
  return ev.signal ~= 0 and "signal " .. ev.signal or "exit code " .. ev.exit_code
end

local function name_of(ev)
  local who = cgroup(ev.cgroup_id)
  local name = who and (who.container_name ~= "" and who.container_name or who.workload) or ""
  return name ~= "" and name or ev.comm
end

rule "crash-loop" {
  on        = "proc.exit",
  where     = { by_signal, by_code, function(ev) return is_main(ev.pid, ev.start_ns) end },
  by        = "container",
  window    = { failed_runs = "distinct start_ns 10m" },
  when      = function(w) return w.failed_runs >= runs end,
  keep      = "2m",
  value     = "failed_runs",
  threshold = runs,
  severity  = "warning",
  say       = function(w, _, ev)
    return string.format("%s failed in %d runs within 10 minutes, last %s with %s", name_of(ev),
      w.failed_runs, ev.comm, how(ev))
  end,
}

rule "crash-loop-supervised" {
  on        = "proc.exit",
  where     = { by_signal, by_code, function(ev)
    local parent = proc(ev.ppid)
    return parent ~= nil and supervisors[parent.comm] and parent.cgroup_id == ev.cgroup_id
  end },
  by        = { "container", "comm" },
  window    = { failed_runs = "distinct start_ns 10m" },
  when      = function(w) return w.failed_runs >= runs end,
  keep      = "2m",
  value     = "failed_runs",
  threshold = runs,
  severity  = "warning",
  labels    = { class = "churn" },
  say       = function(w, _, ev)
    return string.format("%s in %s failed in %d runs within 10 minutes, last with %s", ev.comm,
      name_of(ev), w.failed_runs, how(ev))
  end,
}

local zero = 1000e9 -- start_ns of what starts at second 0

-- Cgroup `id` is container `name`, or with pod = false the unit of that name.
local function tell(t, second, id, name, pod)
  if pod == false then
    t.event(second, "workload.update", { cgroup_id = id, path = "/" .. name, workload = name })
    return
  end
  t.event(second, "workload.update", {
    cgroup_id = id, path = "/kubepods/" .. id, container_name = name, workload = "w",
    pod_uid = pod or "p1", workload_namespace = "shop",
  })
end

-- A process of cgroup `id` that lives a second from `second` on, and ends like `fields`.
local function run(t, second, id, fields)
  local e = {
    pid = 1000 + second, ppid = 1, cgroup_id = id, exit_code = 1, comm = "app",
    start_ns = zero + second * 1e9,
  }
  for k, v in pairs(fields or {}) do e[k] = v end
  t.exec(second, {
    pid = e.pid, ppid = e.ppid, cgroup_id = id, comm = e.comm, start_ns = e.start_ns,
  })
  t.exit(second + 1, e)
end

-- A run of container `name` in a cgroup of its own.
local function fresh(t, second, id, name, fields, pod)
  tell(t, second, id, name, pod)
  run(t, second, id, fields)
end

test "three failed runs are a loop" {
  feed  = function(t) for i = 0, 2 do fresh(t, i * 60, 10 + i, "app") end end,
  fires = { { rule = "crash-loop", at = 121, severity = "warning" } },
}

test "two are none" {
  feed  = function(t) for i = 0, 1 do fresh(t, i * 60, 10 + i, "app") end end,
  fires = {},
}

test "a pod that is replaced each time is the same workload" {
  feed  = function(t)
    for i = 0, 2 do fresh(t, i * 60, 10 + i, "app", nil, "p" .. i) end
  end,
  fires = { { at = 121, severity = "warning" } },
}

test "a unit that is started again in the cgroup that it has" {
  feed  = function(t)
    tell(t, 0, 10, "app.service", false)
    for i = 0, 2 do run(t, i * 60, 10) end
  end,
  fires = { { rule = "crash-loop", at = 121, severity = "warning" } },
}

test "a container that is started again in the cgroup that it has" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    for i = 0, 2 do run(t, i * 60, 10, { signal = 11, exit_code = 0 }) end
  end,
  fires = { { rule = "crash-loop", at = 121 } },
}

test "three runs of three containers are none" {
  feed  = function(t) for i = 0, 2 do fresh(t, i * 60, 10 + i, "app" .. i) end end,
  fires = {},
}

test "probes that fail in a container that runs" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    t.exec(1, { pid = 500, ppid = 1, cgroup_id = 10, comm = "app", start_ns = zero + 1e9 })
    for i = 1, 50 do run(t, i * 10, 10, { comm = "probe" }) end
  end,
  fires = {},
}

test "a container with failing probes that fails itself, twice" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    for i = 0, 1 do
      t.exec(i * 100, { pid = 500 + i, ppid = 1, cgroup_id = 10, comm = "app",
        start_ns = zero + i * 100e9 + 1 })
      for k = 1, 5 do run(t, i * 100 + k * 10, 10, { comm = "probe" }) end
      t.exit(i * 100 + 90, { pid = 500 + i, ppid = 1, cgroup_id = 10, comm = "app", exit_code = 1,
        start_ns = zero + i * 100e9 + 1 })
    end
  end,
  fires = {},
}

test "workers that go down with their master are one run" {
  feed  = function(t)
    tell(t, 0, 10, "app.service", false)
    t.exec(0, { pid = 500, ppid = 1, cgroup_id = 10, comm = "app", start_ns = zero + 1 })
    for i = 1, 8 do
      t.fork(1, { ppid = 500, child_pid = 500 + i, cgroup_id = 10, start_ns = zero + 1 + i })
    end
    for i = 0, 8 do
      t.exit(10, { pid = 500 + i, ppid = i == 0 and 1 or 500, cgroup_id = 10, comm = "app",
        exit_code = 1, start_ns = zero + 1 + i })
    end
  end,
  fires = {},
}

test "a daemon whose starter has ended" {
  feed  = function(t)
    tell(t, 0, 10, "app.service", false)
    for i = 0, 2 do
      local at, pid = i * 60, 600 + 2 * i
      local began = zero + at * 1e9
      local first = { pid = pid, ppid = 1, cgroup_id = 10, comm = "app", start_ns = began }
      t.exec(at, first)
      t.fork(at, { ppid = pid, child_pid = pid + 1, cgroup_id = 10, start_ns = began + 2 })
      t.exit(at + 1, first)
      t.exit(at + 9, { pid = pid + 1, ppid = 1, cgroup_id = 10, comm = "app", signal = 11,
        start_ns = began + 2 })
    end
  end,
  fires = { { rule = "crash-loop", at = 129 } },
}

test "what runs in a container is killed with it, four times" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    for i = 0, 3 do
      local start = zero + i * 60e9
      t.exec(i * 60, { pid = 500 + i, ppid = 1, cgroup_id = 10, comm = "app", start_ns = start })
      t.exec(i * 60 + 5, { pid = 600 + i, ppid = 1, cgroup_id = 10, start_ns = start + 9 })
      t.exit(i * 60 + 50, { pid = 500 + i, ppid = 1, cgroup_id = 10, comm = "app", start_ns = start,
        exit_code = i % 2 == 0 and 143 or 0 })
      t.exit(i * 60 + 50.1, { pid = 600 + i, ppid = 1, cgroup_id = 10, comm = "sh", signal = 9,
        start_ns = start + 9 })
    end
  end,
  fires = {},
}

test "a script whose commands fail is no loop" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    t.exec(0, { pid = 500, ppid = 1, cgroup_id = 10, comm = "sh", start_ns = zero + 1 })
    for i = 1, 50 do run(t, i * 10, 10, { ppid = 500, comm = "grep" }) end
  end,
  fires = {},
}

test "a supervisor that starts its child again is one" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    t.exec(0, { pid = 500, ppid = 1, cgroup_id = 10, comm = "supervisord", start_ns = zero + 1 })
    for i = 1, 3 do run(t, i * 60, 10, { ppid = 500, comm = "worker", exit_code = 3 }) end
    for i = 4, 5 do run(t, i * 60, 10, { ppid = 500, comm = "other" }) end
  end,
  fires = { { rule = "crash-loop-supervised", at = 181, severity = "warning" } },
}

test "a supervised child that ends well, or was told to" {
  feed  = function(t)
    tell(t, 0, 10, "app")
    t.exec(0, { pid = 500, ppid = 1, cgroup_id = 10, comm = "runsv", start_ns = zero + 1 })
    for i = 1, 4 do run(t, i * 60, 10, { ppid = 500, exit_code = 0 }) end
    for i = 5, 8 do run(t, i * 60, 10, { ppid = 500, exit_code = 0, signal = 15 }) end
  end,
  fires = {},
}

test "three in half an hour are no loop" {
  feed  = function(t) for i = 0, 2 do fresh(t, i * 900, 10 + i, "app") end end,
  fires = {},
}

test "runs that end well or were told to end" {
  feed  = function(t)
    for i = 0, 3 do fresh(t, i * 60, 10 + i, "app", { exit_code = 0 }) end
    for i = 4, 7 do fresh(t, i * 60, 10 + i, "app", { exit_code = 0, signal = 15 }) end
    for i = 8, 11 do fresh(t, i * 60, 10 + i, "app", { exit_code = 143 }) end
  end,
  fires = {},
}

test "killed for memory is a failure" {
  feed  = function(t)
    for i = 0, 3 do fresh(t, i * 60, 10 + i, "app", { exit_code = 0, signal = 9 }) end
  end,
  fires = { { at = 121 } },
}

test "a cgroup that nobody knows has no runs" {
  feed  = function(t) for i = 0, 5 do run(t, i, 50 + i) end end,
  fires = {},
}
