#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Print a manifest that holds other files of the tree, for gen_docs.sh: k8s_page.sh rules|alerts

set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

head_of()
{
	cat <<-END
		# SPDX-License-Identifier: AGPL-3.0-or-later
		# Written by scripts/dev/gen_docs.sh from $1
		apiVersion: $2
		kind: $3
		metadata:
		  name: $4
		  namespace: linnix
		  labels:
		    app.kubernetes.io/name: linnix
	END
}

indent() { sed -e "s/^/$1/" -e 's/^ *$//'; }

case ${1:-} in
rules)
	head_of "scripts/rules. On a cluster, here is the place to edit rules:
# kubectl -n linnix edit configmap linnix-rules" v1 ConfigMap linnix-rules
	echo 'data:'
	for f in scripts/rules/*.lua; do
		printf '  %s: |\n' "$(basename "$f")"
		indent '    ' <"$f"
	done
	;;
alerts)
	head_of etc/prometheus/linnix.rules.yml monitoring.coreos.com/v1 PrometheusRule linnix-agent
	echo 'spec:'
	grep -v '^#' etc/prometheus/linnix.rules.yml | indent '  '
	;;
*)
	echo "usage: k8s_page.sh rules|alerts" >&2
	exit 2
	;;
esac
