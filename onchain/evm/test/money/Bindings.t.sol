// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {
    Binding,
    CreditWithdrawal,
    Params,
    SignedState,
    State,
    WithdrawalAuth
} from "../../src/interfaces/Types.sol";
import {TestApp} from "../base/TestApp.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// A binding, whenever it was made, is known at every end; and it is no dispute.
contract BindingsTest is MoneyTest {
    address private constant PAYEE = address(0xBEEF01);

    /// Participant 0 is due 25, participant 1 5.
    function channel(bool hasApp) private returns (Params memory p, State memory s) {
        p = newParams(2);
        if (hasApp) p.app = address(new TestApp());
        fund(p, coin, 10, 20);
        s = newState(p, 1, coin, list(25, 5));
        if (hasApp) s.appData = hex"00";
    }

    function bind(Params memory p) private {
        hub.bindPayee(idOf(p), binding(p, 0, PAYEE, block.timestamp));
    }

    function paid(uint256 before) private view {
        vm.assertEq(PAYEE.balance - before, 25);
        vm.assertEq(who(0).balance, 0);
    }

    function testForbidsThatABindingIsForgottenInADispute() public {
        for (uint256 when = 0; when < 4; ++when) {
            (Params memory p, State memory s) = channel(false);
            uint256 before = PAYEE.balance;
            if (when == 0) bind(p);
            register(p, s);
            if (when == 1) bind(p);
            s.version = 2;
            register(p, s);
            if (when == 2) bind(p);
            vm.warp(block.timestamp + DURATION);
            if (when == 3) bind(p);
            hub.concludeAndPay(p, s, none());
            paid(before);
        }
    }

    function testForbidsThatABindingIsForgottenAtAFinalState() public {
        for (uint256 when = 0; when < 6; ++when) {
            (Params memory p, State memory s) = channel(false);
            uint256 before = PAYEE.balance;
            if (when % 3 == 0) bind(p);
            if (when % 3 != 1) register(p, s);
            if (when % 3 != 0) bind(p);
            s.isFinal = true;
            SignedState[] memory all = new SignedState[](1);
            all[0] = signed(p, s);
            if (when < 3) hub.closeAndPay(p, s, all[0].sigs);
            else hub.closeBatch(all);
            paid(before);
        }
    }

    function testForbidsThatABindingIsForgottenByForcedSteps() public {
        for (uint256 when = 0; when < 4; ++when) {
            (Params memory p, State memory s) = channel(true);
            uint256 before = PAYEE.balance;
            if (when == 0) bind(p);
            register(p, s);
            if (when == 1) bind(p);
            vm.warp(block.timestamp + DURATION);
            State memory next = newState(p, 2, coin, list(25, 5));
            next.appData = hex"01";
            bytes memory sig = sign(0, eip191(keccak256(abi.encode(next))));
            hub.progress(p, s, next, 0, sig);
            if (when == 2) bind(p);
            vm.warp(block.timestamp + DURATION);
            if (when == 3) bind(p);
            hub.concludeAndPay(p, next, none());
            paid(before);
        }
    }

    function testForbidsThatABindingIsForgottenByAClaim() public {
        for (uint256 when = 0; when < 2; ++when) {
            (Params memory p, State memory s) = channel(false);
            s.outcome.balances[0] = list(20, 10);
            bytes32 x = bytes32("preimage");
            uint64 expiry = uint64(block.timestamp + 2 * DURATION);
            s.appData = swap(sha256(abi.encode(x)), 0, 1, 0, expiry, 5);
            uint256 before = PAYEE.balance;
            if (when == 0) bind(p);
            register(p, s);
            if (when == 1) bind(p);
            vm.warp(block.timestamp + DURATION);
            hub.concludeAndPayWithPreimage(p, s, none(), x);
            paid(before);
        }
    }

    /// Anybody may bind in its own name, for any number: nothing else may come of it.
    function testForbidsThatABindingLooksLikeADispute() public {
        (Params memory p, State memory s) = channel(false);
        bytes32 id = idOf(p);
        vm.prank(STRANGER);
        hub.bindPayee(id, Binding(STRANGER, STRANGER, 0, ""));
        (uint64 timeout,, uint64 version, uint8 phase, bytes32 hash,) = hub.disputes(id);
        vm.assertTrue(timeout == 0 && version == 0 && phase == 0 && hash == 0);
        vm.assertTrue(!hub.settled(id));
        mustFail(IHubErrors.NotRegistered.selector, abi.encodeCall(hub.conclude, (p, s, none())));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 10);
        mustFail(IHubErrors.NotConcluded.selector, abi.encodeCall(hub.withdraw, (a, sig)));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPay(p, s, none());
        vm.assertEq(who(0).balance, 25);
        vm.assertEq(STRANGER.balance, 0);
    }

    /// A first registration after a stranger's binding has its whole window.
    function testForbidsThatABindingShortensAWindow() public {
        (Params memory p, State memory s) = channel(false);
        vm.prank(STRANGER);
        hub.bindPayee(idOf(p), Binding(STRANGER, STRANGER, 0, ""));
        register(p, s);
        vm.prank(address(0xBAD2));
        hub.bindPayee(idOf(p), Binding(address(0xBAD2), STRANGER, 0, ""));
        (uint64 timeout,,,,,) = hub.disputes(idOf(p));
        vm.assertEq(timeout, block.timestamp + DURATION);
        vm.warp(block.timestamp + DURATION - 1);
        mustFail(IHubErrors.WindowOpen.selector, abi.encodeCall(hub.conclude, (p, s, none())));
    }

    /// The record of a channel inside another is found by another name: that may be bound too.
    function testForbidsThatABindingAtAnyNameOpensARecord() public {
        (Params memory p,) = channel(false);
        p.ledgerChannel = false;
        State memory s = newState(p, 1, coin, list(25, 5));
        uint256[] memory totals_ = totals(s);
        bytes32 assets = keccak256(assetsOf(s));
        bytes32 key = keccak256(abi.encodePacked(s.channelID, assets, totals_));
        vm.prank(STRANGER);
        hub.bindPayee(key, Binding(STRANGER, STRANGER, 0, ""));
        mustFail(IHubErrors.NotRegistered.selector, abi.encodeCall(hub.concludeSub, (s, none())));
        hub.registerSub(signed(p, s), noSubs());
        mustFail(IHubErrors.WindowOpen.selector, abi.encodeCall(hub.concludeSub, (s, none())));
        (uint64 timeout,,,,,) = hub.disputes(s.channelID);
        vm.assertEq(timeout, block.timestamp + DURATION);
    }

    /// The words of all assets and backends of a state of one asset, as they stand in its encoding.
    function assetsOf(State memory s) private pure returns (bytes memory) {
        return abi.encodePacked(
            abi.encode(uint256(1), uint256(32)),
            abi.encode(
                s.outcome.assets[0].chainID,
                s.outcome.assets[0].ethHolder,
                uint256(0x60),
                s.outcome.assets[0].ccHolder.length,
                bytes32(s.outcome.assets[0].ccHolder)
            ),
            abi.encode(uint256(1), s.outcome.backends[0])
        );
    }

    function testForbidsThatTokensArePaidToTheHub() public {
        Params memory p = newParams(2);
        fund(p, facade, 10, 20);
        State memory s = newState(p, 1, facade, list(25, 5));
        s.isFinal = true;
        hub.concludeFinal(p, s, signAll(p, s));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(hub), 25);
        (bool ok,) = facade.call(abi.encodeWithSelector(hub.withdraw.selector, a, sig));
        vm.assertTrue(!ok);
        CreditWithdrawal memory c =
            CreditWithdrawal(who(0), facade, address(hub), 0, 1, block.timestamp);
        hub.withdrawCreditFor(c, sign(0, mine(creditHash(c))));
        vm.assertEq(hub.held(facade, fid(p, 0)), 25);
        vm.assertEq(token.balanceOf(address(hub)), 30);
    }
}
