-- SPDX-License-Identifier: AGPL-3.0-or-later
rule "a" {
  on = { "proc.fork", "proc.exit" }, by = "comm", sum = "uid",
  where = { comm = "f*", uid = { le = 9 } },
  window = {
    n = "count 1s", d = "distinct comm 5s", p = { "p99 lifetime_ns 5s", on = "proc.exit" },
  },
  when = function(w, key, ev) return w.n > 2 and w.d > 0 and (ev.pid > 0 or key == "x") end,
  lasting = "1s", keep = "2s", cooldown = "3s",
  severity = function(w) return w.n > 3 and "critical" or "info" end,
  say = "{n} {key} {comm} {pid} {value}", labels = { a = "b" }, runbook = "x", blame = "io",
  threshold = 3, value = "n",
}
rule "b" {
  every = "2s", when = function(h) return h.psi.cpu.some > 1 and h.cpu > 1 end,
  say = function(h) return "x" .. h.cpu end,
}
test "c" {
  feed = function(t)
    t.fork(1, { comm = "f" })
    t.exit(2, { pid = 1000 })
    t.sample(3, { cpu = 9 })
  end,
  fires = {},
}
