// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {StakeBond} from "../contracts/StakeBond.sol";
import {TaskSettlement} from "../contracts/TaskSettlement.sol";
import {IAgentRegistry} from "../contracts/interfaces/IAgentRegistry.sol";
import {ITaskSettlement} from "../contracts/interfaces/ITaskSettlement.sol";
import {Base} from "./Base.sol";
import {BrokenRegistry, FalseToken} from "./mocks/Hostile.sol";

contract DisputeTest is Base {
    function resolve(uint256 amount, uint256 slash) private {
        vm.prank(arbiter);
        settlement.resolveDispute(TASK, amount, slash);
    }

    function stake(uint256 amount) private {
        usdc.mint(payee, amount);
        vm.startPrank(payee);
        usdc.approve(address(bond), amount);
        bond.bond(DID, amount);
        vm.stopPrank();
    }

    function record() private view returns (uint256 done, uint256 lost, uint256 bad) {
        (,, done, lost, bad,,) = registry.resolve(DID);
    }

    function test_only_the_payer_disputes_and_only_in_the_window() external {
        escrow(5e6);
        submit(4e6);
        vm.prank(payee);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.NotPayer.selector, payee));
        settlement.dispute(TASK, "");
        vm.roll(block.number + DISPUTE + 1);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlinePassed.selector, block.number - 1));
        settlement.dispute(TASK, "");
    }

    function test_a_disputed_task_is_frozen() external {
        disputed(5e6, 4e6);
        bytes memory wrong = abi.encodeWithSelector(ITaskSettlement.WrongStatus.selector, TASK, ITaskSettlement.Status.Disputed);
        vm.startPrank(payer);
        vm.expectRevert(wrong);
        settlement.settle(TASK);
        vm.expectRevert(wrong);
        settlement.dispute(TASK, "");
        (address a, uint48 until, bytes32 reason) = settlement.getTaskDispute(TASK);
        require(a == arbiter && until == block.number + ARBITER && reason == "bad root", "dispute");
    }

    function test_the_arbiter_splits_what_the_receipt_claims() external {
        disputed(5e6, 4e6);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.NotArbiter.selector, address(this)));
        settlement.resolveDispute(TASK, 0, 0);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.AmountTooHigh.selector, 4e6 + 1, 4e6));
        settlement.resolveDispute(TASK, 4e6 + 1, 0);
        vm.expectEmit();
        emit ITaskSettlement.DisputeResolved(TASK, 1e6, 4e6, 0);
        resolve(1e6, 0);
        balances(999e6, 1e6, 0);
        (uint256 done, uint256 lost, uint256 bad) = record();
        require(done == 0 && lost == 1 && bad == 0, "record");
    }

    function test_a_dispute_that_the_payee_wins_counts_as_done() external {
        disputed(5e6, 4e6);
        resolve(4e6, 0);
        balances(996e6, 4e6, 0);
        (uint256 done, uint256 lost,) = record();
        require(done == 1 && lost == 0, "record");
    }

    function test_the_default_arbiter_slashes_for_the_payer() external {
        stake(50e6);
        disputed(5e6, 4e6);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.AmountTooHigh.selector, 5e6 + 1, 5e6));
        settlement.resolveDispute(TASK, 0, 5e6 + 1);
        resolve(0, 5e6);
        balances(1005e6, 0, 0);
        eq(bond.stakeOf(DID), 45e6, "stake");
        (, uint256 lost, uint256 bad) = record();
        require(lost == 1 && bad == 1, "record");
    }

    function test_no_stake_no_slash_but_a_decision() external {
        disputed(5e6, 4e6);
        vm.expectEmit();
        emit ITaskSettlement.DisputeResolved(TASK, 0, 5e6, 0);
        resolve(0, 5e6);
        balances(1000e6, 0, 0);
    }

    function test_a_bond_that_cannot_pay_does_not_hold_up_the_decision() external {
        stake(50e6);
        disputed(5e6, 4e6);
        usdc.setBlacklisted(address(bond), true);
        resolve(1e6, 5e6);
        balances(999e6, 1e6, 0);
        eq(bond.stakeOf(DID), 50e6, "stake is untouched");
    }

    function test_an_arbiter_of_the_payers_choice_cannot_slash() external {
        stake(50e6);
        vm.prank(payer);
        settlement.createTaskEscrowedWithArbiter(TASK, DID, payee, address(usdc), 5e6, 100, stranger);
        submit(4e6);
        vm.prank(payer);
        settlement.dispute(TASK, "");
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.SlashNotAllowed.selector, TASK));
        settlement.resolveDispute(TASK, 0, 1);
        settlement.resolveDispute(TASK, 0, 0);
        eq(bond.stakeOf(DID), 50e6, "stake");
    }

    function test_slashing_is_in_the_token_of_the_bond() external {
        FalseToken other = new FalseToken();
        other.mint(payer, 5e6);
        vm.startPrank(payer);
        other.approve(address(settlement), 5e6);
        settlement.createTaskEscrowed(TASK, DID, payee, address(other), 5e6, 100);
        submit(4e6);
        settlement.dispute(TASK, "");
        vm.stopPrank();
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.SlashNotAllowed.selector, TASK));
        settlement.resolveDispute(TASK, 0, 1);
    }

    function test_a_silent_arbiter_lets_the_receipt_stand() external {
        disputed(5e6, 4e6);
        vm.roll(block.number + ARBITER);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlineNotReached.selector, block.number));
        settlement.claimAfterArbiterTimeout(TASK);
        vm.roll(block.number + 1);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlinePassed.selector, block.number - 1));
        settlement.resolveDispute(TASK, 0, 0);
        vm.prank(stranger);
        settlement.claimAfterArbiterTimeout(TASK);
        balances(996e6, 4e6, 0);
        expectStatus(ITaskSettlement.Status.Resolved);
    }

    // --- a registry at fault ---------------------------------------------------------------------------------------------

    function onBrokenRegistry(uint256 how) private {
        BrokenRegistry broken = new BrokenRegistry(payee);
        broken.setHow(how);
        StakeBond b = new StakeBond(address(this), IAgentRegistry(address(broken)), address(usdc), UNBOND);
        settlement = new TaskSettlement(IAgentRegistry(address(broken)), b, arbiter, DISPUTE, ARBITER, MAX_DEADLINE);
        vm.prank(payer);
        usdc.approve(address(settlement), type(uint256).max);
        escrow(5e6);
        submit(5e6);
        vm.expectEmit();
        emit ITaskSettlement.ReputationNotReported(TASK);
        vm.prank(payer);
        settlement.settle{gas: 400_000}(TASK);
        balances(995e6, 5e6, 0);
    }

    function test_a_registry_that_reverts_does_not_hold_up_payment() external {
        onBrokenRegistry(0);
    }

    function test_a_registry_that_burns_all_gas_does_not_hold_up_payment() external {
        onBrokenRegistry(1);
    }

    function test_little_gas_cannot_hide_the_outcome_from_the_registry() external {
        escrow(5e6);
        submit(5e6);
        uint256 counted;
        uint256 told;
        for (uint256 gas = 40_000; gas < 260_000; gas += 2_000) {
            vm.prank(payer);
            (bool ok, bytes memory why) = address(settlement).call{gas: gas}(abi.encodeCall(settlement.settle, (TASK)));
            if (bytes4(why) == ITaskSettlement.OutOfGas.selector) told++;
            if (!ok) continue;
            counted++;
            break;
        }
        require(told != 0, "what could go wrong inside is refused before");
        eq(counted, 1, "it goes through with enough");
        (uint256 done,,) = record();
        eq(done, 1, "and the first time it does, it is counted");
    }

    function testFuzz_any_decision_splits_the_escrow_exactly(uint96 max, uint96 actual, uint96 award, uint96 slash) external {
        vm.assume(max != 0);
        uint256 a = uint256(actual) % (uint256(max) + 1);
        uint256 w = uint256(award) % (a + 1);
        uint256 s = uint256(slash) % (uint256(max) + 1);
        usdc.mint(payer, max);
        stake(7e6);
        uint256 before = usdc.balanceOf(payer);
        disputed(max, a);
        resolve(w, s);
        uint256 taken = s < 7e6 ? s : 7e6;
        balances(before - w + taken, w, 0);
        eq(usdc.balanceOf(address(bond)), 7e6 - taken, "bond");
    }
}
