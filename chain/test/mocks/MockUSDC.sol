// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// @notice For test nets and local nodes: six decimals, permit and authorizations as USDC has them, a blacklist and a pause
/// which anyone may set, and allowances that change only from or to 0, as those of USDT, where anyone wants that. Worth nothing.
contract MockUSDC is ERC20, ERC20Permit, ERC3009 {
    mapping(address account => bool) public isBlacklisted;
    bool public paused;
    bool public stubborn;

    error Blacklisted(address account);
    error Paused();
    error AllowanceNotZero();

    constructor() ERC20("USDC", "USDC") ERC20Permit("USDC") {}

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setBlacklisted(address account, bool yes) external {
        isBlacklisted[account] = yes;
    }

    function setPaused(bool yes) external {
        paused = yes;
    }

    function setStubborn(bool yes) external {
        stubborn = yes;
    }

    function approve(address spender, uint256 value) public override returns (bool) {
        if (stubborn && value != 0 && allowance(msg.sender, spender) != 0) revert AllowanceNotZero();
        return super.approve(spender, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (paused) revert Paused();
        if (isBlacklisted[from]) revert Blacklisted(from);
        if (isBlacklisted[to]) revert Blacklisted(to);
        super._update(from, to, value);
    }
}
