#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Actions on real processes in real cgroups: throttled, frozen, signalled; measured; and taken back by everything that can
# end them: a person, the lease, SIGTERM, the death of the agent, of its guardian, of both.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"
# shellcheck source=tests/func/lib_notify.sh
. "$(dirname "$0")/lib_notify.sh"
controllers=(cpu freezer)
loud='' victim='' crowd='' one='' two='' three='' # set by group

# rule NAME COMM ACT: it fires at once when COMM is executed.
rule()
{
	mkdir -p "$tmp/rules"
	printf 'rule "%s" { on = "proc.exec", where = { comm = "%s" }, by = "pid", keep = "1h", act = { %s } }\n' "$@" >>"$tmp/rules/$1.lua"
}

# enforcing [NAME=VALUE…]: an agent that may act.
enforcing()
{
	need_root
	need jq
	find_roots
	trap 'end_hogs; finish; remove_groups' EXIT
	[ -n "${url:-}" ] || prepare
	# Root on the unix socket may decide.
	unset LINNIX_URL
	export LINNIX_RULES_DIR=$tmp/rules LINNIX_ENFORCE_ENABLED=true LINNIX_ENFORCE_DRY_RUN=false LINNIX_ENFORCE_JOURNAL=$tmp/journal \
		LINNIX_STALL_MODE=psi-only LINNIX_PROBES_DISABLED=sched,blkio,mem # an emulated CPU takes minutes to check them
	[ $# -eq 0 ] || export "${@?}"
	start_agent
}

hogs=()
end_hogs()
{
	[ "${#hogs[@]}" -eq 0 ] || kill -9 "${hogs[@]}" 2>/dev/null
	guardians | xargs -r kill -9
}

# hog GROUP COMM: busy on the last CPU under that name; sets $hog_pid.
hog()
{
	[ -e "$tmp/$2" ] || cp "$(command -v bash)" "$tmp/$2"
	(
		enter "$1" || exit 1
		exec taskset -c "$(($(getconf _NPROCESSORS_ONLN) - 1))" "$tmp/$2" -c 'while :; do :; done'
	) >/dev/null 2>&1 &
	hog_pid=$!
	hogs+=("$hog_pid")
}

# sleeper GROUP COMM: of that name, does nothing.
sleeper()
{
	cp "$(command -v sleep)" "$tmp/$2"
	(
		enter "$1" || exit 1
		exec "$tmp/$2" 1000
	) >/dev/null 2>&1 &
	hogs+=($!)
}

# Guardians of this test: they have its journal open.
guardians() { for p in $(pgrep -x linnix-guardian); do [ "$(readlink "/proc/$p/fd/4")" != "$tmp/journal" ] || echo "$p"; done; }
no_guardian() { [ -z "$(guardians)" ]; }

# latest RULE: its newest action, as JSON.
latest() { get /actions | jq -c --arg r "$1" '[.[] | select(.rule == $r)][0] // {}'; }
# action ID: that one, as JSON.
action() { get /actions | jq -c --arg i "$1" '[.[] | select(.id == $i)][0] // {}'; }
is_in() { latest "$1" | jq -e --arg s "$2" '.state == $s' >/dev/null; }
# proposed RULE: waits for it and sets $id.
proposed()
{
	poll 20 is_in "$1" proposed || fail "$1 is not proposed: $(get /actions) $(get /rules) $(tail -5 "$log")"
	id=$(latest "$1" | jq -r .id)
}
# approved RULE: proposed, then approved and in force.
approved()
{
	proposed "$1"
	"$linnix" actions approve "$id" >"$tmp/approve" || fail "approve"
	poll 10 is_in "$1" applied || fail "$1 is not applied: $(latest "$1") $(tail -5 "$log")"
}

frozen() { [ "$(cat "$v2/$1/cgroup.freeze")" = "$2" ]; }

# The shipped rule with an act, as SAFETY.md shows it.
noisy_neighbour()
{
	mkdir -p "$tmp/rules"
	sed 's/^  blame     = "cpu",$/&\n  act = { throttle = "30%", lease = "10m" },/' scripts/rules/noisy_neighbour.lua >"$tmp/rules/noisy_neighbour.lua"
	grep -q throttle "$tmp/rules/noisy_neighbour.lua" || fail "the rule has changed"
}

a_throttled_hog_helps_its_victim_and_what_is_worse_is_undone()
{
	local before after inc line
	noisy_neighbour
	rule worse lnx-worse 'weight = 50'
	enforcing LINNIX_STALL_MODE=auto LINNIX_PROBES_DISABLED= LINNIX_ENFORCE_MEASURE=4s
	need_exact
	group loud
	group victim
	set_weight "$loud" "$large" 2>/dev/null || skip "no cpu controller"
	hog "$victim" quiet
	hog "$loud" loud
	hog "$loud" loud
	proposed noisy-neighbour
	latest noisy-neighbour | jq -e --arg g "$loud" --arg v "$victim" '.target.workload == $g and .victim == $v' >/dev/null || fail "$(latest noisy-neighbour)"
	"$linnix" actions approve --dry-run "${id: -8}" >"$tmp/dry" || fail "--dry-run"
	grep -q "^would write '30000.*$loud" "$tmp/dry" || fail "$(cat "$tmp/dry")"
	has_quota "$loud" "$no_quota" || fail "the dry run did it"
	"$linnix" actions approve "$id" >"$tmp/approve" || fail "approve"
	# The rule may ask about others meanwhile: the one it helped now makes the hog wait.
	helped() { action "$id" | jq -e '.outcome == "helped" and .in_force' >/dev/null; }
	poll 30 has_quota "$loud" "$quota_30" || fail "$(action "$id")"
	poll 30 helped || fail "it is not measured to have helped: $(get /actions)"
	before=$(action "$id" | jq .before_ms_per_s)
	after=$(action "$id" | jq .after_ms_per_s)
	echo "before $before ms/s, after $after ms/s"
	jq -ne "$after < 0.8 * $before" >/dev/null || fail "$before to $after is no help"
	# The incident tells it, with who approved.
	inc=$(action "$id" | jq -r .incident)
	get "/incidents/$inc" >"$tmp/inc" || fail "no incident '$inc'"
	jq -e 'any(.evidence[]; .topic == "outcome" and (.text | test("^helped: "))) and
		([.actions[] | select(.id == $i)] | length == 1 and (.[0].by | test("^uid 0 .unix socket. .root")))' --arg i "$id" "$tmp/inc" >/dev/null || fail "$(cat "$tmp/inc")"
	jq -e '.outcome == "helped"' "$tmp/inc" >/dev/null || fail "its outcome: $(jq -c '.outcome, .actions' "$tmp/inc")"
	"$linnix" incidents show "$inc" >"$tmp/shown"
	for line in '^outcome    helped$' "^  measured  $id\$" '^            outcome helped, in force$'; do
		grep -q "$line" "$tmp/shown" || fail "show has no '$line': $(cat "$tmp/shown")"
	done
	"$linnix" actions | grep -q "measured (in force).*throttle 30%.*helped" || fail "$("$linnix" actions)"
	"$linnix" actions undo "$id" | grep -q '^undone' || fail "undo"
	has_quota "$loud" "$no_quota" || fail "the quota is still there"
	# What makes it worse is undone at once. Here others lose nothing to it before, and much after.
	kill -9 "${hogs[@]}"
	group crowd
	hogs=()
	sleeper "$crowd" lnx-worse
	proposed worse
	nobody_waits() { get /workloads | jq -e --arg g "$crowd" 'all(.[]; .workload != $g or .caused_ms < 1)' >/dev/null; }
	poll 20 nobody_waits || fail "$(get /workloads)"
	"$linnix" actions approve "$id" >"$tmp/approve" || fail "approve"
	poll 10 has_weight "$crowd" "$weight_50" || fail "$(latest worse)"
	hog "$victim" quiet
	hog "$crowd" crowd
	hog "$crowd" crowd
	worse() { latest worse | jq -e '.outcome == "worse" and .state == "undone"' >/dev/null; }
	poll 30 worse || fail "not undone: $(latest worse)"
	has_weight "$crowd" "$usual_weight" || fail "the weight is still there"
	stop_agent TERM
	"$linnix" incidents verify --db "$tmp/linnix.db" --json | jq -e .ok >/dev/null || fail "the log is broken"
}

it_is_taken_back_whoever_dies()
{
	local g
	rule weight lnx-weight 'weight = 10, lease = "10m"'
	rule freeze lnx-freeze 'freeze = true, lease = "10m"'
	rule throttle lnx-throttle 'throttle = "30%", lease = "10m"'
	enforcing
	group one
	# The agent ends as it should: SIGTERM takes everything back.
	hog "$one" lnx-freeze
	approved freeze
	frozen "$one" 1 || fail "it is not frozen"
	g=$(guardians)
	[ "$(wc -w <<<"$g")" -eq 1 ] || fail "guardians: $g"
	[ "$(find "/proc/$g/fd" -type l | wc -l)" -eq 5 ] || fail "the guardian holds: $(ls -l "/proc/$g/fd")"
	[ "$(awk '{ print $6 }' "/proc/$g/stat")" = "$g" ] || fail "it is in the agent's session"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
	frozen "$one" 0 || fail "SIGTERM leaves it frozen"
	poll 5 no_guardian || fail "the guardian stays"
	# The agent is killed: the guardian does it, whatever else it is told.
	start_agent
	hog "$one" lnx-throttle
	approved throttle
	has_quota "$one" "$quota_30" || fail "no quota: $(quota "$one")"
	kill -TERM "$(guardians)"
	has_quota "$one" "$quota_30" || fail "SIGTERM ends the guardian"
	kill -9 "$agent"
	poll 5 has_quota "$one" "$no_quota" || fail "the guardian does not undo it"
	poll 5 no_guardian || fail "the guardian stays"
	# Its record says so after the next start.
	start_agent
	told() { is_in throttle undone; }
	poll 10 told || fail "the record still says: $(latest throttle)"
	# The guardian is killed: the agent does it.
	hog "$one" lnx-weight
	approved weight
	has_weight "$one" "$weight_10" || fail "no weight: $(weight "$one")"
	kill -9 "$(guardians)"
	poll 5 has_weight "$one" "$usual_weight" || fail "nobody undoes it"
	poll 5 is_in weight undone || fail "$(latest weight)"
	# Both are killed, the guardian before it can act: the next start does it, though it is to do nothing new.
	hog "$one" lnx-weight
	approved weight
	g=$(guardians)
	kill -STOP "$g"
	kill -9 "$agent"
	poll 5 is_gone "$agent" || fail "the agent lives"
	kill -9 "$g"
	poll 5 no_guardian || fail "the guardian lives"
	has_weight "$one" "$weight_10" || fail "who undid it?"
	LINNIX_ENFORCE_DRY_RUN=true start_agent
	has_weight "$one" "$usual_weight" || fail "the next start leaves it: $(cat "$tmp/journal") $(cat "$log")"
	poll 5 is_in weight undone || fail "$(latest weight)"
	log_has 'was in force when the agent and its guardian died: undone' || fail "the log does not tell: $(tail -5 "$log")"
}

what_others_changed_and_what_is_over()
{
	rule throttle lnx-throttle 'throttle = "30%", lease = "10m"'
	rule short lnx-short 'throttle = "30%", lease = "1s"'
	rule auto lnx-auto 'weight = 10'
	rule sshd sshd 'freeze = true'
	enforcing LINNIX_ENFORCE_AUTO=auto,nothing-* LINNIX_ENFORCE_GRACE=1s LINNIX_ENFORCE_MAX_PER_HOUR=3
	group one
	group two
	hog "$one" lnx-throttle
	approved throttle
	set_quota "$one" 70000
	"$linnix" actions undo "$id" | grep -q 'left as it is' || fail "undo: $(latest throttle)"
	case $(quota "$one") in 70000*) ;; *) fail "somebody else's value is gone: $(quota "$one")" ;; esac
	"$linnix" actions undo "$id" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "undone twice"
	grep -q 'not in force' "$tmp/err" || fail "$(cat "$tmp/err")"
	# A lease ends by itself.
	hog "$two" lnx-short
	# Not approved: it may be over before it is seen in force.
	proposed short
	"$linnix" actions approve "$id" >"$tmp/approve" || fail "approve"
	poll 10 is_in short undone || fail "the lease does not end: $(latest short)"
	has_quota "$two" "$no_quota" || fail "the quota stays: $(quota "$two")"
	latest short | jq -e '.text | test("lease is over")' >/dev/null || fail "$(latest short)"
	# A trusted rule needs nobody.
	hog "$two" lnx-auto
	poll 20 has_weight "$two" "$weight_10" || fail "not done by itself: $(latest auto)"
	poll 5 is_in auto applied || fail "$(latest auto)"
	latest auto | jq -e '.by == "auto (rule auto)" and .auto' >/dev/null || fail "$(latest auto)"
	# Three were done: no more in this hour.
	group three
	hog "$three" lnx-throttle
	proposed throttle
	"$linnix" actions approve "$id" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "a fourth one"
	grep -q 'max_per_hour' "$tmp/err" || fail "$(cat "$tmp/err")"
	has_quota "$three" "$no_quota" || fail "it was done"
	# A protected name, wherever it runs.
	hog "$three" sshd
	poll 10 is_in sshd refused || fail "$(latest sshd)"
	latest sshd | jq -e '.text | test("sshd.* is protected")' >/dev/null || fail "$(latest sshd)"
	# Nobody but root and the administrator decides; nonsense is refused.
	"$linnix" --url "$url" actions deny "$id" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "anybody may decide"
	for body in '[]' '{"by":1}' '{"x":"y"}' '{"dry_run":"yes"}' nonsense; do
		[ "$(curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$socket" -H 'Content-Type: application/json' -d "$body" "http://localhost/actions/${id##*/}/approve")" = 400 ] ||
			fail "$body is taken"
	done
	"$linnix" actions approve "other/${id##*/}" 2>"$tmp/err"
	grep -q 'is of node other, this is' "$tmp/err" || fail "$(cat "$tmp/err")"
	[ "$(status_of /actions?state=x)" = 400 ] || fail "a bad state"
	[ "$(status_of /actions/01ARZ3NDEKTSV4RRFFQ69G5FAV)" = 404 ] || fail "an unknown id"
}

