// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Params, State} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {TestApp} from "./base/TestApp.sol";

/// A pending swap: claimed with the preimage, or refunded after its expiry.
contract SwapsTest is PerunTest {
    bytes32 private constant SECRET = keccak256("secret");
    uint256 private expiry;

    function setUp() public override {
        super.setUp();
        expiry = block.timestamp + 10 * DURATION;
    }

    function head() private pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), sha256(abi.encodePacked(SECRET)));
    }

    function leg(uint8 asset, uint8 from, uint8 to, uint256 end, uint128 amount)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(asset, from, to, uint64(end), amount);
    }

    /// Coins for tokens, both here, and a third row on another ledger.
    function swap(Params memory p) private view returns (State memory s) {
        s = newState(p, 4, coin, list(10, 20));
        addAsset(s, block.chainid, facade, list(7, 0));
        addAsset(s, 7, address(0), list(0, 50));
        s.appData = bytes.concat(
            head(),
            leg(0, 1, 0, expiry - 100, 15),
            leg(1, 0, 1, expiry, 7),
            leg(2, 1, 0, expiry + 1e6, 50)
        );
    }

    function started() private returns (Params memory p, State memory s) {
        p = newParams(2);
        fund(p, coin, 10, 20);
        put(p, 0, facade, 7);
        s = swap(p);
        register(p, s);
    }

    function testAClaimMovesTheLegsOfThisChain() public {
        (Params memory p, State memory s) = started();
        refuses(IHubErrors.WindowOpen.selector);
        hub.concludeWithPreimage(p, s, none(), SECRET);
        vm.warp(block.timestamp + DURATION);
        refuses(IHubErrors.WrongPreimage.selector);
        hub.concludeWithPreimage(p, s, none(), bytes32(uint256(1)));
        refuses(IHubErrors.SwapPending.selector);
        hub.conclude(p, s, none());
        hub.concludeAndPayWithPreimage(p, s, none(), SECRET);
        vm.assertEq(who(0).balance, 25);
        vm.assertEq(who(1).balance, 5);
        vm.assertEq(token.balanceOf(who(1)), 7);
    }

    function testClaimsHaveNoEnd() public {
        (Params memory p, State memory s) = started();
        vm.warp(expiry + 1e9);
        hub.concludeWithPreimage(p, s, none(), SECRET);
        vm.assertEq(hub.held(facade, fid(p, 1)), 7);
        vm.assertEq(hub.held(coin, fid(p, 0)), 25);
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.conclude(p, s, none());
    }

    function testARefundComesAfterTheLargestExpiryHere() public {
        (Params memory p, State memory s) = started();
        vm.warp(expiry - 1);
        refuses(IHubErrors.SwapPending.selector);
        hub.concludeAndPay(p, s, none());
        vm.warp(expiry);
        hub.concludeAndPay(p, s, none());
        vm.assertEq(who(0).balance, 10);
        vm.assertEq(who(1).balance, 20);
        vm.assertEq(token.balanceOf(who(0)), 7);
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.concludeWithPreimage(p, s, none(), SECRET);
    }

    function testLegsElsewhereDoNotBind() public {
        Params memory p = newParams(2);
        State memory s = swap(p);
        s.appData = bytes.concat(head(), leg(2, 1, 0, expiry, 50));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        refuses(IHubErrors.NoSwap.selector);
        hub.concludeWithPreimage(p, s, none(), SECRET);
        hub.conclude(p, s, none());
    }

    function testANewerStateEndsTheSwap() public {
        (Params memory p, State memory s) = started();
        s.version = 5;
        s.appData = "";
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        refuses(IHubErrors.NoSwap.selector);
        hub.concludeWithPreimage(p, s, none(), SECRET);
        hub.conclude(p, s, none());
    }

    /// An app's data is its own matter, whatever it looks like.
    function testAppDataOfAnAppIsNoSwap() public {
        Params memory p = newParams(2);
        p.app = address(new TestApp());
        State memory s = swap(p);
        register(p, s);
        vm.warp(block.timestamp + 2 * DURATION);
        refuses(IHubErrors.NoSwap.selector);
        hub.concludeWithPreimage(p, s, none(), SECRET);
        hub.conclude(p, s, none());
    }

    function bad(Params memory p, State memory s, bytes memory data) private {
        s.appData = data;
        refuses(IHubErrors.Data.selector);
        hub.register(signed(p, s), noSubs());
    }

    function testOnlyWellFormedSwapsAreRegistered() public {
        Params memory p = newParams(2);
        State memory s = swap(p);
        bytes memory good = leg(0, 1, 0, expiry, 20);
        bad(p, s, hex"01");
        bad(p, s, head());
        bad(p, s, bytes.concat(head(), good, hex"00"));
        bad(p, s, bytes.concat(hex"02", sha256(abi.encodePacked(SECRET)), good));
        bad(p, s, bytes.concat(head(), good, good));
        bad(p, s, bytes.concat(head(), leg(1, 0, 1, expiry, 7), good));
        bad(p, s, bytes.concat(head(), leg(3, 0, 1, expiry, 7)));
        bad(p, s, bytes.concat(head(), leg(0, 2, 0, expiry, 1)));
        bad(p, s, bytes.concat(head(), leg(0, 0, 2, expiry, 1)));
        bad(p, s, bytes.concat(head(), leg(0, 1, 1, expiry, 1)));
        bad(p, s, bytes.concat(head(), leg(0, 1, 0, 0, 1)));
        bad(p, s, bytes.concat(head(), leg(0, 1, 0, expiry, 0)));
        bad(p, s, bytes.concat(head(), leg(0, 1, 0, expiry, 21)));
        s.appData = bytes.concat(head(), good);
        register(p, s);
    }

    function testAFinalStateCarriesNoSwap() public {
        Params memory p = newParams(2);
        State memory s = swap(p);
        s.isFinal = true;
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.Data.selector);
        hub.concludeFinal(p, s, sigs);
    }

    function testSubChannelsCarryNoSwap() public {
        Params memory p = newParams(2);
        p.ledgerChannel = false;
        State memory s = swap(p);
        refuses(IHubErrors.Data.selector);
        hub.registerSub(signed(p, s), noSubs());
    }

    /// Too little is held: deposits go back exactly, claimed or not.
    function testAClaimOfAnUnderfundedAssetRefunds() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 19);
        put(p, 0, facade, 7);
        State memory s = swap(p);
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPayWithPreimage(p, s, none(), SECRET);
        vm.assertEq(who(0).balance, 10);
        vm.assertEq(who(1).balance, 19);
        vm.assertEq(token.balanceOf(who(1)), 7);
    }
}
