// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {StakeBond} from "../contracts/StakeBond.sol";
import {TaskSettlement} from "../contracts/TaskSettlement.sol";
import {ITaskSettlement} from "../contracts/interfaces/ITaskSettlement.sol";
import {Base, Vm} from "./Base.sol";
import {MockUSDC} from "./mocks/MockUSDC.sol";

/// @dev Does anything that anyone may do, at any time, and keeps its own books of what must follow.
contract Handler {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    bytes private constant RECEIPT = "receipt";
    uint256 private constant MAX_TASKS = 64;

    struct Book {
        address payer;
        uint256 payeeKey;
        uint256 max;
        uint256 actual;
        bool escrowed;
        uint256 exits; // how often it left for good
    }

    TaskSettlement private immutable settlement;
    StakeBond private immutable bond;
    MockUSDC private immutable usdc;
    address private immutable arbiter;

    bytes32[] public tasks;
    mapping(bytes32 => Book) public book;
    address[] public people; // payers, then payees
    uint256 private constant PAYERS = 3;
    uint256 private constant PAYEES = 2;

    uint256 public escrowed; // what tasks that are open hold
    uint256 public deferred; // what failed transfers left
    uint256 public staked;
    uint256 public slashed;
    uint256 public everStaked;
    bool public wrongMove; // somebody's balance changed who had no part in it
    bool public overpaid;
    mapping(bytes32 => uint256) public calls;

    constructor(TaskSettlement settlement_, StakeBond bond_, MockUSDC usdc_, address arbiter_, address[] memory people_) {
        settlement = settlement_;
        bond = bond_;
        usdc = usdc_;
        arbiter = arbiter_;
        people = people_;
    }

    // --- books -----------------------------------------------------------------------------------------------------------

    function taskCount() external view returns (uint256) {
        return tasks.length;
    }

    function statusOf(bytes32 id) public view returns (ITaskSettlement.Status) {
        (,,,,, uint8 s,,,) = settlement.getTask(id);
        return ITaskSettlement.Status(s);
    }

    function pick(uint256 seed) private view returns (bytes32) {
        return tasks.length == 0 ? bytes32(0) : tasks[seed % tasks.length];
    }

    function did(uint256 k) private pure returns (bytes32) {
        return keccak256(abi.encode("did", k));
    }

    function key(uint256 seed) private pure returns (uint256) {
        return 1000 + (seed % PAYEES);
    }

    function wealth(address who) private view returns (uint256) {
        return usdc.balanceOf(who) + settlement.withdrawable(address(usdc), who);
    }

    /// @dev Runs `call` as `who` for `id` and checks whose balance moved, by how much and in which direction.
    function act(address who, bytes32 id, bytes memory call) private returns (bool ok) {
        uint256[] memory before = new uint256[](people.length);
        for (uint256 i; i < people.length; i++) {
            before[i] = wealth(people[i]);
        }
        ITaskSettlement.Status was = statusOf(id);
        vm.prank(who);
        (ok,) = address(settlement).call(call);
        ITaskSettlement.Status now_ = statusOf(id);
        Book storage b = book[id];
        address payee = b.payeeKey == 0 ? address(0) : vm.addr(b.payeeKey);
        for (uint256 i; i < people.length; i++) {
            uint256 is_ = wealth(people[i]);
            if (is_ == before[i]) continue;
            if (people[i] == payee) {
                if (is_ < before[i] || is_ - before[i] > b.actual) overpaid = true;
            } else if (people[i] != b.payer) {
                wrongMove = true;
            }
        }
        if (!ok && was != now_) wrongMove = true;
        bool isOpen = now_ == ITaskSettlement.Status.Created || now_ == ITaskSettlement.Status.Submitted
            || now_ == ITaskSettlement.Status.Disputed;
        if (was != now_ && !isOpen) {
            b.exits++;
            if (b.escrowed) escrowed -= b.max;
        }
        deferred = 0;
        for (uint256 i; i < people.length; i++) {
            deferred += settlement.withdrawable(address(usdc), people[i]);
        }
        if (ok) calls[bytes32(bytes4(call))]++;
    }

    // --- acts ------------------------------------------------------------------------------------------------------------

    function create(uint256 payerSeed, uint256 payeeSeed, uint256 max, uint256 deadline, uint8 mode) external {
        if (tasks.length == MAX_TASKS) return;
        address payer = people[payerSeed % PAYERS];
        uint256 k = key(payeeSeed);
        max = 1 + (max % 100e6);
        deadline = 1 + (deadline % 60);
        bytes32 id = keccak256(abi.encode("task", tasks.length));
        book[id] = Book(payer, k, max, 0, mode % 4 != 0, 0);
        bytes memory call;
        address p = vm.addr(k);
        if (mode % 4 == 0) {
            call = abi.encodeCall(settlement.createTask, (id, did(k), address(usdc), max, deadline));
        } else if (mode % 4 == 1) {
            call = abi.encodeCall(
                settlement.createTaskEscrowedWithArbiter, (id, did(k), p, address(usdc), max, deadline, address(0))
            );
        } else {
            call = abi.encodeCall(settlement.createTaskEscrowed, (id, did(k), p, address(usdc), max, deadline));
        }
        if (!act(payer, id, call)) return;
        tasks.push(id);
        if (mode % 4 != 0) escrowed += max;
    }

    function submit(uint256 seed, uint256 amount, bool tooMuch) external {
        bytes32 id = pick(seed);
        if (id == 0) return;
        Book storage b = book[id];
        amount = tooMuch ? b.max + 1 + (amount % 5) : amount % (b.max + 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(b.payeeKey, settlement.hashReceipt(id, amount, keccak256(RECEIPT)));
        uint256 old = b.actual;
        b.actual = amount;
        bytes memory signature = abi.encodePacked(r, s, v);
        if (!act(people[seed % people.length], id, abi.encodeCall(settlement.submitReceipt, (id, amount, RECEIPT, signature))))
        {
            b.actual = old;
        } else if (tooMuch) {
            overpaid = true;
        }
    }

    function settle(uint256 seed, uint256 who) external {
        bytes32 id = pick(seed);
        if (id != 0) act(people[who % people.length], id, abi.encodeCall(settlement.settle, (id)));
    }

    function dispute(uint256 seed, uint256 who) external {
        bytes32 id = pick(seed);
        if (id == 0) return;
        address by = who % 4 == 0 ? people[who % people.length] : book[id].payer;
        act(by, id, abi.encodeCall(settlement.dispute, (id, bytes32(who))));
    }

    function resolve(uint256 seed, uint256 amount, uint256 slash, bool byOther) external {
        bytes32 id = pick(seed);
        if (id == 0) return;
        Book storage b = book[id];
        uint256 before = usdc.balanceOf(address(bond));
        address payer = b.payer;
        uint256 had = wealth(payer);
        bytes memory call = abi.encodeCall(settlement.resolveDispute, (id, amount % (b.actual + 2), slash % (b.max + 2)));
        act(byOther ? people[seed % people.length] : arbiter, id, call);
        uint256 taken = before - usdc.balanceOf(address(bond));
        staked -= taken;
        slashed += taken;
        if (wealth(payer) < had) wrongMove = true;
    }

    function claim(uint256 seed, uint256 who) external {
        bytes32 id = pick(seed);
        if (id != 0) act(people[who % people.length], id, abi.encodeCall(settlement.claimAfterArbiterTimeout, (id)));
    }

    function cancel(uint256 seed, uint256 who) external {
        bytes32 id = pick(seed);
        if (id == 0) return;
        address by = who % 2 == 0 ? people[who % people.length] : vm.addr(book[id].payeeKey);
        act(by, id, abi.encodeCall(settlement.cancelTask, (id)));
    }

    function expire(uint256 seed, uint256 who) external {
        bytes32 id = pick(seed);
        if (id != 0) act(people[who % people.length], id, abi.encodeCall(settlement.expireTask, (id)));
    }

    function withdraw(uint256 who) external {
        act(people[who % people.length], 0, abi.encodeCall(settlement.withdraw, (address(usdc))));
    }

    function blacklist(uint256 who, bool yes) external {
        usdc.setBlacklisted(people[who % people.length], yes);
    }

    function stake(uint256 seed, uint256 amount) external {
        address who = vm.addr(key(seed));
        amount = 1 + (amount % 50e6);
        vm.prank(who);
        (bool ok,) = address(bond).call(abi.encodeCall(bond.bond, (did(key(seed)), amount)));
        if (!ok) return;
        staked += amount;
        everStaked += amount;
    }

    function unbond(uint256 seed, uint256 amount) external {
        vm.prank(vm.addr(key(seed)));
        (bool ok,) = address(bond).call(abi.encodeCall(bond.requestUnbond, (did(key(seed)), amount % 50e6)));
        ok;
    }

    function unstake(uint256 seed) external {
        address who = vm.addr(key(seed));
        (, uint256 unbonding,) = bond.bondOf(did(key(seed)), who);
        vm.prank(who);
        (bool ok,) = address(bond).call(abi.encodeCall(bond.withdraw, (did(key(seed)))));
        if (ok) staked -= unbonding;
    }

    function pass(uint256 blocks) external {
        vm.roll(block.number + (blocks % 40));
    }
}

contract InvariantTest is Base {
    Handler private handler;
    uint256 private supply;
    address[] private people;

    function setUp() public override {
        super.setUp();
        for (uint256 i; i < 3; i++) {
            people.push(address(uint160(0x1000 + i)));
        }
        for (uint256 i; i < 2; i++) {
            people.push(vm.addr(1000 + i));
        }
        handler = new Handler(settlement, bond, usdc, arbiter, people);
        for (uint256 i; i < people.length; i++) {
            usdc.mint(people[i], 10_000e6);
            vm.startPrank(people[i]);
            usdc.approve(address(settlement), type(uint256).max);
            usdc.approve(address(bond), type(uint256).max);
            if (i >= 3) registry.register(keccak256(abi.encode("did", 1000 + i - 3)), ED, people[i]);
            vm.stopPrank();
        }
        supply = usdc.totalSupply();
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    /// @dev Invariants over acts that are all refused would hold, too: each act of the handler can succeed.
    function test_every_act_of_the_handler_can_succeed() external {
        handler.stake(0, 20e6);
        for (uint256 i; i < 6; i++) {
            handler.create(i, 0, 10e6, 50, i == 5 ? 0 : 2);
            if (i != 3 && i != 4) handler.submit(i, 4e6, false);
        }
        handler.settle(0, 0);
        handler.dispute(1, 1);
        handler.resolve(1, 1e6, 1e6, false);
        handler.dispute(2, 2);
        handler.cancel(3, 1);
        handler.blacklist(3, true); // the payee of all of them
        for (uint256 i; i < 4; i++) {
            handler.pass(39);
        }
        handler.expire(4, 0);
        handler.claim(2, 0);
        handler.blacklist(3, false);
        handler.withdraw(3);
        handler.unbond(0, 1e6);
        bytes4[9] memory acts = [
            settlement.createTaskEscrowed.selector,
            settlement.createTask.selector,
            settlement.submitReceipt.selector,
            settlement.settle.selector,
            settlement.dispute.selector,
            settlement.resolveDispute.selector,
            settlement.cancelTask.selector,
            settlement.claimAfterArbiterTimeout.selector,
            settlement.expireTask.selector
        ];
        for (uint256 i; i < acts.length; i++) {
            require(handler.calls(acts[i]) != 0, "an act never succeeded");
        }
        eq(handler.calls(settlement.withdraw.selector), 1, "withdraw");
        require(handler.slashed() == 1e6 && handler.staked() == 19e6 + 1, "slashed");
        (, uint256 unbonding,) = bond.bondOf(keccak256(abi.encode("did", 1000)), people[3]);
        eq(unbonding, 1e6, "unbonding");
    }

    /// @dev What is held is exactly what open tasks and failed transfers are owed.
    function invariant_solvent() external view {
        eq(usdc.balanceOf(address(settlement)), handler.escrowed() + handler.deferred(), "settlement");
        eq(usdc.balanceOf(address(bond)), handler.staked(), "bond");
    }

    function invariant_conserved() external view {
        uint256 sum = usdc.balanceOf(address(settlement)) + usdc.balanceOf(address(bond)) + usdc.balanceOf(payer);
        for (uint256 i; i < people.length; i++) {
            sum += usdc.balanceOf(people[i]);
        }
        eq(sum, supply, "sum");
        eq(usdc.totalSupply(), supply, "supply");
    }

    function invariant_never_more_than_the_receipt_and_the_maximum() external view {
        require(!handler.overpaid(), "overpaid");
        for (uint256 i; i < handler.taskCount(); i++) {
            (,,,,,,, uint128 max, uint128 actual) = settlement.getTask(handler.tasks(i));
            require(actual <= max, "actual");
        }
    }

    function invariant_one_exit_per_task() external view {
        for (uint256 i; i < handler.taskCount(); i++) {
            bytes32 id = handler.tasks(i);
            (,,,,, uint256 exits) = handler.book(id);
            ITaskSettlement.Status s = handler.statusOf(id);
            bool isOpen = s == ITaskSettlement.Status.Created || s == ITaskSettlement.Status.Submitted
                || s == ITaskSettlement.Status.Disputed;
            eq(exits, isOpen ? 0 : 1, "exits");
        }
    }

    /// @dev Money moves between a task's payer and payee only; a payee never loses, only the payer is refunded.
    function invariant_only_the_parties_are_touched() external view {
        require(!handler.wrongMove(), "wrong move");
    }

    function invariant_no_more_is_slashed_than_was_staked() external view {
        require(handler.slashed() <= handler.everStaked(), "slashed");
    }
}
