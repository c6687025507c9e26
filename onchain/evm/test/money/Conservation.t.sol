// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Move,
    Params,
    SignedState,
    Source,
    State,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// Every coin that came in can come out, and none twice: deposits exact, too small, too large, by
/// strangers, too late; every end; refusing payees.
contract ConservationTest is MoneyTest {
    uint256 private constant CHANNELS = 4;

    struct Plan {
        uint64[3] deposits;
        uint64[3] more;
        uint64[3] late;
        uint64[3] wants;
        uint8 end;
        uint8 refusing;
        bool under;
    }

    uint256 private inCoins;
    uint256 private inTokens;

    function give(Params memory p, uint256 index, uint256 amount, bool viaOpen) private {
        if (viaOpen) {
            put(p, index, coin, amount);
        } else {
            vm.deal(STRANGER, amount);
            vm.prank(STRANGER);
            hub.deposit{value: amount}(fid(p, index), amount);
        }
        put(p, index, facade, amount / 3);
        inCoins += amount;
        inTokens += amount / 3;
    }

    /// What the last state says: shares of what the first deposits are, or more than is there.
    function outcome(Plan memory plan, uint256 divisor)
        private
        pure
        returns (uint256[] memory balances)
    {
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            sum += plan.deposits[i] / divisor;
        }
        if (plan.under) {
            uint256 extra;
            for (uint256 i = 0; i < 3; ++i) {
                extra += plan.more[i] / divisor;
            }
            sum += extra + 1;
        }
        balances = new uint256[](3);
        balances[0] = sum == 0 ? 0 : uint256(plan.wants[0]) % (sum + 1);
        balances[1] = uint256(plan.wants[1]) % (sum - balances[0] + 1);
        balances[2] = sum - balances[0] - balances[1];
    }

    function end(Params memory p, State memory s, uint256 way) private {
        if (way < 2) {
            s.isFinal = true;
            if (way == 0) hub.closeAndPay(p, s, signAll(p, s));
            else hub.concludeFinal(p, s, signAll(p, s));
        } else if (way < 4) {
            register(p, s);
            vm.warp(block.timestamp + DURATION);
            if (way == 2) hub.concludeAndPay(p, s, none());
            else hub.conclude(p, s, none());
        } else if (way == 4) {
            SignedState[] memory all = new SignedState[](1);
            s.isFinal = true;
            all[0] = signed(p, s);
            hub.closeBatch(all);
        } else {
            Move[] memory m = new Move[](2);
            uint256 there = hub.held(coin, fid(p, 0));
            m[0] = Move(coin, who(9), 0, there / 2);
            m[1] = Move(coin, address(0), fid(p, 2), there / 3);
            spend(p, m);
        }
    }

    /// All that a participant is due, by its key alone.
    function collect(Params memory p, uint256 index) private {
        for (uint256 k = 0; k < 2; ++k) {
            WithdrawalV2 memory w = v2(p, index, k == 0 ? coin : facade, ALL);
            w.nonce = k;
            hub.withdrawV2(w, signV2(index, w));
        }
    }

    function collectCredit(uint256 index) private {
        for (uint256 k = 0; k < 2; ++k) {
            address holder = k == 0 ? coin : facade;
            CreditWithdrawal memory c = CreditWithdrawal(
                who(index),
                holder,
                address(0xB0B),
                hub.credit(who(index), holder),
                k,
                block.timestamp
            );
            hub.withdrawCreditFor(c, sign(index, mine(creditHash(c))));
        }
    }

    function outside() private view returns (uint256 coins, uint256 tokens) {
        coins = address(0xB0B).balance;
        tokens = token.balanceOf(address(0xB0B));
        for (uint256 i = 0; i < 10; ++i) {
            coins += who(i).balance;
            tokens += token.balanceOf(who(i));
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzzForbidsThatAnyCoinIsLostOrMade(Plan[4] memory plans) public {
        Params[] memory ps = new Params[](CHANNELS);
        for (uint256 n = 0; n < CHANNELS; ++n) {
            ps[n] = newParams(3);
            Plan memory plan = plans[n];
            for (uint256 i = 0; i < 3; ++i) {
                give(ps[n], i, plan.deposits[i], i == 0);
                give(ps[n], i, plan.more[i], false);
            }
        }
        for (uint256 n = 0; n < CHANNELS; ++n) {
            Plan memory plan = plans[n];
            State memory s = newState(ps[n], 1, coin, outcome(plan, 1));
            addAsset(s, block.chainid, facade, outcome(plan, 3));
            uint256 refusing = plan.refusing % 4;
            if (refusing < 3) vm.etch(who(refusing), hex"fe");
            end(ps[n], s, plan.end % 6);
            if (refusing < 3) vm.etch(who(refusing), "");
            for (uint256 i = 0; i < 3; ++i) {
                hub.deposit{value: plan.late[i]}(fid(ps[n], i), plan.late[i]);
                inCoins += plan.late[i];
            }
            (uint256 coins,) = outside();
            vm.assertEq(coins + address(hub).balance, inCoins);
        }
        for (uint256 n = 0; n < CHANNELS; ++n) {
            for (uint256 i = 0; i < 3; ++i) {
                collect(ps[n], i);
            }
        }
        for (uint256 i = 0; i < 10; ++i) {
            collectCredit(i);
        }
        (uint256 allCoins, uint256 allTokens) = outside();
        vm.assertEq(allCoins, inCoins);
        vm.assertEq(allTokens, inTokens);
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
    }

    /// Too little is there: everybody gets exactly what it put in, of that asset; the other asset
    /// is paid as agreed.
    function testFuzzForbidsAnythingButRefundsOfWhatIsUnderfunded(
        uint64 one_,
        uint64 two,
        uint64 missing,
        bool pays
    ) public {
        Params memory p = newParams(2);
        fund(p, coin, one_, two);
        fund(p, facade, one_, two);
        uint256 sum = uint256(one_) + two;
        State memory s = finalState(p, coin, list(sum + missing + 1, 0));
        addAsset(s, block.chainid, facade, list(0, sum));
        if (pays) {
            hub.closeAndPay(p, s, signAll(p, s));
        } else {
            hub.concludeFinal(p, s, signAll(p, s));
            collect(p, 0);
            collect(p, 1);
        }
        if (pays) {
            vm.assertEq(who(0).balance, one_);
            vm.assertEq(who(1).balance, two);
            vm.assertEq(token.balanceOf(who(1)), sum);
        } else {
            vm.assertEq(address(0xB0B).balance, sum);
        }
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
    }

    /// A surplus takes nothing from what anybody is due.
    function testFuzzForbidsThatASurplusTakesFromWhatIsDue(
        uint64[4] memory deposits,
        uint64[4] memory surplus,
        uint64[3] memory wants
    ) public {
        Params memory p = newParams(4);
        uint256 sum;
        uint256 all;
        for (uint256 i = 0; i < 4; ++i) {
            put(p, i, coin, deposits[i]);
            hub.deposit{value: surplus[i]}(fid(p, i), surplus[i]);
            sum += deposits[i];
            all += uint256(deposits[i]) + surplus[i];
        }
        uint256[] memory due = new uint256[](4);
        uint256 left = sum;
        for (uint256 i = 0; i < 3; ++i) {
            due[i] = uint256(wants[i]) % (left + 1);
            left -= due[i];
        }
        due[3] = left;
        close(p, finalState(p, coin, due));
        uint256 paid;
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertTrue(who(i).balance >= due[i]);
            // And nobody gets more of the surplus than its part of the deposits, but the rounding.
            uint256 most = (all - sum) * (uint256(deposits[i]) + surplus[i]);
            if (all != 0) vm.assertTrue(who(i).balance - due[i] <= most / all + 4);
            paid += who(i).balance;
        }
        vm.assertEq(paid, all);
        vm.assertEq(address(hub).balance, 0);
    }

    /// Deposits for somebody who is no participant, for a channel that ends, are that account's.
    function testForbidsThatADepositForAnotherAccountIsLost() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        bytes32 odd = fundingID(idOf(p), who(7));
        hub.deposit{value: 9}(odd, 9);
        close(p, finalState(p, coin, list(25, 5)));
        vm.assertEq(who(0).balance + who(1).balance, 30);
        WithdrawalV2 memory w = v2(p, 0, coin, ALL);
        w.participant = who(7);
        hub.withdrawV2(w, signV2(7, w));
        vm.assertEq(address(0xB0B).balance, 9);
    }

    /// The asset that no state names stays whose it is.
    function testForbidsThatAnUnnamedAssetIsLost() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        fund(p, facade, 6, 8);
        close(p, finalState(p, coin, list(25, 5)));
        collect(p, 0);
        collect(p, 1);
        vm.assertEq(token.balanceOf(address(0xB0B)), 14);
    }

    /// Money of a holder on a chain that later has another id: the state names the old one.
    function testForbidsThatAForkLosesMoney() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = finalState(p, coin, list(25, 5));
        vm.chainId(block.chainid + 1);
        close(p, s);
        vm.assertEq(who(0).balance, 0);
        collect(p, 0);
        vm.assertEq(address(0xB0B).balance, 10);
    }

    /// Coins that were forced upon the hub are nobody's and change nothing.
    function testForbidsThatForcedCoinsChangeAnything() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        vm.deal(address(hub), address(hub).balance + 777);
        token.mint(address(hub), 777);
        fund(p, facade, 6, 8);
        State memory s = finalState(p, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(4, 10));
        close(p, s);
        vm.assertEq(who(0).balance, 25);
        vm.assertEq(who(1).balance, 5);
        vm.assertEq(address(hub).balance, 777);
        vm.assertEq(token.balanceOf(address(hub)), 777);
    }

    function testForbidsPlainTransfersToTheHub() public {
        (bool ok,) = address(hub).call{value: 1}("");
        vm.assertTrue(!ok);
        (ok,) = address(hub).call{value: 1}(hex"deadbeef");
        vm.assertTrue(!ok);
        (ok,) = facade.call{value: 1}("");
        vm.assertTrue(!ok);
    }

    /// No function but those that take coins keeps any.
    function testForbidsCoinsWithCallsThatTakeNone() public {
        Params memory p = newParams(2);
        State memory s = finalState(p, coin, list(0, 0));
        failureWith(1, abi.encodeCall(hub.closeAndPay, (p, s, signAll(p, s))));
        failureWith(1, abi.encodeCall(hub.createFacade, (address(token))));
        failureWith(1, abi.encodeCall(hub.withdrawCredit, (coin, address(0xB0B), 0)));
        Binding memory b = binding(p, 0, address(0xB0B), block.timestamp);
        failureWith(1, abi.encodeCall(hub.bindPayee, (idOf(p), b)));
        Deposit[] memory d = one(p, 0, coin, 0, Source.Sender);
        failureWith(1, abi.encodeCall(hub.open, (idOf(p), d, nobody())));
        failureWith(1, abi.encodeCall(hub.facadeOf, (address(token))));
        vm.assertEq(address(hub).balance, 0);
    }
}
