// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

/// @notice Stake of agents, from which the arbiter of a lost dispute may take.
interface IStakeBond {
    event Bonded(bytes32 indexed did, address indexed owner, uint256 amount, uint256 total);
    event UnbondRequested(bytes32 indexed did, uint256 amount, uint256 unlockAt);
    event Withdrawn(bytes32 indexed did, address indexed owner, uint256 amount);
    event Slashed(bytes32 indexed did, bytes32 indexed taskId, address indexed beneficiary, uint256 amount);
    event SlasherSet(address indexed slasher);

    error NotSlasher(address caller);
    error SlasherAlreadySet(address slasher);
    error NotBondOwner(address caller);
    error Locked(uint256 unlockAt);
    error InsufficientBond(uint256 have, uint256 want);
    error UnbondTooShort(uint256 have, uint256 want);
    error FeeOnTransferToken();
    error ZeroValue();

    /// @notice The only token of all stake.
    function token() external view returns (address);

    /// @notice Take up to `amount` of what `staker` staked for `did`; returns what was there to take.
    function slash(
        bytes32 did,
        address staker,
        bytes32 taskId,
        address beneficiary,
        uint256 amount
    ) external returns (uint256 taken);
}
