#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Hold manifests against the Kubernetes API, strictly: k8s_schema.py MODELS FILE...

MODELS is the folder of generated models of the npm package @kubernetes/client-node: one class per type of the OpenAPI
document, with every field, its type and whether it may be left out. A field that is not there, a wrong type and a missing
field are each reported with their path, and the exit status is 1.
"""

import os
import re
import sys

import yaml

# Stable versions only; what has a definition of its own in the cluster (a CRD) is checked down to its metadata.
BUILT_IN = {
    "v1": {"Namespace", "ServiceAccount", "ConfigMap", "Service", "Secret"},
    "rbac.authorization.k8s.io/v1": {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
    "apps/v1": {"DaemonSet"},
    "networking.k8s.io/v1": {"NetworkPolicy"},
    "scheduling.k8s.io/v1": {"PriorityClass"},
}
CUSTOM = {
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("security.openshift.io/v1", "SecurityContextConstraints"),
}
SCALARS = {
    "string": (str,),
    "Date": (str,),
    "boolean": (bool,),
    "IntOrString": (int, str),
    "object": (dict,),
}


class OneKeyLoader(yaml.SafeLoader):
    """YAML in which a key stands once."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


class Models:
    def __init__(self, folder):
        self.folder = folder
        self.known = {}

    def fields(self, name):
        """{field: (type, format, required)} of one class."""
        if name not in self.known:
            with open(os.path.join(self.folder, name + ".js"), encoding="utf-8") as f:
                rows = re.findall(r'"baseName": "([^"]*)",\s*"type": "([^"]*)",\s*"format": "([^"]*)"', f.read())
            with open(os.path.join(self.folder, name + ".d.ts"), encoding="utf-8") as f:
                needed = set(re.findall(r"^    '([^']+)': ", f.read(), re.M))
            # A name that is a reserved word has an underscore in front in the class, and none in the API.
            needed = {n.lstrip("_") for n in needed}
            self.known[name] = {n: (t, fmt, n in needed) for n, t, fmt in rows}
        return self.known[name]

    def check(self, value, kind, fmt, path, out):
        array = re.fullmatch(r"Array<(.*)>", kind)
        mapping = re.fullmatch(r"\{ \[key: string\]: (.*); \}", kind)
        if kind == "any":
            return
        if array:
            if not isinstance(value, list):
                out.append(f"{path}: a list is wanted, this is {type(value).__name__}")
                return
            for i, item in enumerate(value):
                self.check(item, array.group(1), fmt, f"{path}[{i}]", out)
        elif mapping:
            if not isinstance(value, dict):
                out.append(f"{path}: a mapping is wanted, this is {type(value).__name__}")
                return
            for key, item in value.items():
                self.check(item, mapping.group(1), fmt, f"{path}[{key}]", out)
        elif kind == "number":
            right = (int, float) if fmt == "double" else (int,)
            if isinstance(value, bool) or not isinstance(value, right):
                out.append(f"{path}: a number is wanted, this is {value!r}")
        elif kind in SCALARS:
            if not isinstance(value, SCALARS[kind]) or (isinstance(value, bool) and kind != "boolean"):
                out.append(f"{path}: {kind} is wanted, this is {value!r}")
        else:
            self.check_object(value, kind, path, out)

    def check_object(self, value, kind, path, out):
        if not isinstance(value, dict):
            out.append(f"{path}: a mapping is wanted, this is {type(value).__name__}")
            return
        fields = self.fields(kind)
        for key, item in value.items():
            if key not in fields:
                out.append(f"{path}: unknown field {key!r}")
            else:
                self.check(item, fields[key][0], fields[key][1], f"{path}.{key}", out)
        for key, (_, _, required) in fields.items():
            if required and key not in value:
                out.append(f"{path}: {key!r} is missing")


def check_file(models, path):
    out = []
    n = 0
    with open(path, encoding="utf-8") as f:
        for doc in yaml.load_all(f, OneKeyLoader):
            if doc is None:
                continue
            n += 1
            version, kind = doc.get("apiVersion"), doc.get("kind")
            where = f"{kind}/{doc.get('metadata', {}).get('name')}"
            if kind in BUILT_IN.get(version, ()):
                models.check_object(doc, "V1" + kind, where, out)
            elif (version, kind) in CUSTOM:
                models.check_object(doc.get("metadata"), "V1ObjectMeta", where + ".metadata", out)
            else:
                out.append(f"{where}: no kind {kind!r} of {version!r} is known here")
    if n == 0:
        out.append("no object in it")
    return out


def main(argv):
    if len(argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    models = Models(argv[1])
    bad = 0
    for path in argv[2:]:
        try:
            found = check_file(models, path)
        except yaml.YAMLError as e:
            found = [str(e).replace("\n", " ")]
        for line in found:
            print(f"{path}: {line}")
        bad |= bool(found)
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv))