a_signal_reaches_the_tree_that_was_meant()
{
	local p q n
	rule stop lnx-stop 'signal = "STOP", lease = "10m"'
	rule kill lnx-kill 'signal = "KILL"'
	enforcing
	group one
	cp "$(command -v bash)" "$tmp/lnx-stop"
	(
		enter "$one" || exit 1
		exec "$tmp/lnx-stop" -c 'sleep 1000 & sleep 1000 & wait'
	) >/dev/null 2>&1 &
	p=$!
	children() { [ "$(pgrep -cP "$p")" -eq 2 ]; }
	poll 10 children || fail "no children"
	proposed stop
	"$linnix" actions approve "$id" | grep -q 'send STOP to 3 processes' || fail "$(latest stop)"
	states() { for q in "$p" $(pgrep -P "$p"); do awk '{ print $3 }' "/proc/$q/stat"; done | sort -u | tr -d '\n'; }
	stopped() { [ "$(states)" = T ]; }
	poll 5 stopped || fail "they are $(states)"
	"$linnix" actions undo "$id" | grep -q '^undone' || fail "undo: $(latest stop)"
	going() { [ "$(states)" = S ]; }
	poll 5 going || fail "they are $(states)"
	pgrep -P "$p" | xargs kill -9
	# The process ends while the request waits, and its number becomes another's.
	hog "$one" lnx-kill
	p=$hog_pid
	proposed kill
	kill -9 "$p"
	wait "$p" 2>/dev/null
	q=
	for ((n = 0; n < 200; n++)); do
		echo $((p - 1)) 2>/dev/null >/proc/sys/kernel/ns_last_pid || break
		sleep 1000 &
		q=$!
		[ "$q" -ne "$p" ] || break
		kill -9 "$q"
		q=
	done
	[ -n "$q" ] || echo "its number could not be given to another"
	"$linnix" actions approve "$id" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "approved: $(latest kill)"
	if [ -n "$q" ]; then
		grep -q "process $p is another one by now (sleep)" "$tmp/err" || fail "$(cat "$tmp/err")"
		is_alive "$q" || fail "the wrong one was killed"
		kill -9 "$q"
	else
		grep -q "process $p has ended" "$tmp/err" || fail "$(cat "$tmp/err")"
	fi
	is_in kill refused || fail "$(latest kill)"
	# And the one that is meant is killed.
	group two
	hog "$two" lnx-kill
	again() { [ "$(latest kill | jq -r .id)" != "$1" ] && is_in kill proposed; }
	poll 10 again "$id" || fail "$(latest kill)"
	"$linnix" actions approve "$(latest kill | jq -r .id)" >/dev/null || fail "approve: $(latest kill)"
	poll 5 is_gone "$hog_pid" || fail "it lives"
}

