// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IStakeBond} from "./interfaces/IStakeBond.sol";

/// @dev What the slasher tells of the longest life of a task, in blocks.
interface ITaskWindows {
    function longestTaskBlocks() external view returns (uint256);
}

/// @notice Stake belongs to who paid it in: rotating or revoking an identity neither moves nor locks it. What is being
/// unbonded can still be slashed until it is withdrawn.
contract StakeBond is IStakeBond, Ownable2Step, ReentrancyGuard {
    using SafeERC20 for IERC20;

    struct Stake {
        uint256 active;
        uint256 unbonding;
        uint256 unlockAt;
    }

    IAgentRegistry public immutable registry;
    address public immutable token;
    /// @notice Blocks between asking for stake and having it; at least as long as a task can last.
    uint256 public immutable unbondBlocks;
    address public slasher;

    mapping(bytes32 did => mapping(address staker => Stake)) private _stakes;

    constructor(address initialOwner, IAgentRegistry registry_, address token_, uint256 unbondBlocks_) Ownable(initialOwner) {
        if (address(registry_).code.length == 0 || token_.code.length == 0 || unbondBlocks_ == 0) revert ZeroValue();
        registry = registry_;
        token = token_;
        unbondBlocks = unbondBlocks_;
    }

    /// @notice Name the settlement contract, once: afterwards the owner can do nothing here.
    function setSlasher(address slasher_) external onlyOwner {
        if (slasher != address(0)) revert SlasherAlreadySet(slasher);
        if (slasher_ == address(0)) revert ZeroValue();
        uint256 longest = ITaskWindows(slasher_).longestTaskBlocks();
        if (unbondBlocks < longest) revert UnbondTooShort(unbondBlocks, longest);
        slasher = slasher_;
        emit SlasherSet(slasher_);
    }

    function bond(bytes32 did, uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroValue();
        if (!registry.isRegisteredAs(did, msg.sender)) revert NotBondOwner(msg.sender);
        Stake storage s = _stakes[did][msg.sender];
        s.active += amount;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        if (IERC20(token).balanceOf(address(this)) - before != amount) revert FeeOnTransferToken();
        emit Bonded(did, msg.sender, amount, s.active);
    }

    /// @notice Start the wait for `amount`. What was already waiting starts again with it.
    function requestUnbond(bytes32 did, uint256 amount) external {
        if (amount == 0) revert ZeroValue();
        Stake storage s = _stakes[did][msg.sender];
        if (amount > s.active) revert InsufficientBond(s.active, amount);
        s.active -= amount;
        s.unbonding += amount;
        s.unlockAt = block.number + unbondBlocks;
        emit UnbondRequested(did, amount, s.unlockAt);
    }

    function withdraw(bytes32 did) external nonReentrant {
        Stake storage s = _stakes[did][msg.sender];
        uint256 amount = s.unbonding;
        if (amount == 0) revert InsufficientBond(0, 1);
        if (block.number <= s.unlockAt) revert Locked(s.unlockAt);
        s.unbonding = 0;
        emit Withdrawn(did, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStakeBond
    function slash(
        bytes32 did,
        address staker,
        bytes32 taskId,
        address beneficiary,
        uint256 amount
    ) external nonReentrant returns (uint256 taken) {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        Stake storage s = _stakes[did][staker];
        uint256 fromActive = amount < s.active ? amount : s.active;
        uint256 rest = amount - fromActive;
        uint256 fromUnbonding = rest < s.unbonding ? rest : s.unbonding;
        s.active -= fromActive;
        s.unbonding -= fromUnbonding;
        taken = fromActive + fromUnbonding;
        emit Slashed(did, taskId, beneficiary, taken);
        if (taken != 0) IERC20(token).safeTransfer(beneficiary, taken);
    }

    /// @notice Stake of the first record of `did` that is not being unbonded.
    function stakeOf(bytes32 did) external view returns (uint256) {
        return _stakes[did][registry.getAddress(did)].active;
    }

    function bondOf(bytes32 did, address staker) external view returns (uint256 active, uint256 unbonding, uint256 unlockAt) {
        Stake storage s = _stakes[did][staker];
        return (s.active, s.unbonding, s.unlockAt);
    }
}
