#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The image: the same bytes twice, nothing in it that need not be, and from the archive to the first blame in 30 s under
# containerd with exactly the rights of the DaemonSet. The network is not used.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# The archive is made by the first test.
archive=
make_image()
{
	unset MAKEFLAGS MAKELEVEL MFLAGS
	made=$(make image BUILD="${LNX_BUILD:-build}" CC="${CC:-gcc}" 2>"$tmp/make.err") || fail "$made $(cat "$tmp/make.err")"
	archive=$(tail -1 <<<"$made")
	digest=${archive#* }
	archive=${archive% *}
	[ -s "$archive" ] || fail "no archive: $made"
}

needs_image()
{
	need umoci
	need jq
	need python3
	python3 -c 'import yaml' 2>/dev/null || skip "needs python3-yaml"
	[ -z "${LNX_SAN:-}" ] || skip "not from an instrumented build"
	archive=$(find "$build" -maxdepth 1 -name 'linnix-*.oci.tar' -newer "$linnixd")
	[ -n "$archive" ] || make_image
}

# The root folder of the image, in $tmp/bundle/rootfs.
unpack()
{
	mkdir "$tmp/oci"
	tar -xf "$archive" -C "$tmp/oci"
	umoci unpack --image "$tmp/oci:$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$tmp/oci/index.json")" "$tmp/bundle" >/dev/null ||
		fail "umoci unpack"
}

# shellcheck disable=SC2016 # for the inner shell
in_image()
{
	unshare -m --propagation private bash -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$tmp/bundle/rootfs" "$@"
}

same_build_same_image()
{
	local first sum
	needs_image
	make_image
	first=$digest sum=$(sha256sum <"$archive")
	# Whatever the clock, the umask and the user's tar say.
	umask 077
	SOURCE_DATE_EPOCH=0 make_image
	[ "$digest" = "$first" ] || fail "two digests: $first, $digest"
	[ "$(sha256sum <"$archive")" = "$sum" ] || fail "the archive differs"
	[ "$(stat -c %s "$archive")" -lt 25000000 ] || fail "$(stat -c %s "$archive") bytes"
}

