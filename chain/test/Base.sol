// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {AgentRegistry} from "../contracts/AgentRegistry.sol";
import {StakeBond} from "../contracts/StakeBond.sol";
import {TaskSettlement} from "../contracts/TaskSettlement.sol";
import {ITaskSettlement} from "../contracts/interfaces/ITaskSettlement.sol";
import {MockUSDC} from "./mocks/MockUSDC.sol";

/// @dev What the tests use of forge's cheat codes.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function roll(uint256 height) external;
    function warp(uint256 time) external;
    function chainId(uint256 id) external;
    function etch(address where, bytes calldata code) external;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function expectEmit() external;
    function assume(bool condition) external pure;
}

/// @dev A deployment with small windows, a payer, a payee and an arbiter.
abstract contract Base {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint256 internal constant DISPUTE = 20;
    uint256 internal constant ARBITER = 30;
    uint256 internal constant MAX_DEADLINE = 1000;
    uint256 internal constant UNBOND = DISPUTE + ARBITER + MAX_DEADLINE;
    uint256 internal constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    uint256 internal constant PAYEE_KEY = 0xA11CE;
    bytes32 internal constant DID = keccak256("did:key:z6MkPayee");
    bytes32 internal constant ED = bytes32(uint256(0xED));
    bytes32 internal constant TASK = keccak256("task-1");
    bytes internal constant RECEIPT = '{"_type":"https://in-toto.io/Statement/v1"}';

    address internal payer = address(0xBEEF);
    address internal payee = vm.addr(PAYEE_KEY);
    address internal arbiter = address(0xA4B1);
    address internal stranger = address(0x5742);

    AgentRegistry internal registry;
    StakeBond internal bond;
    TaskSettlement internal settlement;
    MockUSDC internal usdc;

    function setUp() public virtual {
        usdc = new MockUSDC();
        registry = new AgentRegistry(address(this));
        bond = new StakeBond(address(this), registry, address(usdc), UNBOND);
        settlement = new TaskSettlement(registry, bond, arbiter, DISPUTE, ARBITER, MAX_DEADLINE);
        registry.setReporter(address(settlement), true);
        bond.setSlasher(address(settlement));
        vm.prank(payee);
        registry.register(DID, ED, payee);
        usdc.mint(payer, 1000e6);
        vm.prank(payer);
        usdc.approve(address(settlement), type(uint256).max);
    }

    // --- acts ----------------------------------------------------------------------------------------------------------

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function receiptSignature(bytes32 task, uint256 amount) internal view returns (bytes memory) {
        return sign(PAYEE_KEY, settlement.hashReceipt(task, amount, keccak256(RECEIPT)));
    }

    function allowanceTask(uint256 max) internal {
        vm.prank(payer);
        settlement.createTask(TASK, DID, address(usdc), max, 100);
    }

    function escrow(uint256 max) internal {
        vm.prank(payer);
        settlement.createTaskEscrowed(TASK, DID, payee, address(usdc), max, 100);
    }

    function submit(uint256 amount) internal {
        settlement.submitReceipt(TASK, amount, RECEIPT, receiptSignature(TASK, amount));
    }

    function disputed(uint256 max, uint256 amount) internal {
        escrow(max);
        submit(amount);
        vm.prank(payer);
        settlement.dispute(TASK, "bad root");
    }

    // --- claims --------------------------------------------------------------------------------------------------------

    function eq(uint256 have, uint256 want, string memory what) internal pure {
        require(have == want, what);
    }

    function eq(address have, address want, string memory what) internal pure {
        require(have == want, what);
    }

    function eq(bytes32 have, bytes32 want, string memory what) internal pure {
        require(have == want, what);
    }

    function status(bytes32 task) internal view returns (ITaskSettlement.Status) {
        (,,,,, uint8 s,,,) = settlement.getTask(task);
        return ITaskSettlement.Status(s);
    }

    function expectStatus(ITaskSettlement.Status want) internal view {
        require(status(TASK) == want, "status");
    }

    function balances(uint256 ofPayer, uint256 ofPayee, uint256 held) internal view {
        eq(usdc.balanceOf(payer), ofPayer, "the payer's balance");
        eq(usdc.balanceOf(payee), ofPayee, "the payee's balance");
        eq(usdc.balanceOf(address(settlement)), held, "what is held");
    }
}