# The whole way: a rule asks, people are shown it in Slack, one of them clicks, and hears what came of it.
a_click_in_slack_throttles_the_hog()
{
	local stamp body
	need openssl
	prepare
	receiver
	secret url "$recv/slack/T0/B0/x"
	secret signing a-secret
	secret token read-token-0123456789
	rule throttle lnx-throttle 'throttle = "30%", lease = "10m"'
	rule freeze lnx-freeze 'freeze = true'
	get() { curl -fsS -m $((10 * patience)) --unix-socket "$socket" "http://localhost$1"; } # root needs no token there
	enforcing LINNIX_HTTP_LISTEN=0.0.0.0:"$port" LINNIX_HTTP_ALLOW_PLAINTEXT=true LINNIX_HTTP_TOKEN_FILE="$tmp/token" LINNIX_SLACK_ENABLED=true \
		LINNIX_SLACK_WEBHOOK_URL_FILE="$tmp/url" LINNIX_SLACK_SIGNING_SECRET_FILE="$tmp/signing" LINNIX_SLACK_GROUP=0s LINNIX_SLACK_RATE=0
	group one
	group two
	hog "$one" lnx-throttle
	# button VERB RULE: the value of the button in the newest message that has one for that rule
	button()
	{
		bodies | jq -rs --arg v "linnix.$1.0" --arg r "$2" '[.[] | select(tostring | contains($r)) | .blocks[] |
			select(.type == "actions") | .elements[] | select(.action_id == $v) | .value] | last // empty'
	}
	offered() { [ -n "$(button approve "$1")" ]; }
	poll 30 offered throttle || fail "no button: $(requests) $(latest throttle) $(tail -5 "$log")"
	hog "$two" lnx-freeze
	poll 30 offered freeze || fail "no button: $(requests) $(latest freeze) $(tail -5 "$log")"
	id=$(button approve throttle)
	[ "$id" = "$(latest throttle | jq -r .id)" ] || fail "$id is not $(latest throttle)"
	bodies | jq -es --arg q "$quota_30" 'any(.[].blocks[]; .type == "section" and (.text.text? // "" | test("Action asked for:.*write .\($q | split(" ")[0])")))' >/dev/null ||
		fail "what would be done is not shown: $(bodies)"
	# None of these is a decision; that a click needs no token does not make reading free.
	[ "$(status_of /status)" = 401 ] || fail "reading needs no token"
	stamp=$(date +%s)
	body=$(form approve "$id" "$recv/answer")
	clicked "$((stamp - 400))" "$body" | grep -q '"stale".* 403 *$' || fail "an old click is taken"
	clicked "$stamp" "$body" "$(printf %064d 0)" | grep -q '"wrong_signature".* 403 *$' || fail "anybody may click"
	clicked "$stamp" "$(form approve "other/${id##*/}")" | grep -q "wrong node.*on other run: linnix actions approve other/${id##*/}.* 200 *$" || fail "another node's"
	has_quota "$one" "$no_quota" || fail "it was done: $(latest throttle)"
	clicked "$stamp" "$body" >"$tmp/click"
	grep -q 'approved: write.* 200 *$' "$tmp/click" || fail "$(cat "$tmp/click") $(latest throttle)"
	poll 10 has_quota "$one" "$quota_30" || fail "not done: $(latest throttle)"
	clicked "$stamp" "$body" | grep -q '"replay".* 403 *$' || fail "it is taken twice"
	clicked "$((stamp + 1))" "$body" | grep -q 'no longer waits.* 200 *$' || fail "it is approved twice"
	latest throttle | jq -e '.by == "slack U024BE7LH (ann)"' >/dev/null || fail "who did it: $(latest throttle)"
	# A message tells of it, without buttons; and the answer goes to where Slack said.
	updated() { bodies | jq -es 'any(.[].blocks; tostring | contains("Action in force:") and (contains("linnix.approve") | not))' >/dev/null; }
	poll 20 updated || fail "nobody is told: $(bodies)"
	answered() { requests | jq -es 'any(.[]; .path == "/answer" and (.body | fromjson | .text | startswith("approved: ")))' >/dev/null; }
	poll 10 answered || fail "no answer: $(requests)"
	# Deny.
	clicked "$stamp" "$(form reject "$(button reject freeze)")" | grep -q 'rejected.* 200 *$' || fail "deny"
	is_in freeze rejected || fail "$(latest freeze)"
	frozen "$two" 0 || fail "it is frozen"
	denied() { bodies | jq -es 'any(.[].blocks; tostring | contains("Action turned down:"))' >/dev/null; }
	poll 20 denied || fail "nobody is told: $(bodies)"
	[ ! -e "$tmp/recv/refused" ] || fail "Slack would refuse: $(cat "$tmp/recv/refused")"
	! log_has a-secret || fail "the secret is in the log"
	stop_agent TERM
	has_quota "$one" "$no_quota" || fail "the quota stays"
	"$linnix" incidents verify --db "$tmp/linnix.db" --json | jq -e .ok >/dev/null || fail "the log is broken"
}

