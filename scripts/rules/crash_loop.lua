-- SPDX-License-Identifier: AGPL-3.0-or-later
--
-- Crash loop: the same container of a workload, or the same unit, failed in at least 3 of its runs
-- within 10 minutes, whether it was restarted in its pod or the pod was replaced.
--
-- Why these figures: one failure may be a bad moment and a second one its echo; the third
-- within ten minutes is a loop, and a back-off of five minutes between runs still shows two of
-- three. Each run has a cgroup of its own, so the number of different cgroups in which a first
-- process failed is the number of failed runs. Probes and what is executed from outside inside
-- of a running container may fail a hundred times: it is one run, and so one failure. Who was
-- told to go (SIGTERM, SIGINT, or 128 plus those as an exit code) did not fail.

local runs = 3
local asked = { [130] = true, [143] = true }

rule "crash-loop" {
  on        = "proc.exit",
  where     = function(ev)
    local code, signal = ev.exit_code, ev.signal
    if signal == 0 and (code == 0 or asked[code]) or signal == 2 or signal == 15 then
      return false
    end
    local parent = proc(ev.ppid)
    return not parent or parent.cgroup_id ~= ev.cgroup_id
  end,
  by        = "container",
  window    = { failed_runs = "distinct cgroup_id 10m" },
  when      = function(w) return w.failed_runs >= runs end,
  keep      = "2m",
  value     = "failed_runs",
  threshold = runs,
  severity  = "warning",
  say       = function(w, _, ev)
    local who = cgroup(ev.cgroup_id)
    local name = who and (who.container_name ~= "" and who.container_name or who.workload) or ""
    return string.format("%s failed in %d runs within 10 minutes, last %s with %s",
      name ~= "" and name or ev.comm, w.failed_runs, ev.comm,
      ev.signal ~= 0 and "signal " .. ev.signal or "exit code " .. ev.exit_code)
  end,
}

-- A run of container `name` in a cgroup of its own that ends like `fields`.
local function run(t, second, cgroup_id, name, fields)
  t.event(second, "workload.update", {
    cgroup_id = cgroup_id, path = "/kubepods/" .. cgroup_id, container_name = name, workload = "w",
    pod_uid = fields and fields.pod_uid or "p1", workload_namespace = "shop",
  })
  local e = { pid = 100 + cgroup_id, ppid = 1, cgroup_id = cgroup_id, exit_code = 1, comm = "app" }
  for k, v in pairs(fields or {}) do
    if k ~= "pod_uid" then e[k] = v end
  end
  t.exit(second + 1, e)
end

test "three failed runs are a loop" {
  feed  = function(t) for i = 0, 2 do run(t, i * 60, 10 + i, "app") end end,
  fires = { { at = 121, severity = "warning" } },
}

test "a pod that is replaced each time is the same workload" {
  feed  = function(t)
    for i = 0, 2 do run(t, i * 60, 10 + i, "app", { pod_uid = "p" .. i }) end
  end,
  fires = { { at = 121, severity = "warning" } },
}

test "three runs of three containers are none" {
  feed  = function(t) for i = 0, 2 do run(t, i * 60, 10 + i, "app" .. i) end end,
  fires = {},
}

test "a probe that fails in one run is one failure" {
  feed  = function(t) for i = 0, 50 do run(t, i * 10, 10, "app") end end,
  fires = {},
}

test "three in half an hour are no loop" {
  feed  = function(t) for i = 0, 2 do run(t, i * 900, 10 + i, "app") end end,
  fires = {},
}

test "runs that end well or were told to end" {
  feed  = function(t)
    for i = 0, 3 do run(t, i * 60, 10 + i, "app", { exit_code = 0 }) end
    for i = 4, 7 do run(t, i * 60, 10 + i, "app", { exit_code = 0, signal = 15 }) end
    for i = 8, 11 do run(t, i * 60, 10 + i, "app", { exit_code = 143 }) end
  end,
  fires = {},
}

test "killed for memory is a failure" {
  feed  = function(t)
    for i = 0, 3 do run(t, i * 60, 10 + i, "app", { exit_code = 0, signal = 9 }) end
  end,
  fires = { { at = 121 } },
}

test "a cgroup that nobody knows has no runs" {
  feed  = function(t)
    for i = 0, 5 do t.exit(i, { pid = 5 + i, ppid = 1, cgroup_id = 50 + i, exit_code = 1 }) end
  end,
  fires = {},
}
