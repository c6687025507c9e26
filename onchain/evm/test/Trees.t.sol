// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Params, SignedState, State} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {TestApp} from "./base/TestApp.sol";

/// Channels inside channels: root (3 parties) - sub (0 and 2) - virtual.
contract TreesTest is PerunTest {
    bytes private _root;
    bytes private _sub;
    bytes private _below;
    bytes private _rootState;
    bytes private _subState;
    bytes private _belowState;

    function setUp() public override {
        super.setUp();
        Params memory p = newParams(2);
        (p.ledgerChannel, p.virtualChannel) = (false, true);
        p.participants[0].ethAddress = who(3);
        State memory s = newState(p, 3, coin, list(1, 2));
        (_below, _belowState) = (abi.encode(p), abi.encode(s));
        // Between participants 0 and 2 of the root.
        p = newParams(2);
        p.ledgerChannel = false;
        p.participants[1].ethAddress = who(2);
        s = newState(p, 5, coin, list(4, 6));
        lock(s, belowState(), map(1, 0));
        (_sub, _subState) = (abi.encode(p), abi.encode(s));
        p = newParams(3);
        s = newState(p, 7, coin, list(10, 20, 30));
        lock(s, subState(), map(0, 2));
        (_root, _rootState) = (abi.encode(p), abi.encode(s));
        put(p, 0, coin, 73);
    }

    function root() private view returns (Params memory) {
        return abi.decode(_root, (Params));
    }

    function rootState() private view returns (State memory) {
        return abi.decode(_rootState, (State));
    }

    function sub() private view returns (Params memory) {
        return abi.decode(_sub, (Params));
    }

    function subState() private view returns (State memory) {
        return abi.decode(_subState, (State));
    }

    function below() private view returns (Params memory) {
        return abi.decode(_below, (Params));
    }

    function belowState() private view returns (State memory) {
        return abi.decode(_belowState, (State));
    }

    function nodes() private view returns (SignedState[] memory out) {
        out = new SignedState[](2);
        out[0] = signed(sub(), subState());
        out[1] = signed(below(), belowState());
    }

    function states() private view returns (State[] memory out) {
        out = new State[](2);
        (out[0], out[1]) = (subState(), belowState());
    }

    function bad(SignedState[] memory subs, bytes4 why) private {
        SignedState memory top = signed(root(), rootState());
        refuses(why);
        hub.register(top, subs);
    }

    function testATreeIsRegisteredAndConcluded() public {
        hub.register(signed(root(), rootState()), nodes());
        (uint64 timeout,, uint64 version,,,) = hub.disputes(idOf(sub()));
        vm.assertEq(version, 5);
        vm.assertEq(timeout, block.timestamp + DURATION);
        vm.warp(timeout);
        hub.concludeAndPay(root(), rootState(), states());
        // The virtual channel's (1, 2) goes to (2, 0) of the root(), by way of the sub-channel.
        vm.assertEq(who(0).balance, 10 + 4 + 2);
        vm.assertEq(who(1).balance, 20);
        vm.assertEq(who(2).balance, 30 + 6 + 1);
        (,,, uint8 phase,,) = hub.disputes(idOf(below()));
        vm.assertEq(phase, 2);
    }

    function testFromBelowInSeveralTransactions() public {
        hub.registerSub(signed(below(), belowState()), noSubs());
        SignedState[] memory one = new SignedState[](1);
        one[0] = SignedState(below(), belowState(), new bytes[](0));
        hub.registerSub(signed(sub(), subState()), one);
        // What is below a registered state need not be given again.
        one[0] = SignedState(sub(), subState(), new bytes[](0));
        hub.register(signed(root(), rootState()), one);
        vm.warp(block.timestamp + DURATION);
        State[] memory s = new State[](1);
        s[0] = belowState();
        hub.concludeSub(subState(), s);
        s[0] = subState();
        hub.concludeAndPay(root(), rootState(), s);
        vm.assertEq(who(0).balance, 16);
        vm.assertEq(who(2).balance, 37);
    }

    function testConcludingASubChannelNeedsItsWindows() public {
        hub.register(signed(root(), rootState()), nodes());
        State[] memory s = new State[](1);
        s[0] = belowState();
        refuses(IHubErrors.WindowOpen.selector);
        hub.concludeSub(subState(), s);
        vm.warp(block.timestamp + DURATION);
        refuses(IHubErrors.WrongChild.selector);
        hub.concludeSub(subState(), none());
        refuses(IHubErrors.NotRegistered.selector);
        hub.concludeSub(rootState(), states());
    }

    function testAllThatIsLockedMustBeGivenInOrder() public {
        SignedState[] memory subs = nodes();
        bad(noSubs(), IHubErrors.WrongChild.selector);
        SignedState[] memory one = new SignedState[](1);
        one[0] = subs[0];
        bad(one, IHubErrors.WrongChild.selector);
        one[0] = subs[1];
        bad(one, IHubErrors.WrongChild.selector);
        SignedState[] memory three = new SignedState[](3);
        (three[0], three[1], three[2]) = (subs[0], subs[1], subs[1]);
        bad(three, IHubErrors.TooManyChildren.selector);
        subs[1].sigs[0] = subs[1].sigs[1];
        bad(subs, IHubErrors.BadSignature.selector);
    }

    function testAChildHasTheParentsAssetsAndWhatIsLocked() public {
        SignedState[] memory subs = nodes();
        State memory other = belowState();
        other.outcome.balances[0][0] = 2;
        subs[1] = signed(below(), other);
        bad(subs, IHubErrors.Sum.selector);
        other.outcome.balances[0][0] = 1;
        other.outcome.assets[0].ethHolder = facade;
        subs[1] = signed(below(), other);
        bad(subs, IHubErrors.Assets.selector);
        other.outcome.assets[0].ethHolder = coin;
        other.outcome.backends[0] = 9;
        subs[1] = signed(below(), other);
        bad(subs, IHubErrors.Assets.selector);
    }

    function testLedgerChannelsAreNotChildren() public {
        Params memory p = newParams(2);
        State memory child = newState(p, 0, coin, list(1, 1));
        State memory s = newState(root(), 8, coin, list(1, 1, 1));
        lock(s, child, map(0, 1));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, child);
        SignedState memory top = signed(root(), s);
        refuses(IHubErrors.ChildIsLedger.selector);
        hub.register(top, subs);
        refuses(IHubErrors.ChildIsLedger.selector);
        hub.registerSub(subs[0], noSubs());
    }

    function testVirtualChannelsHaveNoAppAndLockNothing() public {
        Params memory p = below();
        p.app = address(new TestApp());
        SignedState memory one = signed(p, newState(p, 3, coin, list(1, 2)));
        refuses(IHubErrors.VirtualChannel.selector);
        hub.registerSub(one, noSubs());
        p.app = address(0);
        State memory s = newState(p, 3, coin, list(1, 2));
        lock(s, belowState(), map(0, 1));
        one = signed(p, s);
        refuses(IHubErrors.VirtualChannel.selector);
        hub.registerSub(one, nodes());
    }

    function testTheDepthOfOneCallIsBounded() public {
        SignedState[] memory subs = new SignedState[](4);
        State memory child;
        for (uint256 i = 4; i > 0; --i) {
            Params memory p = newParams(2);
            p.ledgerChannel = false;
            State memory s = newState(p, 1, coin, list(0, 0));
            if (i < 4) lock(s, child, map(0, 1));
            subs[i - 1] = signed(p, s);
            child = s;
        }
        Params memory top = newParams(2);
        State memory t = newState(top, 1, coin, list(0, 0));
        lock(t, child, map(0, 1));
        SignedState memory first = signed(top, t);
        refuses(IHubErrors.TreeDepth.selector);
        hub.register(first, subs);
        // From below it can be registered: three levels first, then the root over them.
        SignedState[] memory three = new SignedState[](3);
        (three[0], three[1], three[2]) = (subs[1], subs[2], subs[3]);
        hub.registerSub(subs[0], three);
        SignedState[] memory one = new SignedState[](1);
        one[0] = subs[0];
        hub.register(first, one);
    }

    function testIndexMapsCoverTheChildAndNameItsParticipants() public {
        State memory s = rootState();
        SignedState[] memory subs = nodes();
        s.outcome.locked[0].indexMap = map(2, 0);
        SignedState memory top = signed(root(), s);
        refuses(IHubErrors.ChildParticipants.selector);
        hub.register(top, subs);
        s.outcome.locked[0].indexMap = new uint16[](1);
        top = signed(root(), s);
        refuses(IHubErrors.LockedShape.selector);
        hub.register(top, subs);
        // What pads the map is ignored.
        s.outcome.locked[0].indexMap = new uint16[](3);
        s.outcome.locked[0].indexMap[1] = 2;
        hub.register(signed(root(), s), subs);
    }

    function testChildrenAreRefutedWithAndWithoutTheParent() public {
        hub.register(signed(root(), rootState()), nodes());
        State memory newer = belowState();
        newer.version = 4;
        newer.outcome.balances[0] = list(3, 0);
        hub.registerSub(signed(below(), newer), noSubs());
        vm.warp(block.timestamp + DURATION);
        refuses(IHubErrors.WrongState.selector);
        hub.concludeAndPay(root(), rootState(), states());
        State[] memory s = states();
        s[1] = newer;
        hub.concludeAndPay(root(), rootState(), s);
        vm.assertEq(who(2).balance, 30 + 6 + 3);
    }

    function testAStateWithOtherTotalsIsAnotherRecord() public {
        State memory bogus = belowState();
        bogus.version = 2 ** 48 - 1;
        bogus.outcome.balances[0] = list(100, 100);
        hub.registerSub(signed(below(), bogus), noSubs());
        // It does not stand in the way of the parent that locked 3.
        hub.register(signed(root(), rootState()), nodes());
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPay(root(), rootState(), states());
        vm.assertEq(who(2).balance, 37);
    }

    function testAppsInChildrenForceSteps() public {
        Params memory p = sub();
        p.app = address(new TestApp());
        State memory child = newState(p, 5, coin, list(4, 6));
        child.appData = hex"00";
        State memory s = newState(root(), 7, coin, list(10, 20, 30));
        lock(s, child, map(0, 2));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, child);
        hub.register(signed(root(), s), subs);
        vm.warp(block.timestamp + DURATION);
        State memory next = newState(p, 6, coin, list(0, 10));
        next.appData = hex"01";
        hub.progress(p, child, next, 0, sign(0, eip191(keccak256(abi.encode(next)))));
        State[] memory given = new State[](1);
        given[0] = next;
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(root(), s, given);
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPay(root(), s, given);
        vm.assertEq(who(2).balance, 30 + 10);
    }

    /// Two of three parties sign two channels into each other; the third must still get its money.
    function testALoopHoldsNobodyUp() public {
        Params memory c = newParams(2);
        Params memory d = newParams(2);
        (c.ledgerChannel, d.ledgerChannel) = (false, false);
        State memory inner = newState(c, 1, coin, list(10, 0));
        State memory middle = newState(d, 1, coin, list(0, 0));
        lock(middle, inner, map(1, 0));
        middle.outcome.locked[0].indexMap = map(0, 1);
        State memory outer = newState(c, 2, coin, list(0, 0));
        lock(outer, middle, map(0, 1));
        Params memory p = newParams(3);
        put(p, 0, coin, 30);
        State memory s = newState(p, 1, coin, list(0, 0, 20));
        lock(s, outer, map(0, 1));
        SignedState[] memory subs = new SignedState[](3);
        (subs[0], subs[1], subs[2]) = (signed(c, outer), signed(d, middle), signed(c, inner));
        hub.register(signed(p, s), subs);
        vm.warp(block.timestamp + DURATION);
        State[] memory given = new State[](3);
        (given[0], given[1], given[2]) = (outer, middle, inner);
        refuses(IHubErrors.WrongState.selector);
        hub.conclude(p, s, given);
        given[2] = outer;
        hub.concludeAndPay(p, s, given);
        vm.assertEq(who(2).balance, 20);
        vm.assertEq(who(0).balance, 10);
    }
}
