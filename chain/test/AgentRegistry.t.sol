// SPDX-License-Identifier: AGPL-3.0-or-later
pragma solidity 0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {AgentRegistry} from "../contracts/AgentRegistry.sol";
import {IAgentRegistry} from "../contracts/interfaces/IAgentRegistry.sol";
import {Base} from "./Base.sol";

contract AgentRegistryTest is Base {
    uint256 private constant NEW_KEY = 0xB0B;
    address private fresh = vm.addr(NEW_KEY);
    bytes32 private constant OTHER = keccak256("did:key:z6MkOther");

    function registerDigest(uint256 nonce, uint256 deadline) private view returns (bytes32) {
        return digest(keccak256(abi.encode(registry.REGISTER_TYPEHASH(), OTHER, ED, fresh, nonce, deadline)));
    }

    function rotateDigest(address from, uint256 nonce, uint256 deadline) private view returns (bytes32) {
        return digest(keccak256(abi.encode(registry.ROTATE_TYPEHASH(), DID, ED, from, fresh, nonce, deadline)));
    }

    function digest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", registry.DOMAIN_SEPARATOR(), structHash));
    }

    function rotated() private {
        bytes memory signature = sign(NEW_KEY, rotateDigest(payee, 0, block.timestamp));
        vm.prank(payee);
        registry.rotate(DID, ED, fresh, "proof", block.timestamp, signature);
    }

    function test_selectors_of_the_known_system() external pure {
        require(AgentRegistry.register.selector == 0x15d7bf44, "register");
        require(AgentRegistry.isRegistered.selector == 0x27258b22, "isRegistered");
        require(AgentRegistry.getAddress.selector == 0x21f8a721, "getAddress");
        require(AgentRegistry.resolve.selector == 0x5c23bdf5, "resolve");
    }

    function test_a_registered_agent_resolves() external view {
        (bytes32 ed, address a, uint256 done, uint256 lost, uint256 bad, uint256 at, bool gone) = registry.resolve(DID);
        require(ed == ED && a == payee && done + lost + bad == 0 && at == block.timestamp && !gone, "record");
        require(registry.isRegistered(DID) && registry.getAddress(DID) == payee, "known");
        eq(registry.didOf(payee), DID, "didOf");
    }

    function test_an_unknown_did_is_nobody() external view {
        require(!registry.isRegistered(OTHER) && registry.getAddress(OTHER) == address(0), "nobody");
        require(!registry.isRegisteredAs(OTHER, payee) && !registry.isRegisteredAs(DID, address(0)), "not as");
    }

    function test_only_the_address_itself_registers() external {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, OTHER, stranger));
        vm.prank(stranger);
        registry.register(OTHER, ED, fresh);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, OTHER, stranger));
        vm.prank(stranger);
        registry.registerWithProof(OTHER, ED, fresh, "");
    }

    function test_zero_values_are_refused() external {
        vm.startPrank(fresh);
        vm.expectRevert(IAgentRegistry.ZeroValue.selector);
        registry.register(0, ED, fresh);
        vm.expectRevert(IAgentRegistry.ZeroValue.selector);
        registry.register(OTHER, 0, fresh);
        vm.stopPrank();
        vm.prank(address(0));
        vm.expectRevert(IAgentRegistry.ZeroValue.selector);
        registry.register(OTHER, ED, address(0));
        vm.startPrank(payee);
        vm.expectRevert(IAgentRegistry.ZeroValue.selector);
        registry.rotate(DID, 0, payee, "", 0, "");
        vm.expectRevert(IAgentRegistry.ZeroValue.selector);
        registry.rotate(DID, ED, address(0), "", 0, "");
    }

    function test_twice_the_same_is_refused() external {
        vm.startPrank(payee);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AlreadyRegistered.selector, DID));
        registry.register(DID, ED, payee);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AddressInUse.selector, payee));
        registry.register(OTHER, ED, payee);
    }

    function test_a_squatter_does_not_block_the_true_owner() external {
        vm.prank(stranger);
        registry.register(OTHER, bytes32(uint256(1)), stranger);
        vm.expectEmit();
        emit IAgentRegistry.AgentRegistered(OTHER, fresh, ED, "proof");
        vm.prank(fresh);
        registry.registerWithProof(OTHER, ED, fresh, "proof");
        eq(registry.getAddress(OTHER), stranger, "the first is what the compatible functions answer");
        require(registry.isRegisteredAs(OTHER, fresh) && registry.isRegisteredAs(OTHER, stranger), "both are found");
        (bytes32 ed, address a,,,,,) = registry.resolveAs(OTHER, fresh);
        require(ed == ED && a == fresh, "its own record");
    }

    function test_a_relayed_registration_counts_once() external {
        bytes memory signature = sign(NEW_KEY, registerDigest(0, block.timestamp));
        vm.prank(stranger);
        registry.registerFor(OTHER, ED, fresh, "proof", block.timestamp, signature);
        eq(registry.getAddress(OTHER), fresh, "registered");
        eq(registry.nonces(fresh), 1, "nonce");
        vm.expectRevert(IAgentRegistry.BadSignature.selector);
        registry.registerFor(OTHER, ED, fresh, "proof", block.timestamp, signature);
    }

    function test_a_relayed_registration_by_another_key_or_too_late_is_refused() external {
        bytes memory signature = sign(PAYEE_KEY, registerDigest(0, block.timestamp));
        vm.expectRevert(IAgentRegistry.BadSignature.selector);
        registry.registerFor(OTHER, ED, fresh, "", block.timestamp, signature);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.Expired.selector, block.timestamp - 1));
        registry.registerFor(OTHER, ED, fresh, "", block.timestamp - 1, signature);
    }

    function test_rotation_moves_the_record_and_its_history() external {
        registry.setReporter(address(this), true);
        registry.report(DID, payee, 3, 1, 0);
        rotated();
        (, address a, uint256 done, uint256 lost,,,) = registry.resolve(DID);
        require(a == fresh && done == 3 && lost == 1, "record");
        require(registry.isRegisteredAs(DID, fresh) && !registry.isRegisteredAs(DID, payee), "as");
        require(registry.didOf(payee) == 0 && registry.didOf(fresh) == DID, "didOf");
        registry.report(DID, payee, 0, 1, 1);
        (,, done, lost,,,) = registry.resolve(DID);
        require(done == 3 && lost == 2, "what the old address did still counts");
    }

    function test_an_address_that_was_rotated_away_cannot_come_back() external {
        rotated();
        vm.startPrank(payee);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AlreadyRegistered.selector, DID));
        registry.register(DID, ED, payee);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, DID, payee));
        registry.revoke(DID);
    }

    function test_the_ed25519_key_alone_rotates_without_a_signature() external {
        vm.prank(payee);
        registry.rotate(DID, bytes32(uint256(7)), payee, "", 0, "");
        (bytes32 ed, address a,,,,,) = registry.resolve(DID);
        require(ed == bytes32(uint256(7)) && a == payee, "record");
    }

    function test_rotation_needs_the_new_addresss_consent() external {
        bytes memory signature = sign(PAYEE_KEY, rotateDigest(payee, 0, block.timestamp));
        vm.startPrank(payee);
        vm.expectRevert(IAgentRegistry.BadSignature.selector);
        registry.rotate(DID, ED, fresh, "", block.timestamp, signature);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.Expired.selector, block.timestamp - 1));
        registry.rotate(DID, ED, fresh, "", block.timestamp - 1, signature);
    }

    function test_rotation_to_an_address_in_use_is_refused() external {
        vm.prank(fresh);
        registry.register(DID, ED, fresh);
        vm.prank(stranger);
        registry.register(OTHER, ED, stranger);
        vm.startPrank(payee);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AlreadyRegistered.selector, DID));
        registry.rotate(DID, ED, fresh, "", block.timestamp, "");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AddressInUse.selector, stranger));
        registry.rotate(DID, ED, stranger, "", block.timestamp, "");
    }

    function test_a_strangers_record_cannot_be_touched() external {
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, DID, stranger));
        registry.revoke(DID);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, DID, stranger));
        registry.rotate(DID, ED, stranger, "", 0, "");
    }

    function test_revoked_is_for_good() external {
        vm.startPrank(payee);
        registry.revoke(DID);
        require(!registry.isRegistered(DID) && registry.getAddress(DID) == address(0), "gone");
        require(!registry.isRegisteredAs(DID, payee), "gone as");
        (,,,,,, bool gone) = registry.resolve(DID);
        require(gone, "resolve says so");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentIsRevoked.selector, DID));
        registry.revoke(DID);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AlreadyRegistered.selector, DID));
        registry.register(DID, ED, payee);
        vm.stopPrank();
        vm.prank(stranger);
        registry.register(DID, ED, stranger);
        eq(registry.getAddress(DID), address(0), "nobody takes over the first record");
    }

    function test_only_reporters_report_and_only_the_owner_names_them() external {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotReporter.selector, address(this)));
        registry.report(DID, payee, 1, 0, 0);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        registry.setReporter(stranger, true);
        registry.setReporter(address(this), true);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRegistered.selector, DID));
        registry.report(DID, stranger, 1, 0, 0);
    }

    function testFuzz_nobody_gets_a_record_of_anothers_address(address caller, address wanted, bytes32 did) external {
        vm.assume(caller != wanted);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgent.selector, did, caller));
        vm.prank(caller);
        registry.register(did, ED, wanted);
    }
}