everything_is_in_it_and_nothing_else()
{
	local f root
	need_root
	needs_image
	unpack
	root=$tmp/bundle/rootfs
	for f in plugins/*/plugin.mk; do
		[ -e "$root/usr/lib/linnix/plugins/$(basename "$(dirname "$f")").so" ] || fail "no plugin of $f"
	done
	for f in bpf/*.bpf.c; do
		[ -e "$root/usr/lib/linnix/bpf/$(basename "$f" .c).o" ] || fail "no object of $f"
	done
	diff -r scripts/rules "$root/etc/linnix/rules.d" || fail "other rules"
	[ -z "$(find "$root" ! -type l ! -type d -perm /6022)" ] || fail "setuid, or writable by others: $(find "$root" ! -type l -perm /6022)"
	[ -z "$(find "$root" ! -uid 0)" ] || fail "not root's: $(find "$root" ! -uid 0)"
	[ "$(find "$root/usr/bin" -type f | wc -l)" -eq 2 ] || fail "more than two programs: $(ls "$root/usr/bin")"
	! grep -rlI -e "$PWD" "$root/usr" "$root/etc" || fail "a text names the source tree"
	in_image /usr/bin/linnixd --check-config || fail "it does not run on its own"
	in_image /usr/bin/linnix version | grep -q "$("$linnixd" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')" || fail "another version"
}

start_containerd()
{
	need containerd
	need ctr
	need nsenter
	need runc
	containerd --root "$tmp/ctd" --state "$tmp/cts" --address "$tmp/ctd.sock" --log-level error >"$tmp/containerd.log" 2>&1 &
	ctr=(ctr --address "$tmp/ctd.sock" -n linnix-test)
	poll 15 "${ctr[@]}" version >/dev/null || fail "containerd: $(cat "$tmp/containerd.log")"
}

stop_containerd()
{
	local c
	for c in $("${ctr[@]}" containers ls -q); do
		"${ctr[@]}" task kill -s KILL "$c" 2>/dev/null
		no_task() { ! "${ctr[@]}" task ls | grep -q "^$c .*RUNNING"; }
		within 5 no_task || true
		"${ctr[@]}" task rm -f "$c" >/dev/null 2>&1
		"${ctr[@]}" containers rm "$c" >/dev/null 2>&1
	done
	finish
	umount "$tmp/rootfs" 2>/dev/null
}

# A ConfigMap as a kubelet shows it: files are links to ..data/FILE, ..data is a link to a folder that is replaced at once.
config_map()
{
	local dir=$1 version=..2026_$RANDOM
	shift
	mkdir -p "$dir/$version"
	cp "$@" "$dir/$version/"
	ln -sfn "$version" "$dir/..data_tmp"
	mv -T "$dir/..data_tmp" "$dir/..data"
	local f
	for f in "$@"; do ln -sfn "..data/$(basename "$f")" "$dir/$(basename "$f")"; done
}

# start_container DAEMONSET: as the file says; other volumes than configuration and rules are already in $tmp/vol.
start_container()
{
	local words
	mkdir -p "$tmp"/vol/{state,run}
	python3 - >"$tmp/linnix.yaml" <<-'END' || fail "no configuration in k8s/base"
		import yaml
		print(yaml.safe_load(open("k8s/base/20-config.yaml"))["data"]["linnix.yaml"], end="")
	END
	config_map "$tmp/vol/config" "$tmp/linnix.yaml"
	config_map "$tmp/vol/rules" scripts/rules/*.lua
	mapfile -t words < <(tests/func/ctr_args.py "$1" "$tmp/vol")
	[ "${#words[@]}" -gt 40 ] || fail "ctr_args.py: ${words[*]}"
	start_containerd
	trap stop_containerd EXIT
	"${ctr[@]}" images import --snapshotter native "$archive" >/dev/null || fail "containerd does not take the archive"
	container=linnix-test-$$
	image=$(printf '%s\n' "${words[@]}" | grep '^localhost/')
	words=("${words[@]/#linnix-test-*/$container}")
	# ctr cannot leave out the pid namespace, as a kubelet does for hostPID: so take what it would run, and change that. No budget is
	# tested here: see prepare.
	"${ctr[@]}" containers create --snapshotter native "${words[@]}" || fail "the container is not created"
	"${ctr[@]}" containers info --spec "$container" |
		jq --arg root "$tmp/rootfs" 'del(.linux.namespaces[] | select(.type == "pid")) | .root.path = $root |
			.process.env += ["LINNIX_BUDGET_CPU_PCT=100", "LINNIX_BUDGET_CPU_MAX_MILLICORES=2000"]' >"$tmp/spec.json"
	"${ctr[@]}" containers rm "$container"
	mkdir "$tmp/rootfs"
	"${ctr[@]}" images mount --snapshotter native --rw "$image" "$tmp/rootfs" >/dev/null || fail "the image has no root"
	"${ctr[@]}" run --pid-file "$tmp/pid" --config "$tmp/spec.json" "$container" >"$tmp/log" 2>&1 &
	poll 15 test -s "$tmp/pid" || fail "it does not start: $(cat "$tmp/log" "$tmp/containerd.log")"
	pid=$(cat "$tmp/pid")
	inside=(nsenter -t "$pid" -n)
	log=$tmp/log
}

