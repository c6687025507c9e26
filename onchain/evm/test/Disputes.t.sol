// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAdjudicator} from "../src/interfaces/IAdjudicator.sol";
import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {IPerunHub} from "../src/interfaces/IPerunHub.sol";
import {Params, SignedState, State} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {Unpack} from "./base/Unpack.sol";
import {TestApp} from "./base/TestApp.sol";
import {Vm} from "./base/Vm.sol";

/// Registering, refuting, forcing steps and concluding one channel.
contract DisputesTest is PerunTest {
    function bad(Params memory p, State memory s, bytes[] memory sigs, bytes4 why) private {
        refuses(why);
        hub.register(SignedState(p, s, sigs), noSubs());
    }

    function phaseOf(Params memory p)
        private
        view
        returns (uint64 timeout, uint64 version, uint8 phase, bytes32 hash)
    {
        (timeout,, version, phase, hash,) = hub.disputes(idOf(p));
    }

    function testWhatIsRecordedAndLogged() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        vm.recordLogs();
        register(p, s);
        (uint64 timeout, uint64 version, uint8 phase, bytes32 hash) = phaseOf(p);
        vm.assertEq(timeout, block.timestamp + DURATION);
        vm.assertEq(version, 7);
        vm.assertEq(phase, 0);
        vm.assertEq(hash, keccak256(abi.encode(s)) >> 88 << 88);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2);
        vm.assertEq(logs[0].topics[0], IAdjudicator.ChannelUpdate.selector);
        vm.assertEq(logs[1].topics[0], IPerunHub.StateRegistered.selector);
        vm.assertEq(logs[1].topics[1], idOf(p));
        isLog(logs[1], p, s);
    }

    /// Encoded as `emit` would, with the state as it was signed and everybody's signature.
    function isLog(Vm.Log memory log, Params memory p, State memory s) private pure {
        vm.assertEq(log.topics.length, 2);
        bytes memory signed_ = abi.decode(log.data, (bytes));
        vm.assertEq(log.data, abi.encode(signed_));
        (bytes memory packed, bytes memory sigs) = Unpack.split(signed_);
        vm.assertEq(Unpack.state(s.channelID, packed), abi.encode(s));
        bytes[] memory all = signAll(p, s);
        bytes memory joined;
        for (uint256 i = 0; i < all.length; ++i) {
            joined = bytes.concat(joined, all[i]);
        }
        vm.assertEq(sigs, joined);
    }

    /// Whatever memory held before and however it is padded.
    function testALogIsTheEncodingOfItsEvent() public {
        for (uint256 count = 2; count <= 16; ++count) {
            Params memory p = newParams(count);
            State memory s = newState(p, uint64(count), coin, new uint256[](count));
            // An app's data: without one it would have to be a swap.
            p.app = address(new TestApp());
            s.channelID = idOf(p);
            s.appData = new bytes(count * 3);
            vm.recordLogs();
            register(p, s);
            Vm.Log[] memory logs = vm.getRecordedLogs();
            isLog(logs[1], p, s);
        }
    }

    /// The child's log is longer, and was written where the parent's is: nothing of it is left.
    function testALogHoldsNothingOfTheOneBefore() public {
        Params memory below = newParams(2);
        below.ledgerChannel = false;
        below.app = address(new TestApp());
        State memory child = newState(below, 1, coin, list(~uint256(0) >> 129, 2));
        child.appData = new bytes(1000);
        for (uint256 i = 0; i < 1000; ++i) {
            child.appData[i] = 0xff;
        }
        Params memory p = newParams(2);
        State memory s = newState(p, 1, coin, list(3, 4));
        lock(s, child, new uint16[](2));
        s.outcome.locked[0].indexMap[1] = 1;
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(below, child);
        SignedState memory root = signed(p, s);
        vm.recordLogs();
        hub.register(root, subs);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[1], below, child);
        isLog(logs[3], p, s);
    }

    function testARegistrationNeedsItsChannelAndAllSignatures() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        bytes[] memory sigs = signAll(p, s);
        bad(newParams(2), s, sigs, IHubErrors.ChannelId.selector);
        bad(p, s, new bytes[](0), IHubErrors.SignatureCount.selector);
        bad(p, s, new bytes[](3), IHubErrors.SignatureCount.selector);
        bytes memory kept = sigs[1];
        sigs[1] = sigs[0];
        bad(p, s, sigs, IHubErrors.BadSignature.selector);
        sigs[1] = bytes.concat(kept, hex"00");
        bad(p, s, sigs, IHubErrors.BadSignature.selector);
        sigs[1] = kept;
        State memory three = newState(p, 7, coin, list(1, 2, 3));
        bad(p, three, signAll(p, three), IHubErrors.BalanceShape.selector);
        p.ledgerChannel = false;
        s = newState(p, 7, coin, list(1, 2));
        bad(p, s, signAll(p, s), IHubErrors.NotLedger.selector);
    }

    function testARefutationMustBeNewerAndInTime() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        register(p, s);
        (uint64 timeout,,,) = phaseOf(p);
        State memory other = newState(p, 7, coin, list(2, 1));
        bad(p, other, signAll(p, other), IHubErrors.Version.selector);
        State memory older = newState(p, 6, coin, list(2, 1));
        bad(p, older, signAll(p, older), IHubErrors.Version.selector);
        vm.warp(block.timestamp + 100);
        register(p, newState(p, 9, coin, list(2, 1)));
        (uint64 later, uint64 version,,) = phaseOf(p);
        vm.assertEq(later, timeout, "the window is never prolonged");
        vm.assertEq(version, 9);
        vm.warp(timeout);
        State memory late = newState(p, 10, coin, list(2, 1));
        bad(p, late, signAll(p, late), IHubErrors.RefutationOver.selector);
    }

    function testTheSameStateAgainIsSilentAndNeedsNoSignature() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        register(p, s);
        vm.recordLogs();
        hub.register(SignedState(p, s, new bytes[](0)), noSubs());
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function testAFinalStateEndsTheWindow() public {
        Params memory p = newParams(2);
        register(p, newState(p, 7, coin, list(1, 2)));
        State memory s = newState(p, 8, coin, list(1, 2));
        s.isFinal = true;
        register(p, s);
        hub.conclude(p, s, none());
        (,, uint8 phase,) = phaseOf(p);
        vm.assertEq(phase, 2);
    }

    function testConclusionNeedsTheRegisteredState() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        refuses(IHubErrors.NotRegistered.selector);
        hub.conclude(p, s, none());
        register(p, s);
        vm.warp(block.timestamp + DURATION - 1);
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(p, s, none());
        vm.warp(block.timestamp + 1);
        refuses(IHubErrors.WrongState.selector);
        hub.conclude(p, newState(p, 7, coin, list(2, 1)), none());
        refuses(IHubErrors.TooManyChildren.selector);
        hub.conclude(p, s, new State[](1));
        hub.conclude(p, s, none());
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.conclude(p, s, none());
        State memory newer = newState(p, 8, coin, list(1, 2));
        bad(p, newer, signAll(p, newer), IHubErrors.WrongPhase.selector);
    }

    function testOnlyFinalStatesCloseAtOnce() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.NotFinal.selector);
        hub.concludeFinal(p, s, sigs);
        s.isFinal = true;
        refuses(IHubErrors.BadSignature.selector);
        hub.concludeFinal(p, s, sigs);
        lock(s, newState(newParams(2), 0, coin, list(1, 1)), map(0, 1));
        sigs = signAll(p, s);
        refuses(IHubErrors.FinalWithLocked.selector);
        hub.concludeFinal(p, s, sigs);
    }

    function testAFinalStateOverridesADisputeOfAnyVersion() public {
        Params memory p = newParams(2);
        register(p, newState(p, 7, coin, list(1, 2)));
        State memory s = newState(p, 6, coin, list(1, 2));
        s.isFinal = true;
        hub.concludeFinal(p, s, signAll(p, s));
        (, uint64 version, uint8 phase,) = phaseOf(p);
        vm.assertEq(version, 6);
        vm.assertEq(phase, 2);
    }

    /// From a final state with rows of other ledgers those can be settled, whoever submitted it.
    function testAFinalStateOfSeveralLedgersIsLogged() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 6, coin, list(0, 0));
        s.isFinal = true;
        vm.recordLogs();
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(vm.getRecordedLogs().length, 1);
        p = newParams(2);
        s = newState(p, 6, coin, list(0, 0));
        s.isFinal = true;
        addAsset(s, 7, address(0), list(1, 1));
        hub.closeAndPay(p, s, signAll(p, s));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[1].topics[0], IPerunHub.StateRegistered.selector);
    }

    // Apps.

    function appChannel() private returns (Params memory p, State memory s) {
        p = newParams(2);
        p.app = address(new TestApp());
        s = newState(p, 3, coin, list(10, 20));
        s.appData = hex"00";
    }

    function step(Params memory p, State memory from, uint256 one, uint256 two)
        private
        view
        returns (State memory s)
    {
        s = newState(p, from.version + 1, coin, list(one, two));
        s.appData = abi.encodePacked(uint8(from.appData[0]) + 1);
    }

    function actorSig(State memory s, uint256 actor) private pure returns (bytes memory) {
        return sign(actor, eip191(keccak256(abi.encode(s))));
    }

    function force(Params memory p, State memory from, State memory to, uint256 actor) private {
        hub.progress(p, from, to, actor, actorSig(to, actor));
    }

    function badStep(
        Params memory p,
        State memory from,
        State memory to,
        uint256 actor,
        bytes4 why
    ) private {
        bytes memory sig = actorSig(to, actor);
        refuses(why);
        hub.progress(p, from, to, actor, sig);
    }

    function testStepsAreForcedInTurn() public {
        (Params memory p, State memory s) = appChannel();
        fund(p, coin, 10, 20);
        register(p, s);
        State memory one = step(p, s, 5, 25);
        badStep(p, s, one, 0, IHubErrors.WindowOpen.selector);
        vm.warp(block.timestamp + DURATION);
        vm.recordLogs();
        force(p, s, one, 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        (uint256 actor, bytes memory encoded,) = abi.decode(logs[1].data, (uint256, bytes, bytes));
        vm.assertEq(actor, 0);
        vm.assertEq(Unpack.state(one.channelID, encoded), abi.encode(one));
        (uint64 timeout,, uint8 phase,) = phaseOf(p);
        vm.assertEq(timeout, block.timestamp + DURATION);
        vm.assertEq(phase, 1);
        State memory two = step(p, one, 0, 30);
        force(p, one, two, 1);
        State memory newer = newState(p, 9, coin, list(10, 20));
        newer.appData = hex"09";
        bad(p, newer, signAll(p, newer), IHubErrors.WrongPhase.selector);
        refuses(IHubErrors.WindowOpen.selector);
        hub.concludeAndPay(p, two, none());
        vm.warp(block.timestamp + DURATION);
        badStep(p, two, step(p, two, 1, 29), 0, IHubErrors.WindowOver.selector);
        hub.concludeAndPay(p, two, none());
        vm.assertEq(who(1).balance, 30);
        badStep(p, two, step(p, two, 1, 29), 0, IHubErrors.WrongPhase.selector);
    }

    function testIllegalSteps() public {
        (Params memory p, State memory s) = appChannel();
        badStep(p, s, step(p, s, 5, 25), 0, IHubErrors.NotRegistered.selector);
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        State memory to = step(p, s, 5, 25);
        badStep(p, to, to, 0, IHubErrors.WrongState.selector);
        badStep(p, s, step(p, s, 5, 24), 0, IHubErrors.Sum.selector);
        badStep(p, s, to, 1, TestApp.Refused.selector);
        badStep(p, s, to, 2, IHubErrors.Index.selector);
        bytes memory wrong = actorSig(to, 1);
        refuses(IHubErrors.BadSignature.selector);
        hub.progress(p, s, to, 0, wrong);
        to.version += 1;
        badStep(p, s, to, 0, IHubErrors.Version.selector);
        to = step(p, s, 5, 25);
        to.outcome.assets[0].ethHolder = facade;
        badStep(p, s, to, 0, IHubErrors.Assets.selector);
        to = step(p, s, 5, 24);
        to.outcome.locked = newState(p, 1, coin, list(0, 0)).outcome.locked;
        lock(to, newState(newParams(2), 0, coin, list(1, 0)), map(0, 1));
        badStep(p, s, to, 0, IHubErrors.Locked.selector);
        to = newState(p, 4, coin, list(5, 20, 5));
        badStep(p, s, to, 0, IHubErrors.BalanceShape.selector);
        to = step(p, s, 5, 25);
        to.channelID = bytes32(uint256(1));
        badStep(p, s, to, 0, IHubErrors.ChannelId.selector);
    }

    function testNoStepAfterAFinalStateOrWithoutAnApp() public {
        (Params memory p, State memory s) = appChannel();
        s.isFinal = true;
        register(p, s);
        badStep(p, s, step(p, s, 5, 25), 0, IHubErrors.Final.selector);
        p = newParams(2);
        s = newState(p, 1, coin, list(1, 2));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        State memory to = newState(p, 2, coin, list(2, 1));
        badStep(p, s, to, 0, IHubErrors.NoApp.selector);
    }

    function testAnAppIsGivenTimeToForceAStep() public {
        (Params memory p, State memory s) = appChannel();
        register(p, s);
        vm.warp(block.timestamp + 2 * DURATION - 1);
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(p, s, none());
        vm.warp(block.timestamp + 1);
        hub.conclude(p, s, none());
    }
}
