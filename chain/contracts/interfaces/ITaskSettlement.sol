// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

/// @notice Paid tasks: created by a payer, proven by the payee's signed receipt, paid in an ERC-20 token.
interface ITaskSettlement {
    enum Status {
        None,
        Created,
        Submitted,
        Settled,
        Disputed,
        Resolved,
        Cancelled,
        Expired
    }

    /// @notice What a payer commits to.
    struct Terms {
        bytes32 payeeDid;
        address expectedPayee;
        address token;
        uint256 maxAmount;
        uint256 deadlineBlocks;
        address arbiter;
    }

    /// @notice A signed EIP-3009 receiveWithAuthorization whose nonce is the task id.
    struct Authorization {
        uint256 validAfter;
        uint256 validBefore;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    event TaskCreated(
        bytes32 indexed taskId,
        address indexed payer,
        bytes32 indexed payeeDid,
        address payee,
        address token,
        uint256 maxAmount,
        uint256 deadline,
        bool escrowed
    );
    event TaskArbiter(bytes32 indexed taskId, address indexed arbiter);
    event ReceiptSubmitted(
        bytes32 indexed taskId, address indexed payee, uint256 actualAmount, bytes32 receiptHash, uint256 disputeDeadline
    );
    event TaskSettled(
        bytes32 indexed taskId, address indexed payer, address indexed payee, address token, uint256 amount, uint256 refund
    );
    event TaskDisputed(bytes32 indexed taskId, address indexed payer, bytes32 reasonHash);
    event DisputeResolved(bytes32 indexed taskId, uint256 payeeAmount, uint256 payerRefund, uint256 slashed);
    event TaskCancelled(bytes32 indexed taskId, address indexed by);
    event TaskExpired(bytes32 indexed taskId, uint256 refund);
    /// @notice A transfer failed: `to` has to fetch the amount with withdraw().
    event PaymentDeferred(address indexed token, address indexed to, uint256 amount);
    event PaymentWithdrawn(address indexed token, address indexed to, uint256 amount);
    /// @notice The registry failed to note the outcome of a task; the money moved all the same.
    event ReputationNotReported(bytes32 indexed taskId);

    error TaskExists(bytes32 taskId);
    error WrongStatus(bytes32 taskId, Status have);
    error PayeeNotRegistered(bytes32 payeeDid);
    error PayeeMismatch(address have, address want);
    error PayerIsPayee();
    error AmountTooHigh(uint256 amount, uint256 max);
    error BadDeadline();
    error DeadlinePassed(uint256 deadline);
    error DeadlineNotReached(uint256 deadline);
    error BadSignature();
    error NotPayer(address caller);
    error NotPayee(address caller);
    error NotArbiter(address caller);
    error NoArbiter(bytes32 taskId);
    error SlashNotAllowed(bytes32 taskId);
    error NotAToken(address token);
    error ZeroValue();
    error FeeOnTransferToken();
    error OutOfGas();

    function createTask(bytes32 taskId, bytes32 payeeDid, address token, uint256 maxAmount, uint256 deadlineBlocks) external;

    function submitReceipt(bytes32 taskId, uint256 actualAmount, bytes calldata receipt, bytes calldata signature) external;

    function getTask(bytes32 taskId)
        external
        view
        returns (
            bytes32 taskIdOut,
            bytes32 payeeDid,
            address payer,
            uint48 deadline,
            uint48 disputeDeadline,
            uint8 status,
            address token,
            uint128 maxAmount,
            uint128 actualAmount
        );

    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
