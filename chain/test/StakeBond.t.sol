// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {StakeBond} from "../contracts/StakeBond.sol";
import {IAgentRegistry} from "../contracts/interfaces/IAgentRegistry.sol";
import {IStakeBond} from "../contracts/interfaces/IStakeBond.sol";
import {Base} from "./Base.sol";
import {FeeToken} from "./mocks/Hostile.sol";

contract StakeBondTest is Base {
    function staked(uint256 amount) private {
        usdc.mint(payee, amount);
        vm.startPrank(payee);
        usdc.approve(address(bond), amount);
        bond.bond(DID, amount);
        vm.stopPrank();
    }

    function slashed(uint256 amount) private returns (uint256) {
        vm.prank(address(settlement));
        return bond.slash(DID, payee, TASK, payer, amount);
    }

    function test_stake_comes_back_after_the_wait() external {
        staked(50e6);
        eq(bond.stakeOf(DID), 50e6, "stake");
        vm.startPrank(payee);
        bond.requestUnbond(DID, 20e6);
        eq(bond.stakeOf(DID), 30e6, "what is being unbonded promises nothing");
        vm.roll(block.number + UNBOND);
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.Locked.selector, block.number));
        bond.withdraw(DID);
        vm.roll(block.number + 1);
        bond.withdraw(DID);
        eq(usdc.balanceOf(payee), 20e6, "came back");
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.InsufficientBond.selector, 0, 1));
        bond.withdraw(DID);
    }

    function test_asking_again_starts_the_wait_again() external {
        staked(50e6);
        vm.startPrank(payee);
        bond.requestUnbond(DID, 20e6);
        vm.roll(block.number + UNBOND);
        bond.requestUnbond(DID, 10e6);
        (uint256 active, uint256 unbonding, uint256 unlockAt) = bond.bondOf(DID, payee);
        require(active == 20e6 && unbonding == 30e6 && unlockAt == block.number + UNBOND, "one lock for the sum");
    }

    function test_only_the_agent_stakes_for_its_did() external {
        usdc.mint(stranger, 1e6);
        vm.startPrank(stranger);
        usdc.approve(address(bond), 1e6);
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.NotBondOwner.selector, stranger));
        bond.bond(DID, 1e6);
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.InsufficientBond.selector, 0, 1e6));
        bond.requestUnbond(DID, 1e6);
    }

    function test_a_squatter_cannot_keep_the_true_owner_from_staking() external {
        bytes32 did = keccak256("did:key:z6MkOther");
        vm.prank(stranger);
        registry.register(did, ED, stranger);
        address owner = address(0x0123);
        usdc.mint(owner, 5e6);
        vm.startPrank(owner);
        registry.register(did, ED, owner);
        usdc.approve(address(bond), 5e6);
        bond.bond(did, 5e6);
        (uint256 active,,) = bond.bondOf(did, owner);
        eq(active, 5e6, "its own stake");
        eq(bond.stakeOf(did), 0, "the squatter has none");
    }

    function test_revoking_does_not_lock_stake_in() external {
        staked(50e6);
        vm.startPrank(payee);
        registry.revoke(DID);
        bond.requestUnbond(DID, 50e6);
        vm.roll(block.number + UNBOND + 1);
        bond.withdraw(DID);
        eq(usdc.balanceOf(payee), 50e6, "came back");
    }

    function test_what_is_being_unbonded_can_be_slashed() external {
        staked(50e6);
        vm.prank(payee);
        bond.requestUnbond(DID, 40e6);
        eq(slashed(30e6), 30e6, "taken");
        (uint256 active, uint256 unbonding,) = bond.bondOf(DID, payee);
        require(active == 0 && unbonding == 20e6, "active stake first");
        eq(usdc.balanceOf(payer), 1030e6, "the beneficiary has it");
    }

    function test_no_more_is_slashed_than_there_is() external {
        staked(5e6);
        eq(slashed(30e6), 5e6, "taken");
        eq(slashed(30e6), 0, "nothing is left");
    }

    function test_only_the_slasher_slashes() external {
        staked(5e6);
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.NotSlasher.selector, address(this)));
        bond.slash(DID, payee, TASK, payer, 1);
    }

    function test_the_slasher_is_named_once_by_the_owner() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.SlasherAlreadySet.selector, address(settlement)));
        bond.setSlasher(address(this));
        StakeBond other = new StakeBond(address(this), registry, address(usdc), UNBOND);
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        other.setSlasher(address(0));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        other.setSlasher(address(settlement));
    }

    function test_a_wait_shorter_than_a_task_is_refused() external {
        StakeBond hasty = new StakeBond(address(this), registry, address(usdc), UNBOND - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeBond.UnbondTooShort.selector, UNBOND - 1, UNBOND));
        hasty.setSlasher(address(settlement));
    }

    function test_zero_is_refused() external {
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        bond.bond(DID, 0);
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        bond.requestUnbond(DID, 0);
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        new StakeBond(address(this), registry, address(usdc), 0);
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        new StakeBond(address(this), registry, stranger, 1);
        vm.expectRevert(IStakeBond.ZeroValue.selector);
        new StakeBond(address(this), IAgentRegistry(stranger), address(usdc), 1);
    }

    function test_a_token_with_a_fee_is_refused() external {
        FeeToken fee = new FeeToken();
        StakeBond other = new StakeBond(address(this), registry, address(fee), UNBOND);
        fee.mint(payee, 100);
        vm.startPrank(payee);
        fee.approve(address(other), 100);
        vm.expectRevert(IStakeBond.FeeOnTransferToken.selector);
        other.bond(DID, 100);
    }

    function testFuzz_stake_is_never_made_or_lost(uint96 stake, uint96 unbond, uint96 slash) external {
        vm.assume(stake != 0);
        staked(stake);
        uint256 u = uint256(unbond) % stake;
        if (u != 0) {
            vm.prank(payee);
            bond.requestUnbond(DID, u);
        }
        uint256 taken = slashed(slash);
        (uint256 active, uint256 unbonding,) = bond.bondOf(DID, payee);
        eq(active + unbonding + taken, stake, "sum");
        eq(usdc.balanceOf(address(bond)), active + unbonding, "balance");
        eq(taken, slash < stake ? slash : stake, "taken");
    }
}
