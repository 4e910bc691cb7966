// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

/// @notice Who an agent is: a DID, its Ed25519 key and the address that is paid and signs receipts.
interface IAgentRegistry {
    event AgentRegistered(bytes32 indexed did, address indexed secp256k1Address, bytes32 ed25519Pubkey, bytes ed25519Proof);
    event AgentRotated(
        bytes32 indexed did, address indexed oldAddress, address indexed newAddress, bytes32 ed25519Pubkey, bytes ed25519Proof
    );
    event AgentRevoked(bytes32 indexed did, address indexed by);
    event ReporterSet(address indexed reporter, bool allowed);
    event ReputationUpdated(bytes32 indexed did, uint64 tasksCompleted, uint64 disputesLost, uint64 violations);

    error AlreadyRegistered(bytes32 did);
    error AddressInUse(address agent);
    error NotRegistered(bytes32 did);
    error NotAgent(bytes32 did, address caller);
    error AgentIsRevoked(bytes32 did);
    error BadSignature();
    error Expired(uint256 deadline);
    error ZeroValue();
    error NotReporter(address caller);

    function register(bytes32 did, bytes32 ed25519Pubkey, address secp256k1Address) external;

    function isRegistered(bytes32 did) external view returns (bool);

    function getAddress(bytes32 did) external view returns (address);

    function resolve(bytes32 did)
        external
        view
        returns (
            bytes32 ed25519Pubkey,
            address secp256k1Address,
            uint256 tasksCompleted,
            uint256 disputesLost,
            uint256 violations,
            uint256 registeredAt,
            bool revoked
        );

    function isRegisteredAs(bytes32 did, address agent) external view returns (bool);

    function report(bytes32 did, address agent, uint64 done, uint64 lost, uint64 bad) external;
}
