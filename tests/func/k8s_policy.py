#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the manifests promise, held against what is rendered: k8s_policy.py OVERLAY FILE

OVERLAY is "base" or the name of an overlay, which may differ from the base in exactly what its name says.
Each broken promise is a line, and the exit status is 1.
"""

import sys

import yaml

CAPABILITIES = {"base": ["BPF", "PERFMON"], "kernel-5.8": ["BPF", "PERFMON", "SYS_RESOURCE"],
                "enforce": ["BPF", "PERFMON", "KILL"]}
HOST_PATHS = {
    "/sys/fs/cgroup": ("Directory", True),
    "/var/lib/linnix": ("DirectoryOrCreate", False),
}
WRITABLE = {"/var/lib/linnix", "/run/linnix", "/copy"}
ENFORCE_WRITABLE = WRITABLE | {"/sys/fs/cgroup"}


class Policy:
    def __init__(self, overlay):
        self.overlay = overlay
        self.broken = []

    def want(self, holds, text):
        if not holds:
            self.broken.append(text)

    def container(self, c, init):
        name = c["name"]
        sec = c.get("securityContext", {})
        privileged = self.overlay == "privileged" and not init
        self.want(sec.get("readOnlyRootFilesystem") is True, f"{name}: its root is writable")
        self.want(sec.get("privileged", False) is privileged, f"{name}: privileged is {sec.get('privileged')}")
        if not privileged:
            add = [] if init else CAPABILITIES.get(self.overlay, CAPABILITIES["base"])
            caps = sec.get("capabilities", {})
            self.want(sec.get("allowPrivilegeEscalation") is False, f"{name}: it may gain privileges")
            self.want(caps.get("drop") == ["ALL"], f"{name}: it does not drop ALL")
            self.want(caps.get("add", []) == add, f"{name}: capabilities {caps.get('add')}, not {add}")
        self.want(set(sec) <= {"privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"},
                  f"{name}: more in its securityContext than is judged here")
        res = c.get("resources", {})
        self.want({"cpu", "memory"} <= set(res.get("requests", {})), f"{name}: no requests")
        self.want("memory" in res.get("limits", {}), f"{name}: no limit on memory")
        self.want("cpu" not in res.get("limits", {}), f"{name}: a limit on CPU throttles it")
        tag = c["image"].rpartition("/")[2].partition(":")[2]
        self.want(tag not in ("", "latest"), f"{name}: image {c['image']} names no version")
        self.want("ports" not in c or all("hostPort" not in p for p in c["ports"]), f"{name}: a port of the host")
        for m in c.get("volumeMounts", []):
            at = m["mountPath"]
            self.want("subPath" not in m, f"{name}: {at} has a subPath and would never change")
            self.want(m.get("readOnly", False) is (at not in (ENFORCE_WRITABLE if self.overlay == "enforce" else WRITABLE)),
                      f"{name}: {at}: readOnly is {m.get('readOnly')}")

    def agent(self, c):
        env = {e["name"]: e for e in c.get("env", [])}
        ref = env.get("NODE_NAME", {}).get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        self.want(ref == "spec.nodeName", f"NODE_NAME comes from {ref}")
        for probe, path in (("livenessProbe", "/healthz"), ("startupProbe", "/healthz"), ("readinessProbe", "/readyz")):
            get = c.get(probe, {}).get("httpGet", {})
            self.want(get.get("path") == path and get.get("port") == "metrics", f"{probe}: {get}")
        ports = {p["name"]: p["containerPort"] for p in c["ports"]}
        self.want(ports.get("metrics") == 9464, f"ports: {ports}")
        self.want(("api" in ports) is (self.overlay == "api-token"), f"ports: {ports}")
        if self.overlay == "api-token":
            self.want({"LINNIX_HTTP_TOKEN_FILE", "LINNIX_HTTP_TLS_CERT_FILE", "LINNIX_HTTP_TLS_KEY_FILE"} <= set(env),
                      "the API is open without token or TLS")
        mounts = {m["mountPath"] for m in c["volumeMounts"]}
        self.want({"/etc/linnix/conf.d", "/etc/linnix/rules.d", "/sys/fs/cgroup"} <= mounts, f"mounts: {mounts}")

    def daemonset(self, d):
        spec = d["spec"]
        pod = spec["template"]["spec"]
        self.want(d["metadata"] | {"labels": 0} == {"name": "linnix-agent", "namespace": "linnix", "labels": 0},
                  f"it is called {d['metadata']}")
        self.want(spec["updateStrategy"].get("type") == "RollingUpdate", "no rolling update")
        self.want(pod.get("hostPID") is True, "hostPID is not true")
        for key in ("hostNetwork", "hostIPC"):
            self.want(not pod.get(key), f"{key} is set")
        self.want(pod.get("enableServiceLinks") is False, "enableServiceLinks is not false")
        self.want(pod.get("serviceAccountName") == "linnix-agent", "another service account")
        self.want(pod.get("tolerations") == [{"operator": "Exists"}], "it does not run on every node")
        self.want(pod.get("priorityClassName") == "linnix-agent", "no priority")
        self.want(pod.get("terminationGracePeriodSeconds", 0) >= 6, "less time to stop than the agent takes")
        seccomp = "Unconfined" if self.overlay == "privileged" else "RuntimeDefault"
        self.want(pod["securityContext"].get("seccompProfile") == {"type": seccomp}, "another seccomp profile")
        selinux = {"type": "spc_t"} if self.overlay == "openshift" else None
        self.want(pod["securityContext"].get("seLinuxOptions") == selinux, "seLinuxOptions")
        self.want(spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items(),
                  "the selector does not select its own pods")
        for c in pod.get("initContainers", []):
            self.want(self.overlay == "plugins", "an init container")
            self.container(c, True)
        self.want([c["name"] for c in pod["containers"]] == ["agent"], "more than one container")
        self.container(pod["containers"][0], False)
        self.agent(pod["containers"][0])
        self.volumes(pod)

    def volumes(self, pod):
        writers = {m["name"] for c in pod["containers"] for m in c["volumeMounts"] if not m.get("readOnly")}
        found = set()
        for v in pod["volumes"]:
            path = v.get("hostPath", {}).get("path")
            if "hostPath" in v:
                kind, read_only = HOST_PATHS.get(path, (None, None))
                read_only = read_only and not (self.overlay == "enforce" and path == "/sys/fs/cgroup")
                found.add(path)
                self.want(v["hostPath"].get("type") == kind, f"hostPath {path}: type {v['hostPath'].get('type')}")
                self.want(read_only is (v["name"] not in writers), f"hostPath {path}: readOnly")
            self.want("emptyDir" not in v or "sizeLimit" in v["emptyDir"], f"volume {v['name']} has no limit")
            self.want("secret" not in v or self.overlay == "api-token", f"volume {v['name']} waits for a Secret")
        self.want(found == set(HOST_PATHS), f"hostPaths: {found}")

    def rbac(self, docs):
        rules = [r for d in docs if d["kind"] in ("ClusterRole", "Role") for r in d["rules"]]
        self.want(rules == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
                  f"RBAC rules: {rules}")
        subjects = [s for d in docs if d["kind"].endswith("RoleBinding") for s in d["subjects"]]
        self.want(subjects == [{"kind": "ServiceAccount", "name": "linnix-agent", "namespace": "linnix"}],
                  f"RBAC subjects: {subjects}")

    def network(self, d):
        ports = [p["port"] for rule in d["spec"]["ingress"] for p in rule["ports"]]
        self.want(d["spec"]["policyTypes"] == ["Ingress", "Egress"], "the NetworkPolicy leaves a direction open")
        self.want(ports == ([9464, 3000] if self.overlay == "api-token" else [9464]), f"ingress to {ports}")
        self.want(all("from" in r for r in d["spec"]["ingress"] if r["ports"][0]["port"] == 3000),
                  "everybody may reach the API")
        self.want(all(p["port"] in (53, 443, 6443) for r in d["spec"]["egress"] for p in r["ports"]), "egress")

    def run(self, docs):
        kinds = {}
        for d in docs:
            kinds.setdefault(d["kind"], []).append(d)
        for kind in ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet", "Service",
                     "NetworkPolicy", "PriorityClass"):
            self.want(len(kinds.get(kind, [])) == 1, f"{len(kinds.get(kind, []))} of kind {kind}")
        self.want("CustomResourceDefinition" not in kinds, "a CRD")
        self.want("Secret" not in kinds, "a Secret in a file")
        if self.broken:
            return
        self.daemonset(kinds["DaemonSet"][0])
        self.rbac(docs)
        self.network(kinds["NetworkPolicy"][0])
        self.want(kinds["Service"][0]["spec"].get("clusterIP") == "None", "the Service is not headless")
        self.want(kinds["ServiceAccount"][0].get("automountServiceAccountToken") is False, "tokens for every pod")


def main(argv):
    if len(argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    policy = Policy(argv[1])
    with open(argv[2], encoding="utf-8") as f:
        policy.run([d for d in yaml.safe_load_all(f) if d])
    for line in policy.broken:
        print(f"{argv[1]}: {line}")
    return bool(policy.broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