# writes_of TRACE: what of a control group was opened to be written, and signals that were sent.
writes_of() { grep -E 'open(at|at2)?\(.*cgroup.*O_(WRONLY|RDWR)|pidfd_send_signal\(|[^a-z_](t?g?kill|rt_sigqueueinfo)\([0-9]+, SIG' "$1"; }

a_default_agent_and_a_dry_run_touch_nothing()
{
	need_root
	need strace
	need jq
	rule freeze lnx-freeze 'freeze = true'
	export LINNIX_RULES_DIR=$tmp/rules
	prepare
	# shellcheck disable=SC2054 # strace wants commas
	launcher=(strace -f -qq -e trace=open,openat,openat2,creat,kill,tkill,tgkill,rt_sigqueueinfo,pidfd_send_signal -o "$tmp/trace")
	find_roots
	trap 'end_hogs; finish; remove_groups' EXIT
	start_agent
	get /plugins | jq -e 'any(.[]; .instance == "enforce" and .state == "off")' >/dev/null || fail "$(get /plugins)"
	[ "$(status_of /actions)" = 404 ] || fail "/actions is there"
	group one
	hog "$one" lnx-freeze
	asked() { get /rules | jq -e 'any(.rules[]; .acts_requested == 1)' >/dev/null; }
	poll 20 asked || fail "the rule does not ask: $(get /rules)"
	kill -TERM "$(pgrep -P "$agent")"
	poll 20 is_gone "$agent" || fail "it does not end"
	grep -q 'open.*O_RDONLY.*' "$tmp/trace" || fail "nothing was traced"
	! writes_of "$tmp/trace" || fail "it writes"
	# A dry run says it all and does as little.
	export LINNIX_ENFORCE_ENABLED=true LINNIX_ENFORCE_JOURNAL=$tmp/journal
	start_agent
	kill -9 "$hog_pid"
	hog "$one" lnx-freeze
	dry() { get /actions | jq -e --arg g "$one" 'any(.[]; .state == "dry-run" and (.plan | test("write .1. to .*" + $g + "/cgroup.freeze .now .0..; give it back after")))' >/dev/null; }
	poll 20 dry || fail "$(get /actions)"
	kill -TERM "$(pgrep -P "$agent")"
	poll 20 is_gone "$agent" || fail "it does not end"
	! writes_of "$tmp/trace" || fail "it writes"
	[ ! -e "$tmp/journal" ] || fail "it makes a journal"
}

