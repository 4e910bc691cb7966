#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Settlement on a real node: two agents, payer and payee, a task that is created, run, measured, proven and paid; and what may go
# wrong on the way. Whatever happens, the payee is paid once or not at all, and what was not paid is the payer's again.
# TIMEOUT: 400
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

# A name that somebody else chose would be another task; so is the same name with other terms refused.
the_same_again_is_the_same_task()
{
	cli payer task create --name t1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 5 --json >"$tmp/again" ||
		fail "again: $(cat "$tmp/again")"
	[ "$(jq -r .task_id "$tmp/again")" = "$1" ] || fail "another task: $(cat "$tmp/again")"
	! cli payer task create --name t1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 6 >"$tmp/again" 2>&1 ||
		fail "other terms were taken"
	grep -q 'other terms' "$tmp/again" || fail "$(cat "$tmp/again")"
}

the_receipt_tells_of_what_ran()
{
	api payee "/tasks/$1/receipt" | jq -r .payload | base64 -d >"$tmp/payload"
	jq -e '.predicate.usage | (.execs | tonumber) >= 4 and .exit_code == 0 and (.cpu_ns | tonumber) > 0' "$tmp/payload" >/dev/null ||
		fail "$(cat "$tmp/payload")"
	jq -e '.predicate.attestation.degraded == false' "$tmp/payload" >/dev/null || fail "degraded: $(cat "$tmp/payload")"
	! grep -qE '/bin|hello|true"' "$tmp/payload" || fail "the host is in the payload: $(cat "$tmp/payload")"
}

# verify CODE [ARGUMENT...]: of the receipt and the events of a task, as JSON in $tmp/verdict.
verify()
{
	local want=$1 rc=0
	shift
	"$linnix" receipt verify "$tmp/receipt" --events "$tmp/events" --rpc "$settle_rpc" --json "$@" >"$tmp/verdict" || rc=$?
	[ "$rc" -eq "$want" ] || fail "receipt verify $*: exit $rc, not $want: $(cat "$tmp/verdict")"
}

the_chain_agrees_with_the_receipt()
{
	api payee "/tasks/$1/receipt" >"$tmp/receipt"
	cp "$tmp/payee/events/"*"${1#0x}"* "$tmp/events" || fail "no events: $(ls "$tmp/payee/events")"
	verify 0
	[ "$(jq -r '.verdict + " \(.not_checked | length)"' "$tmp/verdict")" = "valid 0" ] || fail "$(cat "$tmp/verdict")"
	verify 0 --settlement "$settlement"
	verify 1 --registry "$token"
	jq -e '.reasons | index("registry: payee_did is not registered")' "$tmp/verdict" >/dev/null || fail "$(cat "$tmp/verdict")"
	sed -i 3d "$tmp/events"
	verify 1
}

a_failed_command_is_not_paid_and_its_task_declined()
{
	local id rc
	id=$(new_task t2 2) || exit 1
	cli payee task run "$id" -- sh -c 'exit 7' >"$tmp/run" 2>&1
	rc=$?
	[ "$rc" -eq 7 ] || fail "exit code $rc: $(cat "$tmp/run")"
	phase_is payee "$id" offered || fail "$(task_of payee "$id")"
	before=$(nonce_of payee)
	cli payee task cancel "$id" --dry-run >"$tmp/dry" || fail "$(cat "$tmp/dry")"
	jq -e '.would_work and (.tx | length) == 66 and .gas > 21000' "$tmp/dry" >/dev/null || fail "$(cat "$tmp/dry")"
	[ "$(nonce_of payee)" = "$before" ] || fail "a dry run used a nonce"
	cli payee task cancel "$id" --wait 30s >"$tmp/cancel" || fail "$(cat "$tmp/cancel")"
	poll 20 phase_is payer "$id" cancelled || fail "$(task_of payer "$id")"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
}

