// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {Params, SignedState, State} from "../../src/interfaces/Types.sol";
import {PerunTest} from "../base/PerunTest.sol";

/// What the search found, so that it stays found.
contract FoundTest is PerunTest {
    /// A token that can be minted without end may not stop the other assets of its channel.
    function testHugeDepositsDoNotStopAConclusion() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        token.mint(address(this), 2 ** 130);
        put(p, 0, facade, 2 ** 128 - 1);
        put(p, 1, facade, 2 ** 128 - 1);
        State memory s = newState(p, 5, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(0, 0));
        s.isFinal = true;
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(0).balance, 25);
        vm.assertEq(token.balanceOf(who(0)) + token.balanceOf(who(1)), 2 ** 129 - 2);
    }

    function swapped(Params memory p, uint64 version, uint64 expiry)
        private
        view
        returns (State memory s)
    {
        s = newState(p, version, coin, list(10, 20));
        s.appData = abi.encodePacked(
            uint8(1), sha256("x"), uint8(0), uint8(0), uint8(1), expiry, uint128(5)
        );
    }

    /// The other ledger refuses such an expiry; so must this one.
    function testExpiriesHave38Bits() public {
        Params memory p = newParams(2);
        register(p, swapped(p, 1, 2 ** 38 - 1));
        p = newParams(2);
        State memory s = swapped(p, 1, 2 ** 38);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.Data.selector);
        hub.register(SignedState(p, s, sigs), noSubs());
    }

    /// The other ledger refuses it too.
    function testAFirstStateCarriesNoSwap() public {
        Params memory p = newParams(2);
        State memory s = swapped(p, 0, 2 ** 37);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.Data.selector);
        hub.register(SignedState(p, s, sigs), noSubs());
    }
}