api() { "${inside[@]}" curl -fsS -m $((5 * patience)) "http://127.0.0.1:3000$1"; }
is_exact() { [ "$(api /status | jq -r .tiers.cpu)" = exact ]; }
ready() { "${inside[@]}" curl -fsS -m $((5 * patience)) http://127.0.0.1:9464/readyz >"$tmp/readyz" 2>/dev/null; }

from_the_archive_to_the_first_blame_in_30_s()
{
	local begin caps
	need_root
	[ -r /sys/kernel/btf/vmlinux ] || skip "this kernel has no BTF"
	needs_image
	begin=$(now_ms)
	start_container k8s/base/50-daemonset.yaml
	poll 20 ready || fail "not ready: $(cat "$tmp/readyz" "$tmp/log")"
	echo "ready after $(($(now_ms) - begin)) ms: $(cat "$tmp/readyz")"
	poll 20 is_exact || not_exact "$(api /status)"
	ready || fail "not ready: $(cat "$tmp/readyz")"
	jq -e '.degraded == []' "$tmp/readyz" >/dev/null || fail "a healthy agent complains: $(cat "$tmp/readyz")"
	passes_selftest "${inside[@]}" "$linnix" --url http://127.0.0.1:3000 selftest || fail "selftest: $(cat "$tmp/selftest" "$tmp/log")"
	echo "blame after $(($(now_ms) - begin)) ms"
	[ $(($(now_ms) - begin)) -le $((30000 * slow)) ] || fail "the first blame took $(($(now_ms) - begin)) ms"

	# What it was given is what the manifest says: CAP_PERFMON is bit 38, CAP_BPF is bit 39.
	caps=$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")
	[ "$caps" = 000000c000000000 ] || fail "capabilities: $caps"
	grep -qE '^NoNewPrivs:\s1$' "/proc/$pid/status" || fail "it may gain privileges"
	grep -qE '^Seccomp:\s2$' "/proc/$pid/status" || fail "no seccomp filter"
	awk '$5 == "/" && $6 ~ /^ro/ { ro = 1 } END { exit !ro }' "/proc/$pid/mountinfo" || fail "its root is writable"

	# The command line inside the pod, the API on its loopback only, and the node's name.
	"${ctr[@]}" task exec --exec-id one "$container" /usr/bin/linnix plugins >"$tmp/plugins" || fail "linnix in the container: $(cat "$tmp/plugins")"
	grep -q stall "$tmp/plugins" || fail "$(cat "$tmp/plugins")"
	api /status | jq -e '.node == "test-node"' >/dev/null || fail "/status: $(api /status)"
	! grep -qE '"level":"(error|warn)"' <(grep -v LimitNOFILE "$tmp/log") || fail "it complains: $(cat "$tmp/log")"
	"${inside[@]}" ss -Hltn >"$tmp/listeners"
	[ "$(grep -c -e '127.0.0.1:3000 ' -e ':9464 ' "$tmp/listeners")-$(wc -l <"$tmp/listeners")" = 2-2 ] || fail "other listeners: $(cat "$tmp/listeners")"

	# A rule is edited in the ConfigMap: no restart.
	cp -r scripts/rules "$tmp/edited"
	sed -i 's/"fork-storm"/"edited"/' "$tmp/edited/fork_storm.lua"
	config_map "$tmp/vol/rules" "$tmp"/edited/*.lua
	is_edited() { api /rules | jq -e '[.rules[].name] | index("edited") != null and index("fork-storm") == null' >/dev/null; }
	poll 15 is_edited || fail "the edited rule is not in force: $(api /rules) $(tail -5 "$tmp/log")"
	! is_gone "$pid" || fail "it was restarted"

	kill -TERM "$pid"
	poll 6 is_gone "$pid" || fail "it does not stop"
	[ -s "$tmp/vol/state/linnix.db" ] || fail "no history on the host: $(ls "$tmp/vol/state")"
}

# The manifest of an overlay, in $tmp/overlay.yaml.
overlay()
{
	local bin
	bin=$(scripts/dev/kubectl.sh 2>"$tmp/fetch.err") || {
		[ $? -eq 77 ] && skip "$(tail -1 "$tmp/fetch.err")"
		fail "$(cat "$tmp/fetch.err")"
	}
	"$bin/kubectl" kustomize "k8s/overlays/$1" >"$tmp/overlay.yaml" || fail "kubectl kustomize k8s/overlays/$1"
}

plugins_of_the_overlay_are_loaded()
{
	local words applet
	need_root
	need busybox
	needs_image
	overlay plugins
	mkdir -p "$tmp"/init/{bin,plugins,copy} "$tmp/vol"
	cp -r sdk/template/c "$tmp/crashes"
	make -C "$tmp/crashes" LINNIX_SDK="$PWD/sdk" >"$tmp/make.log" 2>&1 || fail "$(cat "$tmp/make.log")"
	# As somebody's image may have it, with which the agent would have nothing to do.
	find "$tmp/crashes" -name crashes.so -exec install -m 666 -o 1000 -g 1000 {} "$tmp/init/plugins/" \;
	cp "$(command -v busybox)" "$tmp/init/bin/busybox"
	for applet in sh mkdir cp chmod; do ln -s busybox "$tmp/init/bin/$applet"; done
	mapfile -t words < <(python3 - "$tmp/overlay.yaml" <<-'END'
		import sys, yaml
		docs = yaml.safe_load_all(open(sys.argv[1]))
		pod = next(d for d in docs if d["kind"] == "DaemonSet")["spec"]["template"]["spec"]
		print(*pod["initContainers"][0]["command"], sep="\n")
	END
	)
	[ "${#words[@]}" -ge 3 ] || fail "the init container runs nothing"
	chroot "$tmp/init" "${words[@]}" || fail "the init container: ${words[*]} (busybox must be the static one)"
	mv "$tmp/init/copy" "$tmp/vol/plugins"
	start_container "$tmp/overlay.yaml"
	poll 20 ready || fail "not ready: $(cat "$tmp/readyz" "$tmp/log")"
	api /plugins | jq -e '[.[].plugin] | index("crashes") != null and index("stall") != null' >/dev/null || fail "$(api /plugins) $(cat "$tmp/log")"
}

api_of_the_overlay_wants_tls_and_a_token()
{
	local token
	need_root
	need openssl
	needs_image
	overlay api-token
	mkdir -p "$tmp"/vol/{api,api-tls}
	token=$(openssl rand -hex 32)
	(umask 077 && echo "$token" >"$tmp/vol/api/token")
	openssl req -x509 -newkey ed25519 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$tmp/vol/api-tls/tls.key" -out "$tmp/vol/api-tls/tls.crt" 2>"$tmp/openssl.log" || fail "$(cat "$tmp/openssl.log")"
	start_container "$tmp/overlay.yaml"
	poll 20 ready || fail "not ready: $(cat "$tmp/readyz" "$tmp/log")"
	"${inside[@]}" ss -Hltn | grep -q '[*]:3000 ' || fail "the API is not on every address: $("${inside[@]}" ss -Hltn)"
	code() { "${inside[@]}" curl -sS -m $((5 * patience)) -o /dev/null -w '%{http_code}' --cacert "$tmp/vol/api-tls/tls.crt" "$@" 2>/dev/null; }
	[ "$(code http://127.0.0.1:3000/status)" != 200 ] || fail "it answers without TLS"
	[ "$(code https://127.0.0.1:3000/status)" = 401 ] || fail "without a token: $(code https://127.0.0.1:3000/status)"
	[ "$(code -H "Authorization: Bearer ${token/[0-9]/x}" https://127.0.0.1:3000/status)" = 401 ] || fail "a wrong token"
	[ "$(code -H "Authorization: Bearer $token" https://127.0.0.1:3000/status)" = 200 ] || fail "with the token: $(cat "$tmp/log")"
}

run same_build_same_image everything_is_in_it_and_nothing_else from_the_archive_to_the_first_blame_in_30_s \
	plugins_of_the_overlay_are_loaded api_of_the_overlay_wants_tls_and_a_token