what_is_late_goes_home()
{
	local id
	id=$(new_task t3 3 --deadline-blocks 20) || exit 1
	mine 25
	poll 30 phase_is payer "$id" expired || fail "$(task_of payer "$id")"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	poll 30 chain_status_is payee "$id" expired || fail "$(task_of payee "$id")"
	! cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run after its end"
	grep -q 'expired' "$tmp/run" || fail "$(cat "$tmp/run")"
}

a_dry_create_sends_nothing()
{
	local before
	before=$(nonce_of payer)
	cli payer task create --name dry --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 --dry-run >"$tmp/dry" ||
		fail "$(cat "$tmp/dry")"
	jq -e '.would_work and .kind == "create" and (.data | startswith("0x")) and (.note | test("allowance"))' "$tmp/dry" >/dev/null ||
		fail "$(cat "$tmp/dry")"
	[ "$(nonce_of payer)" = "$before" ] || fail "a nonce was used"
}

limits_hold()
{
	local a
	a=$(address_of payee)
	! cli payer task create --name over --payee "$(did_of payee)" --payee-address "$a" --amount 10.000001 >"$tmp/out" 2>&1 ||
		fail "over the limit of a task"
	grep -q 'limits.task_cents' "$tmp/out" || fail "$(cat "$tmp/out")"
	# 5 were paid, what was cancelled and what expired counts no more: 5 are left of the day's 10
	! cli payer task create --name over --payee "$(did_of payee)" --payee-address "$a" --amount 5.000001 >"$tmp/out" 2>&1 ||
		fail "over the limit of a day"
	grep -q 'limits.daily_cents' "$tmp/out" || fail "$(cat "$tmp/out")"
	new_task exact 5 >/dev/null || exit 1
}

from_create_to_paid()
{
	local id before
	need_root
	settle_chain
	settle_agent payer 'limits: {task_cents: 1000, daily_cents: 1000}'
	settle_agent payee
	fund payer 100000000
	before=$(balance payee)
	id=$(new_task t1 5) || exit 1
	[ "$(balance payer)" = 95000000 ] || fail "the escrow was not taken: $(balance payer)"
	cli payee task run "$id" -- sh -c 'echo hello; for i in 1 2 3; do /bin/true; done' >"$tmp/run" ||
		fail "run: $(cat "$tmp/run") $(tail -5 "$tmp/payee/log")"
	grep -qx hello "$tmp/run" || fail "the command did not run: $(cat "$tmp/run")"
	poll 30 phase_is payer "$id" settled || fail "not settled: $(task_of payer "$id")"
	[ "$(($(balance payee) - before))" = 5000000 ] || fail "the payee has $(balance payee), before $before"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	the_receipt_tells_of_what_ran "$id"
	the_chain_agrees_with_the_receipt "$id"
	the_same_again_is_the_same_task "$id"
	a_failed_command_is_not_paid_and_its_task_declined
	what_is_late_goes_home
	a_dry_create_sends_nothing
	limits_hold
}

silence_of_payer_and_arbiter_pays_by_the_receipt()
{
	local id before
	need_root
	settle_chain CHAIN_DISPUTE_BLOCKS=30 CHAIN_ARBITER_BLOCKS=8
	settle_agent payer 'auto_settle: false'
	settle_agent payee
	fund payer 100000000
	before=$(balance payee)
	id=$(new_task t4 4) || exit 1
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payer "$id" verified || fail "$(task_of payer "$id")"
	[ "$(balance payee)" = "$before" ] || fail "paid before the window was over"
	mine 32
	poll 30 phase_is payee "$id" settled || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 4000000 ] || fail "the payee has $(balance payee)"
	id=$(new_task t5 3) || exit 1
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payer "$id" verified || fail "$(task_of payer "$id")"
	cli payer task dispute "$id" --reason "not what was asked for" --wait 30s >"$tmp/dispute" 2>&1 || fail "$(cat "$tmp/dispute")"
	[ "$(($(balance payee) - before))" = 4000000 ] || fail "paid in spite of the dispute"
	mine 10
	poll 30 phase_is payee "$id" resolved || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 7000000 ] || fail "the payee has $(balance payee)"
}

run from_create_to_paid silence_of_payer_and_arbiter_pays_by_the_receipt
