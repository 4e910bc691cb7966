// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IStakeBond} from "./interfaces/IStakeBond.sol";
import {ITaskSettlement} from "./interfaces/ITaskSettlement.sol";

/// @notice Nobody owns this contract and nothing in it can be changed. A task leaves Created, Submitted and Disputed at most
/// once each; every payment out of escrow goes to the payee that the task was created for or back to its payer.
contract TaskSettlement is ITaskSettlement, EIP712, ReentrancyGuard {
    using SafeERC20 for IERC20;

    struct Task {
        address payer;
        uint48 deadline;
        uint48 disputeDeadline;
        address payee;
        uint48 arbiterDeadline;
        Status status;
        bool escrowed;
        address token;
        address arbiter;
        uint128 maxAmount;
        uint128 actualAmount;
        bytes32 payeeDid;
        bytes32 receiptHash;
        bytes32 reasonHash;
    }

    bytes32 public constant RECEIPT_TYPEHASH = keccak256("Receipt(bytes32 taskId,uint256 actualAmount,bytes32 receiptHash)");

    /// @dev Gas given to the registry and to the bond: enough for them, and their failure leaves enough for us.
    uint256 private constant REPORT_GAS = 80_000;
    uint256 private constant SLASH_GAS = 250_000;

    IAgentRegistry public immutable registry;
    IStakeBond public immutable bond;
    /// @notice Arbiter of tasks that name none; the only one that may slash. 0: such tasks cannot be disputed.
    address public immutable defaultArbiter;
    /// @notice Blocks after a receipt in which the payer may dispute it.
    uint256 public immutable disputeBlocks;
    /// @notice Blocks after a dispute in which the arbiter may decide; then the receipt stands.
    uint256 public immutable arbiterBlocks;
    uint256 public immutable maxDeadlineBlocks;

    mapping(bytes32 taskId => Task) private _tasks;
    /// @notice What a failed transfer left for an address to fetch.
    mapping(address token => mapping(address to => uint256)) public withdrawable;

    constructor(
        IAgentRegistry registry_,
        IStakeBond bond_,
        address defaultArbiter_,
        uint256 disputeBlocks_,
        uint256 arbiterBlocks_,
        uint256 maxDeadlineBlocks_
    ) EIP712("Linnix-Claw", "0.1.0") {
        if (address(registry_).code.length == 0 || address(bond_).code.length == 0) revert ZeroValue();
        if (disputeBlocks_ == 0 || arbiterBlocks_ == 0 || maxDeadlineBlocks_ == 0) revert ZeroValue();
        // A block number plus any of them then fits the 48 bits of a deadline for longer than anyone will look.
        if ((disputeBlocks_ | arbiterBlocks_ | maxDeadlineBlocks_) > type(uint32).max) revert BadDeadline();
        registry = registry_;
        bond = bond_;
        defaultArbiter = defaultArbiter_;
        disputeBlocks = disputeBlocks_;
        arbiterBlocks = arbiterBlocks_;
        maxDeadlineBlocks = maxDeadlineBlocks_;
    }

    // --- create ----------------------------------------------------------------------------------------------------

    /// @notice Allowance mode: nothing is held, the payer's allowance is drawn when the receipt comes. The payee carries the
    /// risk that it is gone by then.
    function createTask(
        bytes32 taskId,
        bytes32 payeeDid,
        address token,
        uint256 maxAmount,
        uint256 deadlineBlocks
    ) external nonReentrant {
        _create(taskId, Terms(payeeDid, address(0), token, maxAmount, deadlineBlocks, address(0)), false);
    }

    /// @notice Escrow with the default arbiter. `expectedPayee` 0 takes the first record of the DID.
    function createTaskEscrowed(
        bytes32 taskId,
        bytes32 payeeDid,
        address expectedPayee,
        address token,
        uint256 maxAmount,
        uint256 deadlineBlocks
    ) external nonReentrant {
        _create(taskId, Terms(payeeDid, expectedPayee, token, maxAmount, deadlineBlocks, defaultArbiter), true);
        _pull(token, msg.sender, address(this), maxAmount);
    }

    /// @notice Escrow with an arbiter of the payer's choice, 0 for none: the payee looks before it starts to work.
    function createTaskEscrowedWithArbiter(
        bytes32 taskId,
        bytes32 payeeDid,
        address expectedPayee,
        address token,
        uint256 maxAmount,
        uint256 deadlineBlocks,
        address arbiter
    ) external nonReentrant {
        _create(taskId, Terms(payeeDid, expectedPayee, token, maxAmount, deadlineBlocks, arbiter), true);
        _pull(token, msg.sender, address(this), maxAmount);
    }

    /// @notice As createTaskEscrowed(), with an EIP-2612 permit of exactly `maxAmount`. A permit that somebody else sent first
    /// has done its work: only the allowance counts.
    function createTaskEscrowedWithPermit(
        bytes32 taskId,
        bytes32 payeeDid,
        address expectedPayee,
        address token,
        uint256 maxAmount,
        uint256 deadlineBlocks,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        _create(taskId, Terms(payeeDid, expectedPayee, token, maxAmount, deadlineBlocks, defaultArbiter), true);
        try IERC20Permit(token).permit(msg.sender, address(this), maxAmount, permitDeadline, v, r, s) {} catch {}
        _pull(token, msg.sender, address(this), maxAmount);
    }

    /// @notice As createTaskEscrowed(), paid by an EIP-3009 authorization whose nonce is the task id. It says nothing of the
    /// payee, so only the payer itself may send it.
    function createTaskEscrowedWithAuthorization(
        bytes32 taskId,
        bytes32 payeeDid,
        address expectedPayee,
        address token,
        uint256 maxAmount,
        uint256 deadlineBlocks,
        Authorization calldata a
    ) external nonReentrant {
        _create(taskId, Terms(payeeDid, expectedPayee, token, maxAmount, deadlineBlocks, defaultArbiter), true);
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC3009(token)
            .receiveWithAuthorization(msg.sender, address(this), maxAmount, a.validAfter, a.validBefore, taskId, a.v, a.r, a.s);
        if (IERC20(token).balanceOf(address(this)) - before != maxAmount) revert FeeOnTransferToken();
    }

    // --- prove, pay ------------------------------------------------------------------------------------------------

    /// @notice Anyone may bring the payee's signed receipt before the deadline. Allowance mode pays now; escrow waits for the
    /// payer's consent or the end of the dispute window.
    function submitReceipt(
        bytes32 taskId,
        uint256 actualAmount,
        bytes calldata receipt,
        bytes calldata signature
    ) external nonReentrant {
        Task storage t = _expect(taskId, Status.Created);
        if (block.number > t.deadline) revert DeadlinePassed(t.deadline);
        if (actualAmount > t.maxAmount) revert AmountTooHigh(actualAmount, t.maxAmount);
        bytes32 receiptHash = keccak256(receipt);
        _checkSignature(t.payee, hashReceipt(taskId, actualAmount, receiptHash), signature);

        t.actualAmount = uint128(actualAmount);
        t.receiptHash = receiptHash;
        if (t.escrowed) {
            t.status = Status.Submitted;
            t.disputeDeadline = uint48(block.number + (t.arbiter == address(0) ? 0 : disputeBlocks));
            emit ReceiptSubmitted(taskId, t.payee, actualAmount, receiptHash, t.disputeDeadline);
            return;
        }
        t.status = Status.Settled;
        t.disputeDeadline = uint48(block.number);
        emit ReceiptSubmitted(taskId, t.payee, actualAmount, receiptHash, block.number);
        _pull(t.token, t.payer, t.payee, actualAmount);
        emit TaskSettled(taskId, t.payer, t.payee, t.token, actualAmount, 0);
        _report(taskId, t, 1, 0, 0);
    }

    /// @notice The payer accepts the receipt, or the dispute window has passed in silence and anyone says so.
    function settle(bytes32 taskId) external nonReentrant {
        Task storage t = _expect(taskId, Status.Submitted);
        if (msg.sender != t.payer && block.number <= t.disputeDeadline) revert DeadlineNotReached(t.disputeDeadline);
        t.status = Status.Settled;
        uint256 refund = _payOut(t, t.actualAmount);
        emit TaskSettled(taskId, t.payer, t.payee, t.token, t.actualAmount, refund);
        _report(taskId, t, 1, 0, 0);
    }

    // --- dispute ---------------------------------------------------------------------------------------------------

    function dispute(bytes32 taskId, bytes32 reasonHash) external nonReentrant {
        Task storage t = _expect(taskId, Status.Submitted);
        if (msg.sender != t.payer) revert NotPayer(msg.sender);
        if (t.arbiter == address(0)) revert NoArbiter(taskId);
        if (block.number > t.disputeDeadline) revert DeadlinePassed(t.disputeDeadline);
        t.status = Status.Disputed;
        t.arbiterDeadline = uint48(block.number + arbiterBlocks);
        t.reasonHash = reasonHash;
        emit TaskDisputed(taskId, msg.sender, reasonHash);
    }

    /// @notice The arbiter splits the receipt's amount. The default arbiter may also take up to the task's maximum from the
    /// payee's bond, of the same token, for the payer; a failing bond does not hold up the decision.
    function resolveDispute(bytes32 taskId, uint256 payeeAmount, uint256 slashAmount) external nonReentrant {
        Task storage t = _expect(taskId, Status.Disputed);
        if (msg.sender != t.arbiter) revert NotArbiter(msg.sender);
        if (block.number > t.arbiterDeadline) revert DeadlinePassed(t.arbiterDeadline);
        if (payeeAmount > t.actualAmount) revert AmountTooHigh(payeeAmount, t.actualAmount);
        if (slashAmount > t.maxAmount) revert AmountTooHigh(slashAmount, t.maxAmount);
        if (slashAmount != 0 && (t.arbiter != defaultArbiter || t.token != bond.token())) revert SlashNotAllowed(taskId);
        bool lost = payeeAmount < t.actualAmount;
        t.status = Status.Resolved;
        uint256 refund = _payOut(t, payeeAmount);
        uint256 slashed = slashAmount == 0 ? 0 : _slash(taskId, t, slashAmount);
        emit DisputeResolved(taskId, payeeAmount, refund, slashed);
        _report(taskId, t, lost ? 0 : 1, lost ? 1 : 0, slashed == 0 ? 0 : 1);
    }

    /// @notice The arbiter was silent: the signed receipt stands. Anyone may say so.
    function claimAfterArbiterTimeout(bytes32 taskId) external nonReentrant {
        Task storage t = _expect(taskId, Status.Disputed);
        if (block.number <= t.arbiterDeadline) revert DeadlineNotReached(t.arbiterDeadline);
        t.status = Status.Resolved;
        uint256 refund = _payOut(t, t.actualAmount);
        emit DisputeResolved(taskId, t.actualAmount, refund, 0);
        _report(taskId, t, 1, 0, 0);
    }

    // --- end without a receipt ---------------------------------------------------------------------------------------

    /// @notice The payee declines. (The payer cannot: somebody may be at work.)
    function cancelTask(bytes32 taskId) external nonReentrant {
        Task storage t = _expect(taskId, Status.Created);
        if (msg.sender != t.payee) revert NotPayee(msg.sender);
        t.status = Status.Cancelled;
        emit TaskCancelled(taskId, msg.sender);
        _payOut(t, 0);
    }

    /// @notice No receipt came in time: anyone may send the escrow home.
    function expireTask(bytes32 taskId) external nonReentrant {
        Task storage t = _expect(taskId, Status.Created);
        if (block.number <= t.deadline) revert DeadlineNotReached(t.deadline);
        t.status = Status.Expired;
        emit TaskExpired(taskId, _payOut(t, 0));
    }

    /// @notice Fetch what a failed transfer left for the caller.
    function withdraw(address token) external nonReentrant {
        uint256 amount = withdrawable[token][msg.sender];
        if (amount == 0) revert ZeroValue();
        withdrawable[token][msg.sender] = 0;
        emit PaymentWithdrawn(token, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    // --- views -----------------------------------------------------------------------------------------------------

    /// @inheritdoc ITaskSettlement
    function getTask(bytes32 taskId)
        external
        view
        returns (bytes32, bytes32, address, uint48, uint48, uint8, address, uint128, uint128)
    {
        Task storage t = _tasks[taskId];
        return (
            t.status == Status.None ? bytes32(0) : taskId,
            t.payeeDid,
            t.payer,
            t.deadline,
            t.disputeDeadline,
            uint8(t.status),
            t.token,
            t.maxAmount,
            t.actualAmount
        );
    }

    function getTaskExt(bytes32 taskId) external view returns (address payee, bool escrowed, bytes32 receiptHash) {
        Task storage t = _tasks[taskId];
        return (t.payee, t.escrowed, t.receiptHash);
    }

    function getTaskDispute(bytes32 taskId)
        external
        view
        returns (address arbiter, uint48 arbiterDeadline, bytes32 reasonHash)
    {
        Task storage t = _tasks[taskId];
        return (t.arbiter, t.arbiterDeadline, t.reasonHash);
    }

    /// @notice An id that nobody else has a reason to take. Any other id works too.
    function computeTaskId(address payer, bytes32 salt) external view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), payer, salt));
    }

    /// @notice The EIP-712 digest that the payee signs.
    function hashReceipt(bytes32 taskId, uint256 actualAmount, bytes32 receiptHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, taskId, actualAmount, receiptHash)));
    }

    /// @inheritdoc ITaskSettlement
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @notice The longest a task can last. Stake has to stay slashable for that long.
    function longestTaskBlocks() external view returns (uint256) {
        return maxDeadlineBlocks + disputeBlocks + arbiterBlocks;
    }

    // --- inside ----------------------------------------------------------------------------------------------------

    /// @dev The payee is fixed here: what happens to its registration later moves no money.
    function _create(bytes32 taskId, Terms memory terms, bool escrowed) private {
        Task storage t = _tasks[taskId];
        if (t.status != Status.None) revert TaskExists(taskId);
        if (taskId == 0 || terms.maxAmount == 0) revert ZeroValue();
        if (terms.token.code.length == 0) revert NotAToken(terms.token);
        if (terms.maxAmount > type(uint128).max) revert AmountTooHigh(terms.maxAmount, type(uint128).max);
        if (terms.deadlineBlocks == 0 || terms.deadlineBlocks > maxDeadlineBlocks) revert BadDeadline();
        address payee = _payeeOf(terms.payeeDid, terms.expectedPayee);
        if (payee == msg.sender) revert PayerIsPayee();

        uint256 deadline = block.number + terms.deadlineBlocks;
        t.payer = msg.sender;
        t.deadline = uint48(deadline);
        t.payee = payee;
        t.status = Status.Created;
        t.escrowed = escrowed;
        t.token = terms.token;
        t.arbiter = terms.arbiter;
        t.maxAmount = uint128(terms.maxAmount);
        t.payeeDid = terms.payeeDid;
        emit TaskCreated(taskId, msg.sender, terms.payeeDid, payee, terms.token, terms.maxAmount, deadline, escrowed);
        if (terms.arbiter != address(0)) emit TaskArbiter(taskId, terms.arbiter);
    }

    function _payeeOf(bytes32 payeeDid, address expected) private view returns (address) {
        if (expected != address(0) && registry.isRegisteredAs(payeeDid, expected)) return expected;
        address first = registry.getAddress(payeeDid);
        if (first == address(0)) revert PayeeNotRegistered(payeeDid);
        if (expected != address(0)) revert PayeeMismatch(first, expected);
        return first;
    }

    function _expect(bytes32 taskId, Status want) private view returns (Task storage t) {
        t = _tasks[taskId];
        if (t.status != want) revert WrongStatus(taskId, t.status);
    }

    /// @dev ECDSA first: an account with delegated code (EIP-7702) still signs with its key.
    function _checkSignature(address signer, bytes32 digest, bytes calldata signature) private view {
        (address recovered, ECDSA.RecoverError err,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (err == ECDSA.RecoverError.NoError && recovered == signer) return;
        if (signer.code.length == 0 || !SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) {
            revert BadSignature();
        }
    }

    /// @dev What arrives must be what was agreed: a token that takes a fee would leave others' escrow short.
    function _pull(address token, address from, address to, uint256 amount) private {
        if (amount == 0) return;
        uint256 before = IERC20(token).balanceOf(to);
        IERC20(token).safeTransferFrom(from, to, amount);
        if (IERC20(token).balanceOf(to) - before != amount) revert FeeOnTransferToken();
    }

    /// @dev The escrow of a task in two parts. In allowance mode nothing is held.
    function _payOut(Task storage t, uint256 payeeAmount) private returns (uint256 refund) {
        if (!t.escrowed) return 0;
        refund = t.maxAmount - payeeAmount;
        _push(t.token, t.payee, payeeAmount);
        _push(t.token, t.payer, refund);
    }

    /// @dev One party that cannot be paid (blacklisted, token paused) must not hold up the other.
    function _push(address token, address to, uint256 amount) private {
        if (amount == 0 || IERC20(token).trySafeTransfer(to, amount)) return;
        withdrawable[token][to] += amount;
        emit PaymentDeferred(token, to, amount);
    }

    function _slash(bytes32 taskId, Task storage t, uint256 amount) private returns (uint256 slashed) {
        _needGas(SLASH_GAS);
        try bond.slash{gas: SLASH_GAS}(t.payeeDid, t.payee, taskId, t.payer, amount) returns (uint256 taken) {
            slashed = taken;
        } catch {}
    }

    function _report(bytes32 taskId, Task storage t, uint64 done, uint64 lost, uint64 bad) private {
        _needGas(REPORT_GAS);
        try registry.report{gas: REPORT_GAS}(t.payeeDid, t.payee, done, lost, bad) {}
        catch {
            emit ReputationNotReported(taskId);
        }
    }

    /// @dev Or a caller could make the inner call fail by giving little gas (EIP-150 leaves us one part in 64).
    function _needGas(uint256 gas) private view {
        if (gasleft() < (gas * 64) / 63 + 10_000) revert OutOfGas();
    }
}
