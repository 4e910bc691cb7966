// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {StakeBond} from "../contracts/StakeBond.sol";
import {ITaskSettlement} from "../contracts/interfaces/ITaskSettlement.sol";
import {Base} from "./Base.sol";
import {ContractAgent, FalseToken, FeeToken, FreeToken, GreedyToken, ReentrantToken, SilentToken} from "./mocks/Hostile.sol";
import {MockUSDC} from "./mocks/MockUSDC.sol";

contract HostileTest is Base {
    function escrowOf(FreeToken token, uint256 amount) private {
        token.mint(payer, amount);
        vm.startPrank(payer);
        token.approve(address(settlement), amount);
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), amount, 100);
        vm.stopPrank();
    }

    // --- push fails, pull remains ------------------------------------------------------------------------------------------

    function test_a_blacklisted_payee_does_not_hold_up_the_payers_rest() external {
        escrow(5e6);
        submit(4e6);
        usdc.setBlacklisted(payee, true);
        vm.expectEmit();
        emit ITaskSettlement.PaymentDeferred(address(usdc), payee, 4e6);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(996e6, 0, 4e6);
        eq(settlement.withdrawable(address(usdc), payee), 4e6, "waits for the payee");

        vm.startPrank(payee);
        vm.expectRevert(abi.encodeWithSelector(MockUSDC.Blacklisted.selector, payee));
        settlement.withdraw(address(usdc));
        usdc.setBlacklisted(payee, false);
        settlement.withdraw(address(usdc));
        balances(996e6, 4e6, 0);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        settlement.withdraw(address(usdc));
    }

    function test_a_blacklisted_payer_cannot_keep_the_payee_from_its_pay() external {
        escrow(5e6);
        submit(4e6);
        usdc.setBlacklisted(payer, true);
        vm.roll(block.number + DISPUTE + 1);
        settlement.settle(TASK);
        balances(995e6, 4e6, 1e6);
        eq(settlement.withdrawable(address(usdc), payer), 1e6, "waits for the payer");
    }

    function test_a_paused_token_defers_both() external {
        escrow(5e6);
        submit(4e6);
        usdc.setPaused(true);
        vm.prank(payer);
        settlement.settle(TASK);
        usdc.setPaused(false);
        vm.prank(payer);
        settlement.withdraw(address(usdc));
        vm.prank(payee);
        settlement.withdraw(address(usdc));
        balances(996e6, 4e6, 0);
    }

    function test_a_blacklisted_payer_gets_an_expired_task_by_pulling() external {
        escrow(5e6);
        usdc.setBlacklisted(payer, true);
        vm.roll(block.number + 101);
        settlement.expireTask(TASK);
        expectStatus(ITaskSettlement.Status.Expired);
        usdc.setBlacklisted(payer, false);
        vm.prank(payer);
        settlement.withdraw(address(usdc));
        balances(1000e6, 0, 0);
    }

    function test_failed_payments_add_up() external {
        usdc.setBlacklisted(payee, true);
        for (uint256 i = 1; i < 3; i++) {
            vm.prank(payer);
            settlement.createTaskEscrowed(bytes32(i), DID, payee, address(usdc), 5e6, 100);
            settlement.submitReceipt(bytes32(i), 2e6, RECEIPT, receiptSignature(bytes32(i), 2e6));
            vm.prank(payer);
            settlement.settle(bytes32(i));
        }
        eq(settlement.withdrawable(address(usdc), payee), 4e6, "both wait");
        usdc.setBlacklisted(payee, false);
        vm.prank(payee);
        settlement.withdraw(address(usdc));
        balances(996e6, 4e6, 0);
    }

    function test_nobody_withdraws_what_is_anothers() external {
        escrow(5e6);
        vm.startPrank(stranger);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        settlement.withdraw(address(usdc));
    }

    // --- tokens ------------------------------------------------------------------------------------------------------------

    function test_a_token_with_a_fee_is_refused_in_both_modes() external {
        FeeToken token = new FeeToken();
        token.mint(payer, 1000);
        vm.startPrank(payer);
        token.approve(address(settlement), 1000);
        vm.expectRevert(ITaskSettlement.FeeOnTransferToken.selector);
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), 1000, 100);
        settlement.createTask(TASK, DID, address(token), 1000, 100);
        vm.stopPrank();
        bytes memory signature = receiptSignature(TASK, 1000);
        vm.expectRevert(ITaskSettlement.FeeOnTransferToken.selector);
        settlement.submitReceipt(TASK, 1000, RECEIPT, signature);
    }

    function test_a_false_answer_is_a_failure() external {
        FalseToken token = new FalseToken();
        token.setLying(true);
        token.mint(payer, 100);
        vm.startPrank(payer);
        token.approve(address(settlement), 100);
        vm.expectRevert();
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), 100, 100);
        token.setLying(false);
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), 100, 100);
        token.setLying(true);
        submit(60);
        settlement.settle(TASK);
        eq(settlement.withdrawable(address(token), payee), 60, "the payee's part waits");
        eq(settlement.withdrawable(address(token), payer), 40, "the payer's, too");
        vm.expectRevert();
        settlement.withdraw(address(token));
        token.setLying(false);
        settlement.withdraw(address(token));
        eq(token.balanceOf(payer), 40, "fetched");
    }

    function test_a_token_that_answers_nothing_works() external {
        SilentToken token = new SilentToken();
        token.mint(payer, 100);
        vm.startPrank(payer);
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), 100, 100);
        submit(60);
        settlement.settle(TASK);
        require(token.balanceOf(payee) == 60 && token.balanceOf(payer) == 40, "paid");
    }

    function test_a_token_that_changes_an_allowance_only_over_0_works_in_both_modes() external {
        usdc.setStubborn(true);
        vm.startPrank(payer);
        usdc.approve(address(settlement), 0);
        usdc.approve(address(settlement), 5e6);
        vm.expectRevert(MockUSDC.AllowanceNotZero.selector);
        usdc.approve(address(settlement), 6e6);
        settlement.createTaskEscrowed(TASK, DID, payee, address(usdc), 5e6, 100);
        eq(usdc.allowance(payer, address(settlement)), 0, "nothing is left in its way");
        usdc.approve(address(settlement), 3e6);
        settlement.createTask("other", DID, address(usdc), 3e6, 100);
        vm.stopPrank();
        settlement.submitReceipt("other", 2e6, RECEIPT, receiptSignature("other", 2e6));
        submit(4e6);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(994e6, 6e6, 0);
    }

    function test_a_token_that_burns_all_gas_defers_its_own_payment_only() external {
        GreedyToken token = new GreedyToken();
        escrowOf(token, 100);
        submit(100);
        token.setGreedy(true);
        vm.prank(payer);
        settlement.settle{gas: 20_000_000}(TASK);
        eq(settlement.withdrawable(address(token), payee), 100, "waits");
    }

    // Every way into the contract, tried from inside of both kinds of transfer that it makes.
    function test_reentry_is_refused_everywhere() external {
        ITaskSettlement.Authorization memory none;
        bytes[12] memory ways = [
            abi.encodeCall(settlement.createTask, ("x", DID, address(usdc), 1, 1)),
            abi.encodeCall(settlement.createTaskEscrowed, ("x", DID, payee, address(usdc), 1, 1)),
            abi.encodeCall(settlement.createTaskEscrowedWithArbiter, ("x", DID, payee, address(usdc), 1, 1, arbiter)),
            abi.encodeCall(settlement.createTaskEscrowedWithPermit, ("x", DID, payee, address(usdc), 1, 1, 0, 0, 0, 0)),
            abi.encodeCall(settlement.createTaskEscrowedWithAuthorization, ("x", DID, payee, address(usdc), 1, 1, none)),
            abi.encodeCall(settlement.submitReceipt, (TASK, 60, RECEIPT, receiptSignature(TASK, 60))),
            abi.encodeCall(settlement.settle, (TASK)),
            abi.encodeCall(settlement.dispute, (TASK, 0)),
            abi.encodeCall(settlement.resolveDispute, (TASK, 0, 0)),
            abi.encodeCall(settlement.claimAfterArbiterTimeout, (TASK)),
            abi.encodeCall(settlement.cancelTask, (TASK)),
            abi.encodeCall(settlement.expireTask, (TASK))
        ];
        for (uint256 i; i < ways.length; i++) {
            setUp();
            reentry(ways[i]);
        }
        setUp();
        reentry(abi.encodeCall(settlement.withdraw, (address(usdc))));
    }

    function reentry(bytes memory call) private {
        ReentrantToken token = new ReentrantToken();
        token.mint(address(settlement), 1000); // somebody else's money in the same token
        token.mint(payer, 100);
        vm.startPrank(payer);
        token.approve(address(settlement), 100);
        token.arm(address(settlement), call);
        settlement.createTaskEscrowed(TASK, DID, payee, address(token), 100, 100);
        vm.stopPrank();
        refusedInside(token);
        submit(60);
        token.arm(address(settlement), call);
        vm.prank(payer);
        settlement.settle(TASK);
        refusedInside(token);
        require(token.balanceOf(payee) == 60 && token.balanceOf(payer) == 40, "split");
        eq(token.balanceOf(address(settlement)), 1000, "others' money");
    }

    function refusedInside(ReentrantToken token) private view {
        require(!token.isArmed() && !token.gotIn(), "a call from inside went through");
        require(token.answer() == ReentrancyGuard.ReentrancyGuardReentrantCall.selector, "refused for another reason");
    }

    function test_reentry_into_the_bond_is_refused() external {
        ReentrantToken token = new ReentrantToken();
        StakeBond other = new StakeBond(address(this), registry, address(token), UNBOND);
        bytes[3] memory ways = [
            abi.encodeCall(other.bond, (DID, 1)),
            abi.encodeCall(other.withdraw, (DID)),
            abi.encodeCall(other.slash, (DID, payee, TASK, payer, 1))
        ];
        token.mint(payee, 300);
        vm.prank(payee);
        token.approve(address(other), 300);
        for (uint256 i; i < ways.length; i++) {
            token.arm(address(other), ways[i]);
            vm.prank(payee);
            other.bond(DID, 100);
            refusedInside(token);
        }
        eq(other.stakeOf(DID), 300, "stake");
    }

    // --- contracts as agents -------------------------------------------------------------------------------------------------

    function test_an_agent_that_is_a_contract_signs_by_erc1271() external {
        ContractAgent agent = new ContractAgent();
        bytes32 did = keccak256("did:pkh:contract");
        agent.run(address(registry), abi.encodeCall(registry.register, (did, ED, address(agent))));
        vm.prank(payer);
        settlement.createTaskEscrowed(TASK, did, address(agent), address(usdc), 5e6, 100);
        vm.expectRevert(ITaskSettlement.BadSignature.selector);
        settlement.submitReceipt(TASK, 4e6, RECEIPT, "anything");
        agent.accept(settlement.hashReceipt(TASK, 4e6, keccak256(RECEIPT)));
        settlement.submitReceipt(TASK, 4e6, RECEIPT, "anything");
        vm.prank(payer);
        settlement.settle(TASK);
        eq(usdc.balanceOf(address(agent)), 4e6, "paid");
    }

    function test_an_account_with_delegated_code_still_signs_with_its_key() external {
        escrow(5e6);
        vm.etch(payee, address(new ContractAgent()).code);
        submit(5e6);
        expectStatus(ITaskSettlement.Status.Submitted);
    }
}
