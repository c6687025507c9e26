// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {
    Binding,
    Move,
    Params,
    Source,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// Faults of the hub that were found by these tests and mended: each fails if its fault comes back.
contract MendedTest is MoneyTest {
    /// Whoever can mint a token of the channel deposits twice 2^128-1 of it: the proportional
    /// share of the surplus leaves 256 bits and nothing of the channel can be settled any more.
    function testForbidsThatAHugeSurplusOfOneTokenLocksTheCoins() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        token.mint(address(this), type(uint128).max);
        token.mint(address(this), type(uint128).max);
        fund(p, facade, type(uint128).max, type(uint128).max);
        State memory s = finalState(p, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(1, 2));
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(0).balance, 25);
        vm.assertEq(who(1).balance, 5);
    }

    function testForbidsThatAHugeSurplusLocksADispute() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = newState(p, 1, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(1, 2));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        token.mint(address(this), type(uint128).max);
        token.mint(address(this), type(uint128).max);
        fund(p, facade, type(uint128).max, type(uint128).max);
        hub.conclude(p, s, none());
        vm.assertEq(hub.held(coin, fid(p, 0)), 25);
    }

    function testForbidsThatAHugeHoldingStopsConsent() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        token.mint(address(this), type(uint128).max);
        token.mint(address(this), type(uint128).max);
        fund(p, facade, type(uint128).max, type(uint128).max);
        Move[] memory m = new Move[](2);
        m[0] = Move(coin, address(0xB0B), 0, 30);
        m[1] = Move(facade, address(0xB0B), 0, 1);
        spend(p, m);
        vm.assertEq(address(0xB0B).balance, 30);
    }

    /// The whole range of what a deposit may be.
    function testFuzzForbidsThatAmountsStopASettlement(
        uint128[2] memory deposits,
        uint128 owed,
        uint128 split,
        bool pays
    ) public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        token.mint(address(this), type(uint128).max);
        token.mint(address(this), type(uint128).max);
        fund(p, facade, deposits[0], deposits[1]);
        uint256 part = owed == 0 ? 0 : split % owed;
        State memory s = finalState(p, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(part, owed - part));
        bytes[] memory sigs = signAll(p, s);
        if (pays) hub.closeAndPay(p, s, sigs);
        else hub.concludeFinal(p, s, sigs);
        uint256 there = hub.held(facade, fid(p, 0)) + hub.held(facade, fid(p, 1));
        there += token.balanceOf(who(0)) + token.balanceOf(who(1));
        vm.assertEq(there, uint256(deposits[0]) + deposits[1]);
    }

    /// Perun's authorisation names no asset, so it is only good for exactly what is held: a coin
    /// that comes late delays it. The hub's own authorisation is for all that is held, and is not
    /// delayed.
    function testForbidsThatALateCoinBlocksAllWithdrawals() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = finalState(p, coin, list(25, 5));
        hub.concludeFinal(p, s, signAll(p, s));
        hub.deposit{value: 1}(fid(p, 0), 1);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        vm.expectRevert(IHubErrors.NotFullHolding.selector);
        hub.withdraw(a, sig);
        WithdrawalV2 memory w = v2(p, 0, coin, type(uint256).max);
        w.receiver = address(0xB0B);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(address(0xB0B).balance, 26);
    }

    /// A stranger who sees the opening in the mempool binds first what it binds.
    function testForbidsThatAFrontRunBindingSpoilsAnOpening() public {
        Params memory p = newParams(2);
        Binding[] memory b = new Binding[](1);
        b[0] = binding(p, 0, address(0xB0B), block.timestamp);
        vm.prank(address(0xBAD));
        hub.bindPayee(idOf(p), b[0]);
        hub.open{value: 5}(idOf(p), one(p, 0, coin, 5, Source.Sender), b);
        vm.assertEq(hub.held(coin, fid(p, 0)), 5);
    }

    /// What is paid to the hub itself becomes a credit that nobody can ever take.
    function testForbidsAPayeeThatIsTheHub() public {
        Params memory p = newParams(2);
        bytes32 id = idOf(p);
        vm.prank(who(0));
        vm.expectRevert();
        hub.bindPayee(id, Binding(who(0), address(hub), 0, ""));
    }

    function testForbidsAMoveToTheHub() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        Move[] memory m = new Move[](1);
        m[0] = Move(coin, address(hub), 0, 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        vm.expectRevert();
        hub.spendByConsent(p, m, block.timestamp, sigs);
    }

    /// The other ledger refuses it, so the state could be registered on this one only.
    function testForbidsASwapThatExpiresAfter38Bits() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = newState(p, 1, coin, list(10, 20));
        s.appData = swap(bytes32(uint256(1)), 0, 0, 1, uint64(1) << 38, 4);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.Data.selector);
        hub.register(signedWith(p, s, sigs), noSubs());
    }

    function testForbidsASwapInVersionZero() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = newState(p, 0, coin, list(10, 20));
        s.appData = swap(bytes32(uint256(1)), 0, 0, 1, uint64(block.timestamp + 9), 4);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.Data.selector);
        hub.register(signedWith(p, s, sigs), noSubs());
    }
}
