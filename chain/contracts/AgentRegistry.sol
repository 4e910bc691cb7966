// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";

/// @notice Agents by DID and address. The chain cannot check an Ed25519 signature at a price anyone would pay, so it cannot
/// know whose a DID is. Therefore several addresses may register one DID, each with a record of its own: the first is what
/// the compatible functions answer with, and isRegisteredAs()/resolveAs() find any of them. A payer checks the published
/// proof and names the address it means; who squats on a DID then takes nothing and blocks nobody.
contract AgentRegistry is IAgentRegistry, EIP712, Ownable2Step {
    struct Agent {
        address current;
        uint48 registeredAt;
        bool revoked;
        bytes32 ed25519Pubkey;
        uint64 tasksCompleted;
        uint64 disputesLost;
        uint64 violations;
    }

    bytes32 public constant REGISTER_TYPEHASH =
        keccak256("Register(bytes32 did,bytes32 ed25519Pubkey,address secp256k1Address,uint256 nonce,uint256 deadline)");
    bytes32 public constant ROTATE_TYPEHASH = keccak256(
        "Rotate(bytes32 did,bytes32 ed25519Pubkey,address oldAddress,address newAddress,uint256 nonce,uint256 deadline)"
    );

    /// @dev Every address a record ever had keeps pointing at it: what a rotated agent does counts, and a used registration
    /// cannot be replayed.
    mapping(bytes32 did => mapping(address agent => uint256 id)) private _idOf;
    mapping(bytes32 did => uint256 id) private _first;
    mapping(uint256 id => Agent) private _agents;
    uint256 private _count;

    /// @notice The DID for which an address is the present one, 0 for none.
    mapping(address agent => bytes32 did) public didOf;
    /// @notice Nonces of the relayed signatures of an address.
    mapping(address signer => uint256) public nonces;
    mapping(address reporter => bool) public isReporter;

    constructor(address initialOwner) EIP712("Linnix-Claw", "0.1.0") Ownable(initialOwner) {}

    /// @inheritdoc IAgentRegistry
    function register(bytes32 did, bytes32 ed25519Pubkey, address secp256k1Address) external {
        if (msg.sender != secp256k1Address) revert NotAgent(did, msg.sender);
        _register(did, ed25519Pubkey, secp256k1Address, "");
    }

    /// @notice As register(), and publishes the Ed25519 key's signature over the binding, for payers to check.
    function registerWithProof(
        bytes32 did,
        bytes32 ed25519Pubkey,
        address secp256k1Address,
        bytes calldata ed25519Proof
    ) external {
        if (msg.sender != secp256k1Address) revert NotAgent(did, msg.sender);
        _register(did, ed25519Pubkey, secp256k1Address, ed25519Proof);
    }

    /// @notice As registerWithProof(), sent by anyone with the address's EIP-712 signature.
    function registerFor(
        bytes32 did,
        bytes32 ed25519Pubkey,
        address secp256k1Address,
        bytes calldata ed25519Proof,
        uint256 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp > deadline) revert Expired(deadline);
        bytes32 structHash = keccak256(
            abi.encode(REGISTER_TYPEHASH, did, ed25519Pubkey, secp256k1Address, nonces[secp256k1Address]++, deadline)
        );
        _checkSignature(secp256k1Address, structHash, signature);
        _register(did, ed25519Pubkey, secp256k1Address, ed25519Proof);
    }

    /// @notice Move the caller's record to another key. A new address agrees by its signature, or anyone could occupy it; it
    /// may be empty when the address stays.
    function rotate(
        bytes32 did,
        bytes32 ed25519Pubkey,
        address newAddress,
        bytes calldata ed25519Proof,
        uint256 deadline,
        bytes calldata newAddressSignature
    ) external {
        uint256 id = _own(did);
        if (ed25519Pubkey == 0 || newAddress == address(0)) revert ZeroValue();
        if (newAddress != msg.sender) {
            if (block.timestamp > deadline) revert Expired(deadline);
            if (_idOf[did][newAddress] != 0) revert AlreadyRegistered(did);
            if (didOf[newAddress] != 0) revert AddressInUse(newAddress);
            bytes32 structHash = keccak256(
                abi.encode(ROTATE_TYPEHASH, did, ed25519Pubkey, msg.sender, newAddress, nonces[newAddress]++, deadline)
            );
            _checkSignature(newAddress, structHash, newAddressSignature);
            delete didOf[msg.sender];
            didOf[newAddress] = did;
            _idOf[did][newAddress] = id;
            _agents[id].current = newAddress;
        }
        _agents[id].ed25519Pubkey = ed25519Pubkey;
        emit AgentRotated(did, msg.sender, newAddress, ed25519Pubkey, ed25519Proof);
    }

    /// @notice End the caller's record, for good: a leaked key cannot be given back its name.
    function revoke(bytes32 did) external {
        _agents[_own(did)].revoked = true;
        delete didOf[msg.sender];
        emit AgentRevoked(did, msg.sender);
    }

    function setReporter(address reporter, bool allowed) external onlyOwner {
        isReporter[reporter] = allowed;
        emit ReporterSet(reporter, allowed);
    }

    /// @notice Count the outcome of a task for the record that `agent` is or was the address of.
    function report(bytes32 did, address agent, uint64 done, uint64 lost, uint64 bad) external {
        if (!isReporter[msg.sender]) revert NotReporter(msg.sender);
        uint256 id = _idOf[did][agent];
        if (id == 0) revert NotRegistered(did);
        Agent storage a = _agents[id];
        a.tasksCompleted += done;
        a.disputesLost += lost;
        a.violations += bad;
        emit ReputationUpdated(did, a.tasksCompleted, a.disputesLost, a.violations);
    }

    /// @inheritdoc IAgentRegistry
    function isRegistered(bytes32 did) external view returns (bool) {
        return getAddress(did) != address(0);
    }

    /// @notice The address of the first record of a DID; 0 when there is none or it was revoked.
    function getAddress(bytes32 did) public view returns (address) {
        Agent storage a = _agents[_first[did]];
        return a.revoked ? address(0) : a.current;
    }

    /// @notice Whether `agent` is the present address of a record of `did` that is not revoked.
    function isRegisteredAs(bytes32 did, address agent) external view returns (bool) {
        Agent storage a = _agents[_idOf[did][agent]];
        return agent != address(0) && a.current == agent && !a.revoked;
    }

    /// @inheritdoc IAgentRegistry
    function resolve(bytes32 did) external view returns (bytes32, address, uint256, uint256, uint256, uint256, bool) {
        return _resolve(_first[did]);
    }

    /// @notice As resolve(), for the record that `agent` is or was the address of.
    function resolveAs(
        bytes32 did,
        address agent
    ) external view returns (bytes32, address, uint256, uint256, uint256, uint256, bool) {
        return _resolve(_idOf[did][agent]);
    }

    // The name is that of EIP-2612.
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _register(bytes32 did, bytes32 ed25519Pubkey, address secp256k1Address, bytes memory ed25519Proof) private {
        if (did == 0 || ed25519Pubkey == 0 || secp256k1Address == address(0)) revert ZeroValue();
        if (_idOf[did][secp256k1Address] != 0) revert AlreadyRegistered(did);
        if (didOf[secp256k1Address] != 0) revert AddressInUse(secp256k1Address);
        uint256 id = ++_count;
        _agents[id].current = secp256k1Address;
        _agents[id].registeredAt = uint48(block.timestamp);
        _agents[id].ed25519Pubkey = ed25519Pubkey;
        _idOf[did][secp256k1Address] = id;
        didOf[secp256k1Address] = did;
        if (_first[did] == 0) _first[did] = id;
        emit AgentRegistered(did, secp256k1Address, ed25519Pubkey, ed25519Proof);
    }

    /// @dev The record of which the caller is the present address.
    function _own(bytes32 did) private view returns (uint256 id) {
        id = _idOf[did][msg.sender];
        if (id == 0 || _agents[id].current != msg.sender) revert NotAgent(did, msg.sender);
        if (_agents[id].revoked) revert AgentIsRevoked(did);
    }

    function _checkSignature(address signer, bytes32 structHash, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNow(signer, _hashTypedDataV4(structHash), signature)) revert BadSignature();
    }

    function _resolve(uint256 id) private view returns (bytes32, address, uint256, uint256, uint256, uint256, bool) {
        Agent storage a = _agents[id];
        return (a.ed25519Pubkey, a.current, a.tasksCompleted, a.disputesLost, a.violations, a.registeredAt, a.revoked);
    }
}
