#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Print how containerd's `ctr run` starts the container of a DaemonSet, one word a line: ctr_args.py DAEMONSET FOLDER

What a kubelet would make of it: capabilities, read-only root, seccomp, limit, mounts. Volumes are folders of FOLDER with the
volume's name, only /sys/fs/cgroup is the host's.
"""

import os
import sys

import yaml

# What ctr gives without being asked; ctr has no ALL to drop.
DEFAULT = """AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID
    SYS_CHROOT""".split()
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
DOWNWARD = {"spec.nodeName": "test-node", "metadata.name": "linnix-agent-x", "metadata.namespace": "linnix"}


def words(daemonset, folder):
    pod = daemonset["spec"]["template"]["spec"]
    box = pod["containers"][0]
    sec = box["securityContext"]
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    yield "--seccomp"
    if sec["readOnlyRootFilesystem"]:
        yield "--read-only"
    assert sec["capabilities"]["drop"] == ["ALL"] and not sec["allowPrivilegeEscalation"]
    for cap in DEFAULT:
        yield from ("--cap-drop", "CAP_" + cap)
    for cap in sec["capabilities"]["add"]:
        yield from ("--cap-add", "CAP_" + cap)
    limit = box["resources"]["limits"]["memory"]
    yield from ("--memory-limit", str(int(limit[:-2]) * UNITS[limit[-2:]]))
    for env in box["env"]:
        value = env.get("value", DOWNWARD.get(env.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")))
        yield from ("--env", f"{env['name']}={value}")
    volumes = {v["name"]: v for v in pod["volumes"]}
    for mount in box["volumeMounts"]:
        src = os.path.join(folder, mount["name"])
        if mount["mountPath"] == "/sys/fs/cgroup":
            src = volumes[mount["name"]]["hostPath"]["path"]
        mode = "ro" if mount.get("readOnly") else "rw"
        yield from ("--mount", f"type=bind,src={src},dst={mount['mountPath']},options=rbind:rprivate:{mode}")


def main(argv):
    with open(argv[1], encoding="utf-8") as f:
        daemonset = next(d for d in yaml.safe_load_all(f) if d["kind"] == "DaemonSet")
    box = daemonset["spec"]["template"]["spec"]["containers"][0]
    print(*words(daemonset, argv[2]), sep="\n")
    # The image, a name, and its entry point with the arguments of the manifest.
    print("--", box["image"], f"linnix-test-{os.getppid()}", "/usr/bin/linnixd", *box["args"], sep="\n")


if __name__ == "__main__":
    main(sys.argv)
