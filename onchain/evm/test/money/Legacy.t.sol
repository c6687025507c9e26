// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {PerunHub} from "../../src/PerunHub.sol";
import {Params, Participant, State, WithdrawalAuth} from "../../src/interfaces/Types.sol";
import {Payee} from "./base/Accounts.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// Perun's withdrawal, whose authorisation names no asset, chain or contract.
contract LegacyWithdrawalTest is MoneyTest {
    /// Concluded: 25 and 5 coins, 4 and 10 tokens, of participants 0 and 1.
    function concluded() private returns (Params memory p) {
        p = newParams(2);
        fund(p, coin, 10, 20);
        fund(p, facade, 6, 8);
        State memory s = finalState(p, coin, list(25, 5));
        addAsset(s, block.chainid, facade, list(4, 10));
        hub.concludeFinal(p, s, signAll(p, s));
    }

    function fails(address holder, WithdrawalAuth memory a, bytes memory sig, bytes4 why)
        private
    {
        (bool ok, bytes memory found) =
            holder.call(abi.encodeCall(IAssetHolder.withdraw, (a, sig)));
        vm.assertTrue(!ok, "must fail");
        vm.assertEq(bytes32(bytes4(found)), bytes32(why));
    }

    function testForbidsReplayAfterMoreDeposits() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        hub.withdraw(a, sig);
        fails(coin, a, sig, IHubErrors.NotFullHolding.selector);
        hub.deposit{value: 25}(fid(p, 0), 25);
        fails(coin, a, sig, IHubErrors.AlreadyUsed.selector);
        vm.assertEq(address(0xB0B).balance, 25);
        // The late money is not lost: another authorisation, or a typed one.
        a.participant.ccAddress = hex"01";
        hub.withdraw(a, sign(0, eip191(keccak256(abi.encode(a)))));
        vm.assertEq(address(0xB0B).balance, 50);
    }

    function testForbidsPartialWithdrawals() public {
        Params memory p = concluded();
        for (uint256 amount = 1; amount < 25; amount += 6) {
            (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), amount);
            (bool ok,) = coin.call(abi.encodeCall(IAssetHolder.withdraw, (a, sig)));
            if (!ok) continue;
            // If one is ever let through, then once, and it leaves nothing to the next.
            vm.assertEq(address(0xB0B).balance, amount);
            (ok,) = coin.call(abi.encodeCall(IAssetHolder.withdraw, (a, sig)));
            vm.assertTrue(!ok);
            return;
        }
        vm.assertEq(hub.held(coin, fid(p, 0)), 25);
    }

    function testForbidsMoreThanIsHeld() public {
        Params memory p = concluded();
        fund(newParams(2), coin, 1000, 1000);
        bytes4 why = IHubErrors.NotFullHolding.selector;
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 26);
        fails(coin, a, sig, why);
        (a, sig) = auth(p, 0, address(0xB0B), ALL);
        fails(coin, a, sig, why);
        (a, sig) = auth(p, 0, address(0xB0B), 0);
        fails(coin, a, sig, why);
    }

    /// For one holder it was signed, and on the other there is another amount.
    function testForbidsTheUseAtAnotherHolder() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        fails(facade, a, sig, IHubErrors.NotFullHolding.selector);
        fails(hub.createFacade(address(new Payee())), a, sig, IHubErrors.NotFullHolding.selector);
        hub.withdraw(a, sig);
        vm.assertEq(token.balanceOf(address(0xB0B)), 0);
        // What the form of the authorisation cannot forbid: with equal amounts it is good at both,
        // once each, and pays where the participant wanted to be paid.
        Params memory q = newParams(2);
        fund(q, coin, 10, 0);
        fund(q, facade, 10, 0);
        State memory s = finalState(q, coin, list(10, 0));
        addAsset(s, block.chainid, facade, list(10, 0));
        hub.concludeFinal(q, s, signAll(q, s));
        (a, sig) = auth(q, 0, address(0xB0B), 10);
        hub.withdraw(a, sig);
        IAssetHolder(facade).withdraw(a, sig);
        vm.assertEq(token.balanceOf(address(0xB0B)), 10);
        hub.deposit{value: 10}(fid(q, 0), 10);
        put(newParams(2), 0, facade, 10);
        fails(coin, a, sig, IHubErrors.AlreadyUsed.selector);
        fails(facade, a, sig, IHubErrors.NotFullHolding.selector);
    }

    /// Only facades of the hub speak for their token.
    function testForbidsWithdrawalsByWayOfAStranger() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 4);
        vm.prank(STRANGER);
        refuses(IHubErrors.UnknownHolder.selector);
        hub.withdrawVia(a, sig);
    }

    /// On another chain there are other holdings; the hub there has its own memory.
    function testForbidsMoreThanOneUsePerChain() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        hub.withdraw(a, sig);
        hub.deposit{value: 25}(fid(p, 0), 25);
        vm.chainId(block.chainid + 1);
        fails(coin, a, sig, IHubErrors.AlreadyUsed.selector);
        address there = address(new PerunHub());
        fails(there, a, sig, IHubErrors.NotConcluded.selector);
    }

    function testForbidsWithdrawingBeforeTheEnd() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 10);
        fails(coin, a, sig, IHubErrors.NotConcluded.selector);
        State memory s = newState(p, 1, coin, list(10, 20));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        fails(coin, a, sig, IHubErrors.NotConcluded.selector);
        hub.conclude(p, s, none());
        hub.withdraw(a, sig);
        vm.assertEq(address(0xB0B).balance, 10);
    }

    function testForbidsAnyoneElsesSignature() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        bytes4 bad = IHubErrors.BadSignature.selector;
        a.receiver = STRANGER;
        fails(coin, a, sig, bad);
        a.receiver = address(0xB0B);
        a.participant.ethAddress = who(1);
        fails(coin, a, sig, bad);
        a.participant.ethAddress = who(0);
        a.participant.ccAddress = hex"00";
        fails(coin, a, sig, bad);
        a.participant.ccAddress = "";
        fails(coin, a, sign(1, eip191(keccak256(abi.encode(a)))), bad);
        a.participant = Participant(address(0), "");
        fails(coin, a, sig, IHubErrors.ZeroParticipant.selector);
    }

    /// A client of the old kind finishes: nothing is left, nothing is paid, as often as it likes.
    function testForbidsThatAnEmptyHoldingStopsAClient() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        close(p, finalState(p, coin, list(30, 0)));
        uint256 before = address(0xB0B).balance;
        for (uint256 i = 0; i < 2; ++i) {
            (WithdrawalAuth memory a, bytes memory sig) = auth(p, i, address(0xB0B), 0);
            hub.withdraw(a, sig);
            hub.withdraw(a, sig);
            IAssetHolder(facade).withdraw(a, sig);
            a.receiver = STRANGER;
            fails(coin, a, sig, IHubErrors.BadSignature.selector);
        }
        vm.assertEq(address(0xB0B).balance, before);
    }

    /// An authorisation of nothing, kept for later, takes nothing of what comes later.
    function testForbidsThatAnAuthorisationOfNothingTakesLateMoney() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        close(p, finalState(p, coin, list(30, 0)));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, STRANGER, 0);
        hub.withdraw(a, sig);
        hub.deposit{value: 9}(fid(p, 0), 9);
        fails(coin, a, sig, IHubErrors.NotFullHolding.selector);
        vm.assertEq(STRANGER.balance, 0);
    }

    function testForbidsThatAFailedWithdrawalIsUsedUp() public {
        Params memory p = concluded();
        Payee payee = new Payee();
        payee.set(Payee.Mood.Refuses, 0);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(payee), 25);
        fails(coin, a, sig, IHubErrors.PaymentFailed.selector);
        vm.assertEq(hub.held(coin, fid(p, 0)), 25);
        payee.set(Payee.Mood.Takes, 0);
        hub.withdraw(a, sig);
        vm.assertEq(address(payee).balance, 25);
        (a, sig) = auth(p, 1, address(0), 5);
        fails(coin, a, sig, IHubErrors.ZeroAddress.selector);
        (a, sig) = auth(p, 1, address(hub), 5);
        fails(coin, a, sig, IHubErrors.PaymentFailed.selector);
    }

    function testForbidsOtherSpellingsOfASignature() public {
        Params memory p = concluded();
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        bytes4 bad = IHubErrors.BadSignature.selector;
        fails(coin, a, bytes.concat(sig, hex"00"), bad);
        bytes memory low = new bytes(65);
        for (uint256 i = 0; i < 65; ++i) {
            low[i] = sig[i];
        }
        low[64] = bytes1(uint8(sig[64]) - 27);
        fails(coin, a, low, bad);
        // The other s of the same signature.
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory high = new bytes(65);
        for (uint256 i = 0; i < 65; ++i) {
            high[i] = sig[i];
        }
        assembly {
            mstore(add(high, 0x40), sub(order, mload(add(high, 0x40))))
        }
        high[64] = bytes1(55 - uint8(sig[64]));
        fails(coin, a, high, bad);
        fails(coin, a, "", bad);
        hub.withdraw(a, sig);
    }

    /// Whatever is tried in whatever order: one participant gets what is its, once.
    function testFuzzForbidsMoreThanTheHolding(uint8[10] memory tries, uint8 late) public {
        Params memory p = concluded();
        fund(newParams(2), coin, 500, 500);
        uint256 mine_ = 25;
        for (uint256 i = 0; i < 10; ++i) {
            uint256 amount = uint256(tries[i]) % 40;
            if (tries[i] > 200) amount = hub.held(coin, fid(p, 0));
            if (i == 5) {
                hub.deposit{value: late}(fid(p, 0), late);
                mine_ += late;
            }
            (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), amount);
            (bool ok,) = coin.call(abi.encodeCall(IAssetHolder.withdraw, (a, sig)));
            ok;
            uint256 kept = hub.held(coin, fid(p, 0)) + hub.credit(who(0), coin);
            vm.assertEq(address(0xB0B).balance + kept, mine_);
        }
        vm.assertEq(hub.held(coin, fid(p, 1)), 5);
    }
}
