// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {TaskSettlement} from "../contracts/TaskSettlement.sol";
import {IAgentRegistry} from "../contracts/interfaces/IAgentRegistry.sol";
import {IStakeBond} from "../contracts/interfaces/IStakeBond.sol";
import {ITaskSettlement} from "../contracts/interfaces/ITaskSettlement.sol";
import {Base} from "./Base.sol";

contract TaskSettlementTest is Base {
    // --- the known system ----------------------------------------------------------------------------------------------

    function test_selectors_and_topics_of_the_known_system() external pure {
        require(TaskSettlement.createTask.selector == 0xa014157e, "createTask");
        require(TaskSettlement.submitReceipt.selector == 0xfb0640a4, "submitReceipt");
        require(TaskSettlement.getTask.selector == 0x15a29035, "getTask");
        require(TaskSettlement.DOMAIN_SEPARATOR.selector == 0x3644e515, "DOMAIN_SEPARATOR");
        require(bytes4(ITaskSettlement.TaskCreated.selector) == 0x651d1350, "TaskCreated");
        require(bytes4(ITaskSettlement.ReceiptSubmitted.selector) == 0xcd0c841b, "ReceiptSubmitted");
        require(bytes4(ITaskSettlement.TaskSettled.selector) == 0x21b7e559, "TaskSettled");
    }

    function test_domain_separator_is_that_of_the_deployed_contract() external {
        vm.chainId(84532);
        address deployed = 0x60eE6872920addF41359625B47A07401496bBD5b;
        vm.etch(deployed, address(settlement).code);
        eq(
            TaskSettlement(deployed).DOMAIN_SEPARATOR(),
            0x033a4bd198f42af9adffda927fd45e8ede86c774739e75eadf20e0caeddf18c1,
            "domain"
        );
    }

    function test_allowance_mode_pays_with_the_receipt() external {
        allowanceTask(5e6);
        balances(1000e6, 0, 0);
        vm.prank(stranger);
        submit(1500000);
        balances(998500000, 1500000, 0);
        expectStatus(ITaskSettlement.Status.Settled);
        (,, uint256 done,,,,) = registry.resolve(DID);
        eq(done, 1, "counted");
    }

    function test_get_task_says_what_was_agreed() external {
        allowanceTask(5e6);
        submit(3e6);
        (
            bytes32 id,
            bytes32 did,
            address by,
            uint48 deadline,
            uint48 disputeDeadline,
            uint8 st,
            address token,
            uint128 max,
            uint128 actual
        ) = settlement.getTask(TASK);
        require(id == TASK && did == DID && by == payer && token == address(usdc), "who and what");
        require(deadline == block.number + 100 && disputeDeadline == block.number && st == 3, "when");
        require(max == 5e6 && actual == 3e6, "how much");
        (id,, by,,, st,,,) = settlement.getTask("none");
        require(id == 0 && by == address(0) && st == 0, "nothing of an unknown task");
    }

    function test_allowance_mode_waits_for_a_payer_who_cannot_pay() external {
        allowanceTask(5e6);
        vm.prank(payer);
        usdc.approve(address(settlement), 0);
        bytes memory signature = receiptSignature(TASK, 5e6);
        vm.expectRevert();
        settlement.submitReceipt(TASK, 5e6, RECEIPT, signature);
        expectStatus(ITaskSettlement.Status.Created);
        vm.prank(payer);
        usdc.approve(address(settlement), 5e6);
        submit(5e6);
        balances(995e6, 5e6, 0);
    }

    // --- escrow --------------------------------------------------------------------------------------------------------

    function test_escrow_is_held_then_paid_and_the_rest_returned() external {
        vm.expectEmit();
        emit ITaskSettlement.TaskCreated(TASK, payer, DID, payee, address(usdc), 5e6, block.number + 100, true);
        vm.expectEmit();
        emit ITaskSettlement.TaskArbiter(TASK, arbiter);
        escrow(5e6);
        balances(995e6, 0, 5e6);
        vm.expectEmit();
        emit ITaskSettlement.ReceiptSubmitted(TASK, payee, 1500000, keccak256(RECEIPT), block.number + DISPUTE);
        submit(1500000);
        balances(995e6, 0, 5e6);
        vm.expectEmit();
        emit ITaskSettlement.TaskSettled(TASK, payer, payee, address(usdc), 1500000, 3500000);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(998500000, 1500000, 0);
        (address p, bool escrowed, bytes32 hash) = settlement.getTaskExt(TASK);
        require(p == payee && escrowed && hash == keccak256(RECEIPT), "ext");
    }

    function test_nothing_done_costs_nothing() external {
        escrow(5e6);
        submit(0);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(1000e6, 0, 0);
    }

    function test_others_settle_only_after_the_window() external {
        escrow(5e6);
        submit(5e6);
        vm.roll(block.number + DISPUTE);
        vm.prank(payee);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlineNotReached.selector, block.number));
        settlement.settle(TASK);
        vm.roll(block.number + 1);
        vm.prank(stranger);
        settlement.settle(TASK);
        balances(995e6, 5e6, 0);
    }

    function test_a_task_exits_once() external {
        escrow(5e6);
        submit(5e6);
        vm.startPrank(payer);
        settlement.settle(TASK);
        bytes memory wrong = abi.encodeWithSelector(ITaskSettlement.WrongStatus.selector, TASK, ITaskSettlement.Status.Settled);
        vm.expectRevert(wrong);
        settlement.settle(TASK);
        vm.expectRevert(wrong);
        settlement.dispute(TASK, "");
        vm.expectRevert(wrong);
        settlement.resolveDispute(TASK, 0, 0);
        vm.expectRevert(wrong);
        settlement.claimAfterArbiterTimeout(TASK);
        vm.expectRevert(wrong);
        settlement.cancelTask(TASK);
        vm.expectRevert(wrong);
        settlement.expireTask(TASK);
        bytes memory signature = receiptSignature(TASK, 5e6);
        vm.expectRevert(wrong);
        settlement.submitReceipt(TASK, 5e6, RECEIPT, signature);
    }

    function test_no_arbiter_no_dispute_no_window() external {
        vm.prank(payer);
        settlement.createTaskEscrowedWithArbiter(TASK, DID, payee, address(usdc), 5e6, 100, address(0));
        submit(5e6);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.NoArbiter.selector, TASK));
        settlement.dispute(TASK, "");
        vm.roll(block.number + 1);
        settlement.settle(TASK);
        balances(995e6, 5e6, 0);
    }

    // --- creating --------------------------------------------------------------------------------------------------------

    function test_bad_terms_are_refused() external {
        vm.startPrank(payer);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        settlement.createTask(0, DID, address(usdc), 1, 1);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        settlement.createTask(TASK, DID, address(usdc), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.NotAToken.selector, stranger));
        settlement.createTask(TASK, DID, stranger, 1, 1);
        uint256 big = uint256(type(uint128).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.AmountTooHigh.selector, big, big - 1));
        settlement.createTask(TASK, DID, address(usdc), big, 1);
        vm.expectRevert(ITaskSettlement.BadDeadline.selector);
        settlement.createTask(TASK, DID, address(usdc), 1, 0);
        vm.expectRevert(ITaskSettlement.BadDeadline.selector);
        settlement.createTask(TASK, DID, address(usdc), 1, MAX_DEADLINE + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.PayeeNotRegistered.selector, bytes32("who")));
        settlement.createTask(TASK, "who", address(usdc), 1, 1);
        settlement.createTask(TASK, DID, address(usdc), 1, MAX_DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.TaskExists.selector, TASK));
        settlement.createTask(TASK, DID, address(usdc), 1, 1);
    }

    function test_nobody_pays_itself() external {
        vm.prank(payee);
        vm.expectRevert(ITaskSettlement.PayerIsPayee.selector);
        settlement.createTask(TASK, DID, address(usdc), 1, 1);
    }

    function test_the_payee_that_was_meant_or_none() external {
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.PayeeMismatch.selector, payee, stranger));
        settlement.createTaskEscrowed(TASK, DID, stranger, address(usdc), 1, 1);
        vm.prank(stranger);
        registry.register(DID, ED, stranger);
        vm.prank(payer);
        settlement.createTaskEscrowed(TASK, DID, stranger, address(usdc), 1, 1);
        (address p,,) = settlement.getTaskExt(TASK);
        eq(p, stranger, "a later record of the same DID can be meant");
        vm.prank(payer);
        settlement.createTaskEscrowed("first", DID, address(0), address(usdc), 1, 1);
        (p,,) = settlement.getTaskExt("first");
        eq(p, payee, "nobody meant: the first");
    }

    function test_a_revoked_payee_gets_no_new_task_but_its_due() external {
        escrow(5e6);
        vm.prank(payee);
        registry.revoke(DID);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.PayeeNotRegistered.selector, DID));
        settlement.createTaskEscrowed("next", DID, payee, address(usdc), 1, 1);
        submit(5e6);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(995e6, 5e6, 0);
    }

    function test_rotation_redirects_no_money() external {
        escrow(5e6);
        address fresh = vm.addr(77);
        bytes32 structHash = keccak256(abi.encode(registry.ROTATE_TYPEHASH(), DID, ED, payee, fresh, 0, block.timestamp));
        bytes memory consent = sign(77, keccak256(abi.encodePacked(hex"1901", registry.DOMAIN_SEPARATOR(), structHash)));
        vm.prank(payee);
        registry.rotate(DID, ED, fresh, "", block.timestamp, consent);
        submit(5e6);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(995e6, 5e6, 0);
        (,, uint256 done,,,,) = registry.resolve(DID);
        eq(done, 1, "the rotated record has the credit");
    }

    function test_task_ids_of_payers_differ_by_payer_contract_and_chain() external {
        bytes32 id = settlement.computeTaskId(payer, "salt");
        eq(id, keccak256(abi.encode(block.chainid, address(settlement), payer, bytes32("salt"))), "formula");
        require(id != settlement.computeTaskId(payee, "salt"), "payer");
        vm.chainId(1);
        require(id != settlement.computeTaskId(payer, "salt"), "chain");
    }

    function test_constructor_refuses_nonsense() external {
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        new TaskSettlement(IAgentRegistry(stranger), bond, arbiter, 1, 1, 1);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        new TaskSettlement(registry, IStakeBond(stranger), arbiter, 1, 1, 1);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        new TaskSettlement(registry, bond, arbiter, 0, 1, 1);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        new TaskSettlement(registry, bond, arbiter, 1, 0, 1);
        vm.expectRevert(ITaskSettlement.ZeroValue.selector);
        new TaskSettlement(registry, bond, arbiter, 1, 1, 0);
        vm.expectRevert(ITaskSettlement.BadDeadline.selector);
        new TaskSettlement(registry, bond, arbiter, 1, 1, 1 << 32);
    }

    // --- receipts --------------------------------------------------------------------------------------------------------

    function refused(uint256 amount, bytes memory receipt, bytes memory signature, bytes4 why) private {
        vm.expectRevert(why);
        settlement.submitReceipt(TASK, amount, receipt, signature);
    }

    function test_forged_receipts_are_refused() external {
        escrow(5e6);
        bytes memory good = receiptSignature(TASK, 2e6);
        bytes4 bad = ITaskSettlement.BadSignature.selector;
        refused(3e6, RECEIPT, good, bad); // another amount
        refused(2e6, "other", good, bad); // another receipt
        refused(2e6, RECEIPT, receiptSignature("task-2", 2e6), bad); // another task
        refused(2e6, RECEIPT, sign(0xBAD, settlement.hashReceipt(TASK, 2e6, keccak256(RECEIPT))), bad); // another key
        refused(2e6, RECEIPT, "", bad);
        refused(2e6, RECEIPT, abi.encodePacked(good, uint8(0)), bad); // 66 bytes
        good[64] = bytes1(uint8(good[64]) - 27); // v is 27 or 28
        refused(2e6, RECEIPT, good, bad);
        expectStatus(ITaskSettlement.Status.Created);
        submit(2e6);
    }

    function test_high_s_is_refused() external {
        escrow(5e6);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYEE_KEY, settlement.hashReceipt(TASK, 2e6, keccak256(RECEIPT)));
        bytes memory twin = abi.encodePacked(r, bytes32(N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        refused(2e6, RECEIPT, twin, ITaskSettlement.BadSignature.selector);
    }

    function test_a_signature_of_another_chain_or_contract_is_refused() external {
        escrow(5e6);
        vm.chainId(1);
        bytes memory otherChain = receiptSignature(TASK, 2e6);
        vm.chainId(31337);
        refused(2e6, RECEIPT, otherChain, ITaskSettlement.BadSignature.selector);
        TaskSettlement other = new TaskSettlement(registry, bond, arbiter, DISPUTE, ARBITER, MAX_DEADLINE);
        bytes memory otherContract = sign(PAYEE_KEY, other.hashReceipt(TASK, 2e6, keccak256(RECEIPT)));
        refused(2e6, RECEIPT, otherContract, ITaskSettlement.BadSignature.selector);
    }

    function test_more_than_the_maximum_is_refused() external {
        escrow(5e6);
        bytes memory signature = receiptSignature(TASK, 5e6 + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.AmountTooHigh.selector, 5e6 + 1, 5e6));
        settlement.submitReceipt(TASK, 5e6 + 1, RECEIPT, signature);
    }

    function test_a_receipt_of_no_task_is_refused() external {
        bytes memory signature = receiptSignature(TASK, 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.WrongStatus.selector, TASK, ITaskSettlement.Status.None));
        settlement.submitReceipt(TASK, 1, RECEIPT, signature);
    }

    function test_the_deadline_is_the_last_block() external {
        escrow(5e6);
        vm.roll(block.number + 101);
        bytes memory signature = receiptSignature(TASK, 5e6);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlinePassed.selector, block.number - 1));
        settlement.submitReceipt(TASK, 5e6, RECEIPT, signature);
        vm.roll(block.number - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.DeadlineNotReached.selector, block.number));
        settlement.expireTask(TASK);
        submit(5e6);
    }

    // --- the end without a receipt ---------------------------------------------------------------------------------------

    function test_expiry_sends_everything_home() external {
        escrow(5e6);
        vm.roll(block.number + 101);
        vm.prank(stranger);
        settlement.expireTask(TASK);
        balances(1000e6, 0, 0);
        expectStatus(ITaskSettlement.Status.Expired);
    }

    function test_a_submitted_task_does_not_expire() external {
        escrow(5e6);
        submit(5e6);
        vm.roll(block.number + 500);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.WrongStatus.selector, TASK, ITaskSettlement.Status.Submitted));
        settlement.expireTask(TASK);
    }

    function test_only_the_payee_cancels() external {
        escrow(5e6);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ITaskSettlement.NotPayee.selector, payer));
        settlement.cancelTask(TASK);
        vm.prank(payee);
        settlement.cancelTask(TASK);
        balances(1000e6, 0, 0);
        expectStatus(ITaskSettlement.Status.Cancelled);
    }

    function test_in_allowance_mode_there_is_nothing_to_return() external {
        allowanceTask(5e6);
        vm.prank(payee);
        settlement.cancelTask(TASK);
        balances(1000e6, 0, 0);
    }

    // --- paying by signature -----------------------------------------------------------------------------------------------

    uint256 private constant PAYER_KEY = 0xCAFE;

    function fundSigner() private returns (address signer) {
        signer = vm.addr(PAYER_KEY);
        usdc.mint(signer, 10e6);
    }

    function permitSignature(address signer, uint256 until) private view returns (uint8, bytes32, bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                signer,
                address(settlement),
                5e6,
                0,
                until
            )
        );
        return vm.sign(PAYER_KEY, keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash)));
    }

    function test_a_permit_saves_the_approval_and_may_be_sent_by_others_first() external {
        address signer = fundSigner();
        (uint8 v, bytes32 r, bytes32 s) = permitSignature(signer, block.timestamp);
        usdc.permit(signer, address(settlement), 5e6, block.timestamp, v, r, s);
        vm.prank(signer);
        settlement.createTaskEscrowedWithPermit(TASK, DID, payee, address(usdc), 5e6, 9, block.timestamp, v, r, s);
        eq(usdc.balanceOf(address(settlement)), 5e6, "held");
        eq(usdc.allowance(signer, address(settlement)), 0, "no allowance is left");
    }

    function test_a_bad_permit_pays_nothing() external {
        address signer = fundSigner();
        (uint8 v, bytes32 r, bytes32 s) = permitSignature(signer, block.timestamp);
        vm.prank(signer);
        vm.expectRevert();
        settlement.createTaskEscrowedWithPermit(TASK, DID, payee, address(usdc), 6e6, 9, block.timestamp, v, r, s);
        vm.prank(signer);
        settlement.createTaskEscrowedWithPermit(TASK, DID, payee, address(usdc), 5e6, 9, block.timestamp, v, r, s);
    }

    function authorization(address signer) private view returns (ITaskSettlement.Authorization memory a) {
        a.validBefore = block.timestamp + 1;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                signer,
                address(settlement),
                5e6,
                0,
                a.validBefore,
                TASK
            )
        );
        (a.v, a.r, a.s) = vm.sign(PAYER_KEY, keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash)));
    }

    function test_an_authorization_pays_the_task_that_it_names() external {
        address signer = fundSigner();
        ITaskSettlement.Authorization memory a = authorization(signer);
        vm.startPrank(signer);
        vm.expectRevert();
        settlement.createTaskEscrowedWithAuthorization("other", DID, payee, address(usdc), 5e6, 9, a);
        settlement.createTaskEscrowedWithAuthorization(TASK, DID, payee, address(usdc), 5e6, 9, a);
        eq(usdc.balanceOf(address(settlement)), 5e6, "held");
    }

    function test_an_authorization_is_of_no_use_to_others() external {
        ITaskSettlement.Authorization memory a = authorization(fundSigner());
        vm.prank(stranger);
        vm.expectRevert();
        settlement.createTaskEscrowedWithAuthorization(TASK, DID, payee, address(usdc), 5e6, 9, a);
    }

    // --- fuzz ----------------------------------------------------------------------------------------------------------

    function testFuzz_escrow_is_split_exactly(uint128 max, uint128 actual) external {
        vm.assume(max != 0);
        uint256 a = uint256(actual) % (uint256(max) + 1);
        usdc.mint(payer, max);
        uint256 before = usdc.balanceOf(payer);
        escrow(max);
        submit(a);
        vm.prank(payer);
        settlement.settle(TASK);
        balances(before - a, a, 0);
    }

    function testFuzz_a_flipped_bit_spoils_a_receipt(uint16 where, uint8 bit) external {
        escrow(5e6);
        bytes memory signature = receiptSignature(TASK, 2e6);
        bytes memory receipt = RECEIPT;
        uint256 at = uint256(where) % (receipt.length + signature.length);
        bytes1 mask = bytes1(uint8(1 << (bit % 8)));
        if (at < receipt.length) receipt[at] ^= mask;
        else signature[at - receipt.length] ^= mask;
        refused(2e6, receipt, signature, ITaskSettlement.BadSignature.selector);
    }

    function testFuzz_deadlines_keep_to_the_maximum(uint256 blocks) external {
        vm.prank(payer);
        if (blocks == 0 || blocks > MAX_DEADLINE) vm.expectRevert(ITaskSettlement.BadDeadline.selector);
        settlement.createTask(TASK, DID, address(usdc), 1, blocks);
    }
}