# An agent that is not root, with the rights that SAFETY.md names: it keeps them, and hands them to its guardian.
without_root_two_more_capabilities_are_enough()
{
	local caps=+bpf,+perfmon,+dac_override,+kill g
	need_root
	need jq
	need setpriv
	find_roots
	trap 'end_hogs; finish; remove_groups' EXIT
	mkdir -p "$tmp/tree"/{build/bin,etc} "$tmp/run"
	cp "$linnixd" "$tmp/tree/build/bin"
	cp -r "$build/linnix-guardian" "$build/plugins" "$build/bpf" "$tmp/tree/build"
	cp etc/linnix.yaml "$tmp/tree/etc"
	rule weight lnx-weight 'weight = 10'
	chmod -R go+rX,go-w "$tmp/tree" "$tmp/rules"
	chown nobody "$tmp/run"
	prepare
	unset LINNIX_URL
	socket=$tmp/run/linnix.sock
	export LINNIX_HTTP_SOCKET=$socket LINNIX_PLUGINS_STATE_FILE=$tmp/run/state LINNIX_STORE_PATH=$tmp/run/linnix.db \
		LINNIX_RULES_DIR=$tmp/rules LINNIX_ENFORCE_ENABLED=true LINNIX_ENFORCE_DRY_RUN=false \
		LINNIX_ENFORCE_JOURNAL=$tmp/run/journal LINNIX_STALL_MODE=psi-only LINNIX_PROBES_DISABLED=sched,blkio,mem
	linnixd=$tmp/tree/build/bin/linnixd
	launcher=(setpriv --reuid nobody --regid "$(id -gn nobody)" --clear-groups --bounding-set "-all,$caps" --inh-caps "-all,$caps"
		--ambient-caps "-all,$caps" --no-new-privs)
	agent_args=(--config "$tmp/tree/etc/linnix.yaml")
	start_agent
	group one
	sleeper "$one" lnx-weight
	approved weight
	has_weight "$one" "$weight_10" || fail "no weight: $(weight "$one")"
	g=$(pgrep -P "$agent" -x linnix-guardian)
	# Bits 1 and 5.
	[ $((0x$(awk '/^CapEff/ { print $2 }' "/proc/$g/status"))) -eq 34 ] || fail "rights of the guardian: $(grep Cap "/proc/$g/status")"
	kill -9 "$agent"
	poll 5 has_weight "$one" "$usual_weight" || fail "the guardian does not undo it"
}

run a_click_in_slack_throttles_the_hog a_throttled_hog_helps_its_victim_and_what_is_worse_is_undone it_is_taken_back_whoever_dies what_others_changed_and_what_is_over \
	a_signal_reaches_the_tree_that_was_meant without_root_two_more_capabilities_are_enough \
	a_default_agent_and_a_dry_run_touch_nothing
