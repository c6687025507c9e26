// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {Move, Params, SignedState, State, WithdrawalV2} from "../../src/interfaces/Types.sol";
import {Payee} from "./base/Accounts.sol";
import {MoneyTest} from "./base/MoneyTest.sol";
import {Way, ZooToken} from "./base/ZooToken.sol";

/// Many at once, and whoever submits them with bad intent.
contract BatchesTest is MoneyTest {
    uint256 private constant SIZE = 10;

    function batch(uint256 size) private returns (SignedState[] memory all) {
        all = new SignedState[](size);
        for (uint256 i = 0; i < size; ++i) {
            Params memory p = newParams(2);
            fund(p, coin, 10, 20);
            all[i] = signed(p, finalState(p, coin, list(25, 5)));
        }
    }

    function batchFails(SignedState[] memory all, bytes4 why) private {
        uint256 before = address(hub).balance;
        mustFail(why, abi.encodeCall(hub.closeBatch, (all)));
        vm.assertEq(address(hub).balance, before);
        for (uint256 i = 0; i < all.length; ++i) {
            vm.assertTrue(!hub.settled(all[i].state.channelID));
        }
    }

    function testForbidsThatOneBadElementLeavesAHalfClosedBatch() public {
        for (uint256 at = 0; at < 3; ++at) {
            SignedState[] memory all = batch(3);
            bytes memory kept = all[at].sigs[1];
            all[at].sigs[1] = all[at].sigs[0];
            batchFails(all, IHubErrors.BadSignature.selector);
            all[at].sigs[1] = kept;
            all[at].state.isFinal = false;
            batchFails(all, IHubErrors.NotFinal.selector);
            all[at].state.isFinal = true;
            all[at].params.ledgerChannel = false;
            batchFails(all, IHubErrors.NotLedger.selector);
            all[at].params.ledgerChannel = true;
            all[at].state.channelID = bytes32("other");
            batchFails(all, IHubErrors.ChannelId.selector);
            all[at].state.channelID = idOf(all[at].params);
            hub.closeBatch(all);
        }
    }

    function testForbidsThatADuplicatePaysTwice() public {
        SignedState[] memory all = batch(3);
        // Somebody else's money is in the hub too.
        fund(newParams(2), coin, 500, 500);
        all[2] = all[0];
        hub.closeBatch(all);
        vm.assertEq(who(0).balance, 50);
        vm.assertEq(who(1).balance, 10);
        hub.closeBatch(all);
        vm.assertEq(who(0).balance, 50);
        vm.assertEq(who(1).balance, 10);
    }

    /// A concluded element is skipped whatever it says, and pays nothing.
    function testForbidsThatAConcludedElementPaysOrStops() public {
        SignedState[] memory all = batch(4);
        fund(newParams(2), coin, 500, 500);
        hub.closeAndPay(all[0].params, all[0].state, all[0].sigs);
        hub.concludeFinal(all[1].params, all[1].state, all[1].sigs);
        Move[] memory m = new Move[](1);
        m[0] = Move(coin, address(0xB0B), 0, 30);
        spend(all[2].params, m);
        all[0].sigs = new bytes[](0);
        all[1].state.outcome.balances[0] = list(0, 1000);
        uint256 before = who(0).balance;
        hub.closeBatch(all);
        vm.assertEq(who(0).balance - before, 25);
        vm.assertEq(hub.held(coin, fid(all[1].params, 0)), 25);
        vm.assertEq(address(0xB0B).balance, 30);
    }

    function testForbidsThatOneRefusingPayeeStopsTenChannels() public {
        Payee payee = new Payee();
        for (uint256 mood = 1; mood < 4; ++mood) {
            SignedState[] memory all = batch(SIZE);
            bytes32 id = all[4].state.channelID;
            hub.bindPayee(id, binding(all[4].params, 0, address(payee), block.timestamp));
            payee.set(Payee.Mood(mood), 0);
            uint256[2] memory before = [who(0).balance, who(1).balance];
            bytes memory data = abi.encodeCall(hub.closeBatch, (all));
            (bool ok,) = address(hub).call{gas: 2_500_000}(data);
            vm.assertTrue(ok, "a batch of ten needs less");
            vm.assertEq(who(0).balance - before[0], 25 * (SIZE - 1));
            vm.assertEq(who(1).balance - before[1], 5 * SIZE);
            vm.assertEq(hub.credit(address(payee), coin), 25 * mood);
        }
    }

    function testForbidsThatTenBadTokensStopTenChannels() public {
        SignedState[] memory all = new SignedState[](SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            ZooToken zoo = new ZooToken();
            address f = hub.createFacade(address(zoo));
            zoo.mint(address(this), 100);
            zoo.approve(address(hub), 100);
            Params memory p = newParams(2);
            fund(p, coin, 10, 20);
            fund(p, f, 1, 1);
            State memory s = finalState(p, coin, list(25, 5));
            addAsset(s, block.chainid, f, list(2, 0));
            all[i] = signed(p, s);
            zoo.setWays(Way.True, i % 2 == 0 ? Way.BurnsGas : Way.RevertBomb);
        }
        bytes memory data = abi.encodeCall(hub.closeBatch, (all));
        (bool ok,) = address(hub).call{gas: 7_000_000}(data);
        vm.assertTrue(ok);
        vm.assertEq(who(0).balance, 25 * SIZE);
        vm.assertEq(who(1).balance, 5 * SIZE);
    }

    // Withdrawals.

    function concluded() private returns (Params memory p) {
        p = newParams(3);
        put(p, 0, coin, 60);
        State memory s = finalState(p, coin, list(10, 20, 30));
        hub.concludeFinal(p, s, signAll(p, s));
    }

    function withdrawals(Params memory p)
        private
        view
        returns (WithdrawalV2[] memory ws, bytes[] memory sigs)
    {
        (ws, sigs) = (new WithdrawalV2[](3), new bytes[](3));
        for (uint256 i = 0; i < 3; ++i) {
            ws[i] = v2(p, i, coin, 10 * (i + 1));
            sigs[i] = signV2(i, ws[i]);
        }
    }

    function manyFails(WithdrawalV2[] memory ws, bytes[] memory sigs, bytes4 why) private {
        uint256 before = address(0xB0B).balance;
        mustFail(why, abi.encodeCall(hub.withdrawMany, (ws, sigs)));
        vm.assertEq(address(0xB0B).balance, before);
    }

    function testForbidsThatABadWithdrawalLeavesHalfOfThem() public {
        Params memory p = concluded();
        (WithdrawalV2[] memory ws, bytes[] memory sigs) = withdrawals(p);
        bytes memory kept = sigs[2];
        sigs[2] = sigs[1];
        manyFails(ws, sigs, IHubErrors.BadSignature.selector);
        sigs[2] = new bytes(0);
        manyFails(ws, sigs, IHubErrors.BadSignature.selector);
        sigs[2] = kept;
        ws[2].amount = 31;
        sigs[2] = signV2(2, ws[2]);
        manyFails(ws, sigs, IHubErrors.Insufficient.selector);
        ws[2].amount = 30;
        ws[2].deadline = block.timestamp - 1;
        sigs[2] = signV2(2, ws[2]);
        manyFails(ws, sigs, IHubErrors.DeadlineOver.selector);
        ws[2].deadline = block.timestamp;
        ws[2].channelID = bytes32("live");
        sigs[2] = signV2(2, ws[2]);
        manyFails(ws, sigs, IHubErrors.NotConcluded.selector);
        manyFails(ws, new bytes[](2), IHubErrors.ListLength.selector);
    }

    function testForbidsTypedWithdrawalsBeforeTheEnd() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        WithdrawalV2 memory w = v2(p, 0, coin, 10);
        bytes memory data = abi.encodeCall(hub.withdrawV2, (w, signV2(0, w)));
        mustFail(IHubErrors.NotConcluded.selector, data);
        register(p, newState(p, 1, coin, list(10, 20)));
        vm.warp(block.timestamp + DURATION);
        w.deadline = block.timestamp;
        data = abi.encodeCall(hub.withdrawV2, (w, signV2(0, w)));
        mustFail(IHubErrors.NotConcluded.selector, data);
        vm.assertEq(hub.held(coin, fid(p, 0)), 10);
    }

    function testForbidsThatAUsedWithdrawalStopsOrPaysAgain() public {
        Params memory p = concluded();
        (WithdrawalV2[] memory ws, bytes[] memory sigs) = withdrawals(p);
        vm.prank(STRANGER);
        hub.withdrawV2(ws[1], sigs[1]);
        hub.deposit{value: 100}(fid(p, 1), 100);
        hub.withdrawMany(ws, sigs);
        vm.assertEq(address(0xB0B).balance, 60);
        vm.warp(block.timestamp + 1);
        // All are used: nothing happens, though they are too old and of anybody.
        hub.withdrawMany(ws, new bytes[](3));
        vm.assertEq(address(0xB0B).balance, 60);
        vm.assertEq(hub.held(coin, fid(p, 1)), 100);
        // Alone, the used one says so.
        vm.warp(block.timestamp - 1);
        mustFail(
            IHubErrors.AlreadyUsed.selector, abi.encodeCall(hub.withdrawV2, (ws[1], sigs[1]))
        );
    }

    function testForbidsThatADuplicateWithdrawalPaysTwice() public {
        Params memory p = concluded();
        hub.deposit{value: 100}(fid(p, 0), 100);
        (WithdrawalV2[] memory ws, bytes[] memory sigs) = withdrawals(p);
        (ws[1], sigs[1]) = (ws[0], sigs[0]);
        hub.withdrawMany(ws, sigs);
        vm.assertEq(address(0xB0B).balance, 40);
        vm.assertEq(hub.held(coin, fid(p, 0)), 100);
    }

    function testForbidsThatAFeeTakesMoreThanWasSigned() public {
        Params memory p = concluded();
        WithdrawalV2 memory w = v2(p, 1, coin, ALL);
        w.fee = 3;
        bytes memory sig = signV2(1, w);
        vm.prank(STRANGER);
        hub.withdrawV2(w, sig);
        vm.assertEq(STRANGER.balance, 3);
        vm.assertEq(address(0xB0B).balance, 17);
        w = v2(p, 2, coin, 30);
        w.fee = 31;
        sig = signV2(2, w);
        mustFail(IHubErrors.Fee.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
        w.fee = ALL;
        sig = signV2(2, w);
        mustFail(IHubErrors.Fee.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
        // A submitter that cannot take its fee gets nothing and stops only itself.
        w.fee = 1;
        sig = signV2(2, w);
        Payee poor = new Payee();
        poor.set(Payee.Mood.Refuses, 0);
        vm.expectRevert(IHubErrors.PaymentFailed.selector);
        poor.run(address(hub), 0, abi.encodeCall(hub.withdrawV2, (w, sig)));
        hub.withdrawV2(w, sig);
        vm.assertEq(address(0xB0B).balance, 17 + 29);
    }

    function testForbidsAnyChangeOfASignedWithdrawal() public {
        Params memory p = concluded();
        WithdrawalV2 memory w = v2(p, 1, coin, 5);
        bytes memory sig = signV2(1, w);
        for (uint256 i = 0; i < 7; ++i) {
            WithdrawalV2 memory x = v2(p, 1, coin, 5);
            if (i == 0) x.holder = facade;
            if (i == 1) x.participant = who(2);
            if (i == 2) x.receiver = STRANGER;
            if (i == 3) x.amount = 6;
            if (i == 4) x.fee = 1;
            if (i == 5) x.nonce = 9;
            if (i == 6) x.deadline += 1;
            mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.withdrawV2, (x, sig)));
        }
        Params memory q = concluded();
        w.channelID = idOf(q);
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
        w.channelID = idOf(p);
        vm.chainId(block.chainid + 1);
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
        vm.chainId(block.chainid - 1);
        sig = sign(1, digestOf(hubDomain(block.chainid, address(0xC0C)), withdrawalHash(w)));
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
        w.receiver = address(0);
        sig = signV2(1, w);
        mustFail(IHubErrors.ZeroAddress.selector, abi.encodeCall(hub.withdrawV2, (w, sig)));
    }

    // A submitter that gives too little gas, so that payments fail on purpose.

    function starve(bytes memory data, address paid, uint256 due) private {
        uint256 done;
        for (uint256 gas_ = 100_000; gas_ < 1_400_000; gas_ += 9_973) {
            uint256 state = more.snapshotState();
            uint256 before = paid.balance;
            (bool ok,) = address(hub).call{gas: gas_}(data);
            if (ok) {
                vm.assertEq(paid.balance - before, due);
                vm.assertEq(hub.credit(paid, coin), 0);
                ++done;
            }
            more.revertToState(state);
        }
        vm.assertTrue(done != 0, "never enough gas");
    }

    /// A payee that takes coins only if it may run nearly as long as it is promised, and which
    /// otherwise gives up at once: what a starved call leaves would do to write a credit.
    function hungry() private returns (Payee payee) {
        payee = new Payee();
        payee.set(Payee.Mood.WantsGas, 95_000);
    }

    function testForbidsStarvingAClose() public {
        Payee payee = hungry();
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        hub.bindPayee(idOf(p), binding(p, 0, address(payee), block.timestamp));
        State memory s = finalState(p, coin, list(25, 5));
        starve(abi.encodeCall(hub.closeAndPay, (p, s, signAll(p, s))), address(payee), 25);
    }

    function testForbidsStarvingABatch() public {
        Payee payee = hungry();
        SignedState[] memory all = batch(3);
        Params memory p = all[2].params;
        hub.bindPayee(idOf(p), binding(p, 1, address(payee), block.timestamp));
        starve(abi.encodeCall(hub.closeBatch, (all)), address(payee), 5);
    }

    function testForbidsStarvingASpend() public {
        Payee payee = hungry();
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        Move[] memory m = new Move[](1);
        m[0] = Move(coin, address(payee), 0, 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        bytes memory data = abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs));
        starve(data, address(payee), 30);
    }

    /// A token that wants nearly its 300,000.
    function testForbidsStarvingAToken() public {
        HungryToken hungryToken = new HungryToken();
        address f = hub.createFacade(address(hungryToken));
        Params memory p = newParams(2);
        fund(p, f, 10, 20);
        State memory s = finalState(p, f, list(25, 5));
        bytes memory data = abi.encodeCall(hub.closeAndPay, (p, s, signAll(p, s)));
        uint256 done;
        for (uint256 gas_ = 200_000; gas_ < 1_400_000; gas_ += 9_973) {
            uint256 state = more.snapshotState();
            (bool ok,) = address(hub).call{gas: gas_}(data);
            if (ok) {
                vm.assertEq(hungryToken.balanceOf(who(0)), 25);
                vm.assertEq(hungryToken.balanceOf(who(1)), 5);
                ++done;
            }
            more.revertToState(state);
        }
        vm.assertTrue(done != 0);
    }

    /// The submitter learns why it failed.
    function testForbidsThatTooLittleGasIsReportedAsItself() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = finalState(p, coin, list(25, 5));
        bytes memory data = abi.encodeCall(hub.closeAndPay, (p, s, signAll(p, s)));
        uint256 said;
        bool ok;
        for (uint256 gas_ = 100_000; !ok; gas_ += 9_973) {
            bytes memory why;
            (ok, why) = address(hub).call{gas: gas_}(data);
            if (bytes4(why) == IHubErrors.GasForPayment.selector) ++said;
        }
        vm.assertTrue(said > 5);
        vm.assertEq(who(0).balance, 25);
    }
}

/// A token whose transfers want much gas; it mints what is pulled.
contract HungryToken {
    mapping(address => uint256) public balanceOf;

    function transferFrom(address, address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        require(gasleft() >= 290_000, "more gas");
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}
