// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev Tokens and parties that do not play by the rules.

abstract contract FreeToken is ERC20 {
    constructor() ERC20("T", "T") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one unit in 100 of every transfer.
contract FeeToken is FreeToken {
    function _update(address from, address to, uint256 value) internal override {
        if (from != address(0) && to != address(0)) {
            super._update(from, address(0xFEE), value / 100);
            value -= value / 100;
        }
        super._update(from, to, value);
    }
}

/// @dev Says false and moves nothing, once told to.
contract FalseToken is FreeToken {
    bool public lying;

    function setLying(bool yes) external {
        lying = yes;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return lying ? false : super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return lying ? false : super.transferFrom(from, to, value);
    }
}

/// @dev Answers nothing where a bool is due, as some old tokens do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @dev Calls back once during the next transfer, and remembers what came of it.
contract ReentrantToken is FreeToken {
    address public target;
    bytes public call;
    bool public isArmed;
    bool public gotIn;
    bytes4 public answer;

    function arm(address target_, bytes calldata call_) external {
        target = target_;
        call = call_;
        isArmed = true;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (!isArmed) return;
        isArmed = false;
        bytes memory why;
        (gotIn, why) = target.call(call);
        answer = bytes4(why);
    }
}

/// @dev Burns all gas that a transfer is given, once told to.
contract GreedyToken is FreeToken {
    bool public greedy;

    function setGreedy(bool yes) external {
        greedy = yes;
    }

    function _update(address from, address to, uint256 value) internal override {
        while (greedy) {}
        super._update(from, to, value);
    }
}

/// @dev A registry that knows one agent and fails at everything else, in the way that it is told.
contract BrokenRegistry {
    address public agent;
    uint256 public how;

    constructor(address agent_) {
        agent = agent_;
    }

    function setHow(uint256 how_) external {
        how = how_;
    }

    function getAddress(bytes32) external view returns (address) {
        return agent;
    }

    function isRegisteredAs(bytes32, address a) external view returns (bool) {
        return a == agent;
    }

    function report(bytes32, address, uint64, uint64, uint64) external view {
        if (how == 0) revert("no");
        while (how == 1) {}
    }
}

/// @dev An agent that is a contract: any signature of its owner's (ERC-1271) counts.
contract ContractAgent {
    bytes32 public accepted;

    function accept(bytes32 digest) external {
        accepted = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == accepted ? bytes4(0x1626ba7e) : bytes4(0);
    }

    function run(address target, bytes calldata call) external {
        (bool ok, bytes memory why) = target.call(call);
        if (!ok) {
            assembly {
                revert(add(why, 32), mload(why))
            }
        }
    }
}
