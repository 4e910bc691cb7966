// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

// The compatible functions and nothing else, as contracts may stand on a chain which are not ours: no events of ours, status
// numbers of their own, no proofs, no escrow, no disputes. A receipt pays at once, from the payer's allowance.

contract CompatibleRegistry {
    struct Agent {
        bytes32 key;
        address current;
        uint256 since;
    }

    mapping(bytes32 did => Agent) private _agents;

    function register(bytes32 did, bytes32 ed25519Pubkey, address secp256k1Address) external {
        require(_agents[did].current == address(0), "taken");
        _agents[did] = Agent(ed25519Pubkey, secp256k1Address, block.timestamp);
    }

    function isRegistered(bytes32 did) external view returns (bool) {
        return _agents[did].current != address(0);
    }

    function getAddress(bytes32 did) external view returns (address) {
        return _agents[did].current;
    }

    function resolve(bytes32 did) external view returns (bytes32, address, uint256, uint256, uint256, uint256, bool) {
        Agent storage a = _agents[did];
        return (a.key, a.current, 0, 0, 0, a.since, false);
    }
}

contract CompatibleSettlement is EIP712 {
    using SafeERC20 for IERC20;

    struct Task {
        bytes32 payeeDid;
        address payer;
        uint48 deadline;
        uint8 status;
        address token;
        uint128 maxAmount;
        uint128 actualAmount;
    }

    // Numbers that mean something else in our contract.
    uint8 private constant OPEN = 7;
    uint8 private constant PAID = 4;

    CompatibleRegistry private immutable _registry;
    mapping(bytes32 id => Task) private _tasks;

    constructor(CompatibleRegistry registry) EIP712("Linnix-Claw", "0.1.0") {
        _registry = registry;
    }

    function createTask(bytes32 id, bytes32 payeeDid, address token, uint256 maxAmount, uint256 deadlineBlocks) external {
        require(_tasks[id].payer == address(0), "there is one");
        _tasks[id] = Task(payeeDid, msg.sender, uint48(block.number + deadlineBlocks), OPEN, token, uint128(maxAmount), 0);
    }

    function submitReceipt(bytes32 id, uint256 actualAmount, bytes calldata receipt, bytes calldata signature) external {
        Task storage t = _tasks[id];
        address payee = _registry.getAddress(t.payeeDid);
        require(t.status == OPEN && block.number <= t.deadline && actualAmount <= t.maxAmount, "not now");
        bytes32 hash = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    keccak256("Receipt(bytes32 taskId,uint256 actualAmount,bytes32 receiptHash)"),
                    id,
                    actualAmount,
                    keccak256(receipt)
                )
            )
        );
        require(ECDSA.recover(hash, signature) == payee, "not the payee");
        t.status = PAID;
        t.actualAmount = uint128(actualAmount);
        IERC20(t.token).safeTransferFrom(t.payer, payee, actualAmount);
    }

    function getTask(bytes32 id)
        external
        view
        returns (bytes32, bytes32, address, uint48, uint48, uint8, address, uint128, uint128)
    {
        Task storage t = _tasks[id];
        return (id, t.payeeDid, t.payer, t.deadline, 0, t.status, t.token, t.maxAmount, t.actualAmount);
    }

    // The name is that of EIP-2612.
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }
}
