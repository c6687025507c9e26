// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAdjudicator} from "../src/interfaces/IAdjudicator.sol";
import {IAssetHolder} from "../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {IPerunHub} from "../src/interfaces/IPerunHub.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// The hub's code is in two halves, neither of which the compiler holds against the interface.
contract InterfaceTest is PerunTest {
    /// Every function is there: without arguments it fails for another reason, or answers.
    function testEveryFunctionIsAnswered() public {
        string memory abi_ = vm.readFile("out/default/IPerunHub.sol/IPerunHub.json");
        string[] memory all = vm.parseJsonKeys(abi_, ".methodIdentifiers");
        vm.assertTrue(all.length > 30);
        for (uint256 i = 0; i < all.length; ++i) {
            bytes4 selector = bytes4(keccak256(bytes(all[i])));
            (bool ok, bytes memory why) = address(hub).call(abi.encodePacked(selector));
            vm.assertTrue(ok || bytes4(why) != IHubErrors.NoFunction.selector, all[i]);
        }
        (bool done, bytes memory refusal) =
            address(hub).call(abi.encodeWithSignature("noSuchFunction()"));
        vm.assertTrue(!done);
        vm.assertEq(bytes32(refusal), bytes32(IHubErrors.NoFunction.selector));
    }

    function testSelectorsAndTopicsArePeruns() public pure {
        vm.assertEq(bytes32(IAdjudicator.register.selector), bytes32(bytes4(0xe9aa7e02)));
        vm.assertEq(bytes32(IAdjudicator.progress.selector), bytes32(bytes4(0x4c8a2c90)));
        vm.assertEq(bytes32(IAdjudicator.conclude.selector), bytes32(bytes4(0xe7c01d05)));
        vm.assertEq(bytes32(IAdjudicator.concludeFinal.selector), bytes32(bytes4(0x75a87223)));
        vm.assertEq(bytes32(IAdjudicator.channelID.selector), bytes32(bytes4(0xdb77bb27)));
        vm.assertEq(bytes32(IAdjudicator.hashState.selector), bytes32(bytes4(0x7a114d3d)));
        vm.assertEq(bytes32(IAdjudicator.disputes.selector), bytes32(bytes4(0x11be1997)));
        vm.assertEq(bytes32(IAssetHolder.deposit.selector), bytes32(bytes4(0x1de26e16)));
        vm.assertEq(bytes32(IAssetHolder.withdraw.selector), bytes32(bytes4(0xfca0f778)));
        vm.assertEq(bytes32(IAssetHolder.holdings.selector), bytes32(bytes4(0xae9ee18c)));
        vm.assertEq(bytes32(IAssetHolder.settled.selector), bytes32(bytes4(0xd945af1d)));
        vm.assertEq(bytes32(IAssetHolder.adjudicator.selector), bytes32(bytes4(0x53c2ed8e)));
        vm.assertEq(
            IAdjudicator.ChannelUpdate.selector,
            0x895ef5a5fc3efd313a300b006d6ce97ff0670dfe04f6eea90417edf924fa786b
        );
        vm.assertEq(
            IAssetHolder.Deposited.selector,
            0xcd2fe07293de5928c5df9505b65a8d6506f8668dfe81af09090920687edc48a9
        );
        vm.assertEq(
            IAssetHolder.Withdrawn.selector,
            0xd0b6e7d0170f56c62f87de6a8a47a0ccf41c86ffb5084d399d8eb62e823f2a81
        );
    }
}
