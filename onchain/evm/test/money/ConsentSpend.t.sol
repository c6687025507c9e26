// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {PerunHub} from "../../src/PerunHub.sol";
import {Deposit, Move, Params, Source, State, WithdrawalV2} from "../../src/interfaces/Types.sol";
import {Payee, Wallet} from "./base/Accounts.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// What all agree on happens, nothing else, and once.
contract ConsentSpendTest is MoneyTest {
    function channel() private returns (Params memory p) {
        p = newParams(2);
        fund(p, coin, 10, 20);
        fund(p, facade, 6, 2);
    }

    function moves(address holder, address to, uint256 amount)
        private
        pure
        returns (Move[] memory m)
    {
        m = new Move[](1);
        m[0] = Move(holder, to, 0, amount);
    }

    function spendFails(Params memory p, Move[] memory m, bytes[] memory sigs, bytes4 why)
        private
    {
        uint256 now_ = block.timestamp;
        mustFail(why, abi.encodeCall(hub.spendByConsent, (p, m, now_, sigs)));
        Deposit[] memory d = new Deposit[](0);
        bytes32 next = bytes32("next");
        mustFail(why, abi.encodeCall(hub.resize, (p, m, now_, sigs, next, d, nobody())));
        vm.assertEq(hub.held(coin, fid(p, 0)), 10);
        vm.assertEq(hub.held(coin, fid(p, 1)), 20);
        vm.assertEq(hub.held(facade, fid(p, 0)), 6);
    }

    function testForbidsASpendWithoutEverySigner() public {
        Params memory p = newParams(3);
        put(p, 0, coin, 10);
        put(p, 1, coin, 20);
        put(p, 0, facade, 6);
        Move[] memory m = moves(coin, who(0), 30);
        for (uint256 i = 0; i < 3; ++i) {
            bytes[] memory sigs = consent(p, m, block.timestamp);
            sigs[i] = sigs[(i + 1) % 3];
            spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
            sigs[i] = "";
            spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
        }
        bytes[] memory all = consent(p, m, block.timestamp);
        bytes[] memory two = new bytes[](2);
        (two[0], two[1]) = (all[0], all[1]);
        spendFails(p, m, two, IHubErrors.SignatureCount.selector);
        spendFails(p, m, new bytes[](0), IHubErrors.SignatureCount.selector);
        bytes[] memory four = new bytes[](4);
        (four[0], four[1], four[2], four[3]) = (all[0], all[1], all[2], all[2]);
        spendFails(p, m, four, IHubErrors.SignatureCount.selector);
    }

    /// Consent is given by the keys that sign states: code at such an address cannot give it.
    function testForbidsThatCodeConsents() public {
        Params memory p = channel();
        Move[] memory m = moves(coin, who(0), 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        sigs[1] = "yes";
        vm.etch(who(1), address(new Wallet()).code);
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
    }

    function testForbidsASpendOfAnotherChannel() public {
        Params memory p = channel();
        Params memory q = channel();
        Move[] memory m = moves(coin, who(0), 30);
        bytes[] memory sigs = consent(q, m, block.timestamp);
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
    }

    function testForbidsASpendOnAnotherHubOrChain() public {
        Params memory p = channel();
        Move[] memory m = moves(coin, who(0), 30);
        bytes32 hash = spendHash(idOf(p), m, block.timestamp);
        bytes32 domain = hubDomain(block.chainid, address(new PerunHub()));
        bytes[] memory sigs = signAllDigest(p, digestOf(domain, hash));
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
        domain = hubDomain(block.chainid + 1, address(hub));
        sigs = signAllDigest(p, digestOf(domain, hash));
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
        sigs = consent(p, m, block.timestamp);
        vm.chainId(block.chainid + 1);
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
    }

    /// The signatures of a state, also of the final one, are no consent; nor the other way round.
    function testForbidsThatStatesAndConsentAreMixedUp() public {
        Params memory p = channel();
        State memory s = finalState(p, coin, list(0, 30));
        Move[] memory m = moves(coin, who(0), 30);
        spendFails(p, m, signAll(p, s), IHubErrors.BadSignature.selector);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.closeAndPay, (p, s, sigs)));
    }

    function testForbidsASpendAfterTheEnd() public {
        Params memory p = channel();
        Move[] memory m = moves(coin, who(0), 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        State memory s = finalState(p, coin, list(10, 20));
        addAsset(s, block.chainid, facade, list(6, 2));
        hub.concludeFinal(p, s, signAll(p, s));
        spendFails(p, m, sigs, IHubErrors.AlreadyConcluded.selector);
    }

    function testForbidsASecondSpend() public {
        Params memory p = channel();
        Move[] memory m = moves(coin, address(0xB0B), 5);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        hub.spendByConsent(p, m, block.timestamp, sigs);
        // Later deposits are not for it either.
        hub.deposit{value: 30}(fid(p, 0), 30);
        bytes memory data = abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs));
        mustFail(IHubErrors.AlreadyConcluded.selector, data);
        vm.assertEq(address(0xB0B).balance, 5);
    }

    /// During a dispute, during forced steps, with a swap pending: everybody agreed, and it ends.
    function testForbidsThatADisputeOrASwapStopsConsent() public {
        for (uint256 kind = 0; kind < 3; ++kind) {
            Params memory p = channel();
            State memory s = newState(p, 3, coin, list(30, 0));
            if (kind > 0) {
                uint64 end = uint64(block.timestamp + 10 * DURATION);
                s.appData = swap(sha256(abi.encode(bytes32("x"))), 0, 0, 1, end, 7);
            }
            register(p, s);
            if (kind == 2) vm.warp(block.timestamp + 2 * DURATION);
            uint256 before = address(0xB0B).balance;
            spend(p, moves(coin, address(0xB0B), 30));
            vm.assertEq(address(0xB0B).balance - before, 30);
            // Nothing is left to be claimed, refunded or concluded.
            bytes4 over = IHubErrors.AlreadyConcluded.selector;
            bytes memory claim =
                abi.encodeCall(hub.concludeAndPayWithPreimage, (p, s, none(), bytes32("x")));
            mustFail(over, claim);
            mustFail(over, abi.encodeCall(hub.conclude, (p, s, none())));
            State memory f = finalState(p, coin, list(30, 0));
            mustFail(over, abi.encodeCall(hub.closeAndPay, (p, f, signAll(p, f))));
        }
    }

    function testForbidsThatMovesTakeMoreThanIsHeld() public {
        Params memory p = channel();
        // Other channels' money is there.
        fund(newParams(2), coin, 1000, 1000);
        bytes4 why = IHubErrors.Insufficient.selector;
        Move[] memory m = moves(coin, who(0), 31);
        spendFails(p, m, consent(p, m, block.timestamp), why);
        m = moves(coin, who(0), ALL);
        spendFails(p, m, consent(p, m, block.timestamp), why);
        m = moves(facade, who(0), 9);
        spendFails(p, m, consent(p, m, block.timestamp), why);
        m = moves(address(0xF00), who(0), 1);
        spendFails(p, m, consent(p, m, block.timestamp), why);
        // A sum that would wrap.
        m = new Move[](2);
        (m[0], m[1]) = (Move(coin, who(0), 0, 30), Move(coin, who(1), 0, ALL));
        spendFails(p, m, consent(p, m, block.timestamp), why);
        // The same holder three times over, with another in between.
        m = new Move[](3);
        m[0] = Move(coin, who(0), 0, 30);
        m[1] = Move(facade, who(0), 0, 8);
        m[2] = Move(coin, who(0), 0, 30);
        spendFails(p, m, consent(p, m, block.timestamp), why);
    }

    /// A holder that comes again takes what its first moves left.
    function testForbidsThatARepeatedHolderLosesMoney() public {
        Params memory p = channel();
        Move[] memory m = new Move[](3);
        m[0] = Move(coin, address(0xB0B), 0, 12);
        m[1] = Move(facade, address(0xB0B), 0, 8);
        m[2] = Move(coin, address(0xB0B), 0, 13);
        spend(p, m);
        vm.assertEq(address(0xB0B).balance, 25);
        vm.assertEq(hub.held(coin, fid(p, 0)) + hub.held(coin, fid(p, 1)), 5);
        vm.assertEq(token.balanceOf(address(0xB0B)), 8);
    }

    function testForbidsMovesWithoutOneTarget() public {
        Params memory p = channel();
        bytes4 why = IHubErrors.MoveTarget.selector;
        Move[] memory m = moves(coin, address(0), 30);
        spendFails(p, m, consent(p, m, block.timestamp), why);
        m = moves(coin, who(0), 30);
        m[0].fundingID = bytes32("both");
        spendFails(p, m, consent(p, m, block.timestamp), why);
    }

    function testForbidsThatNoMovesOrNothingMovedLosesMoney() public {
        Params memory p = channel();
        spend(p, new Move[](0));
        vm.assertEq(hub.held(coin, fid(p, 0)), 10);
        vm.assertEq(hub.held(coin, fid(p, 1)), 20);
        Params memory q = channel();
        Move[] memory m = new Move[](2);
        m[0] = Move(coin, who(0), 0, 0);
        m[1] = Move(coin, address(0), bytes32("x"), 0);
        spend(q, m);
        vm.assertEq(hub.held(coin, fid(q, 0)), 10);
        vm.assertEq(hub.held(coin, fid(q, 1)), 20);
        // Everybody withdraws its own.
        for (uint256 i = 0; i < 2; ++i) {
            WithdrawalV2 memory w = v2(p, i, coin, ALL);
            hub.withdrawV2(w, signV2(i, w));
        }
        vm.assertEq(address(0xB0B).balance, 30);
    }

    /// Into other deposits: of a live channel, of a concluded one, of itself.
    function testForbidsThatMoneyMovedToOtherDepositsIsLost() public {
        Params memory p = channel();
        Params memory live = newParams(2);
        Params memory over = newParams(2);
        close(over, finalState(over, coin, list(0, 0)));
        Move[] memory m = new Move[](3);
        m[0] = Move(coin, address(0), fid(live, 1), 11);
        m[1] = Move(coin, address(0), fid(over, 0), 12);
        m[2] = Move(coin, address(0), fid(p, 1), 7);
        spend(p, m);
        WithdrawalV2 memory w = v2(over, 0, coin, ALL);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(address(0xB0B).balance, 12);
        w = v2(p, 1, coin, ALL);
        hub.withdrawV2(w, signV2(1, w));
        vm.assertEq(address(0xB0B).balance, 19);
        close(live, finalState(live, coin, list(11, 0)));
        vm.assertEq(who(0).balance, 11);
        vm.assertEq(address(hub).balance, 0);
    }

    function testForbidsMovesPast128Bits() public {
        Params memory p = newParams(2);
        Params memory next = newParams(2);
        vm.deal(address(this), ALL);
        put(p, 0, coin, type(uint128).max);
        hub.deposit{value: 5}(fid(next, 0), 5);
        Move[] memory m = new Move[](1);
        m[0] = Move(coin, address(0), fid(next, 0), type(uint128).max);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        bytes memory data = abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs));
        mustFail(IHubErrors.Amount.selector, data);
        vm.assertTrue(!hub.settled(idOf(p)));
    }

    // Resizing.

    function resizing(Params memory next) private view returns (Move[] memory m) {
        m = new Move[](2);
        m[0] = Move(coin, address(0), fid(next, 0), 10);
        m[1] = Move(coin, address(0), fid(next, 1), 20);
    }

    /// A stranger who sees the consent may submit it alone: the money is where it was to go.
    function testForbidsThatAFrontRunSpendLosesMoney() public {
        Params memory p = channel();
        Params memory next = newParams(2);
        Move[] memory m = resizing(next);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Deposit[] memory d = one(next, 0, coin, 7, Source.Sender);
        uint256 now_ = block.timestamp;
        bytes32 id = idOf(next);
        vm.prank(STRANGER);
        hub.spendByConsent(p, m, now_, sigs);
        bytes memory data = abi.encodeCall(hub.resize, (p, m, now_, sigs, id, d, nobody()));
        uint256 rich = address(this).balance;
        bytes4 why = failureWith(7, data);
        vm.assertEq(bytes32(why), bytes32(IHubErrors.AlreadyConcluded.selector));
        vm.assertEq(address(this).balance, rich);
        hub.open{value: 7}(id, d, nobody());
        vm.assertEq(hub.held(coin, fid(next, 0)), 17);
        vm.assertEq(hub.held(coin, fid(next, 1)), 20);
    }

    /// Deposits of strangers into the successor, before or with the resize, are surplus there.
    function testForbidsThatStrangersDepositsChangeTheSuccessor() public {
        Params memory p = channel();
        Params memory next = newParams(2);
        hub.deposit{value: 3}(fid(next, 0), 3);
        Move[] memory m = resizing(next);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Deposit[] memory d = one(next, 0, coin, 30, Source.Sender);
        vm.deal(STRANGER, 30);
        uint256 now_ = block.timestamp;
        bytes32 id = idOf(next);
        vm.prank(STRANGER);
        hub.resize{value: 30}(p, m, now_, sigs, id, d, nobody());
        close(next, finalState(next, coin, list(5, 25)));
        // 63 came in, 30 are owed; 33 go back to the depositors in proportion.
        vm.assertTrue(who(0).balance >= 5);
        vm.assertTrue(who(1).balance >= 25);
        vm.assertEq(who(0).balance + who(1).balance, 63);
        vm.assertEq(address(hub).balance, 0);
    }

    function testForbidsAResizeWithWrongCoins() public {
        Params memory p = channel();
        Params memory next = newParams(2);
        Move[] memory m = resizing(next);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Deposit[] memory d = one(next, 0, coin, 7, Source.Sender);
        bytes memory data =
            abi.encodeCall(hub.resize, (p, m, block.timestamp, sigs, idOf(next), d, nobody()));
        bytes32 why = bytes32(IHubErrors.CoinAmount.selector);
        vm.assertEq(bytes32(failureWith(6, data)), why);
        vm.assertEq(bytes32(failureWith(8, data)), why);
        data = abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs));
        failureWith(1, data);
        vm.assertEq(hub.held(coin, fid(p, 1)), 20);
        vm.assertTrue(!hub.settled(idOf(p)));
    }

    /// The money of the old channel, on its way out, is not the new one's deposit.
    function testForbidsThatAResizeIntoWhatIsConcludedHappensByHalf() public {
        Params memory p = channel();
        Params memory over = newParams(2);
        close(over, finalState(over, coin, list(0, 0)));
        Move[] memory m = moves(coin, address(0xB0B), 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Deposit[] memory d = new Deposit[](0);
        bytes4 why = IHubErrors.AlreadyConcluded.selector;
        uint256 now_ = block.timestamp;
        mustFail(why, abi.encodeCall(hub.resize, (p, m, now_, sigs, idOf(over), d, nobody())));
        mustFail(why, abi.encodeCall(hub.resize, (p, m, now_, sigs, idOf(p), d, nobody())));
        vm.assertTrue(!hub.settled(idOf(p)));
        vm.assertEq(address(0xB0B).balance, 0);
    }

    /// Who is paid by the moves cannot use the new channel's coins from within.
    function testForbidsThatAPaidAccountTakesTheNewDeposit() public {
        Params memory p = channel();
        Params memory next = newParams(2);
        Payee payee = new Payee();
        Move[] memory m = moves(coin, address(payee), 30);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Deposit[] memory d = one(next, 0, coin, 100, Source.Sender);
        Deposit[] memory none_ = new Deposit[](0);
        payee.setCall(address(hub), abi.encodeCall(hub.open, (idOf(next), none_, nobody())));
        hub.resize{value: 100}(p, m, block.timestamp, sigs, idOf(next), d, nobody());
        vm.assertTrue(!payee.succeeded());
        vm.assertEq(address(payee).balance, 30);
        vm.assertEq(hub.held(coin, fid(next, 0)), 100);
        vm.assertEq(address(hub).balance, 100);
    }

    function testForbidsThatARefusingTargetStopsTheOthers() public {
        Params memory p = channel();
        Payee payee = new Payee();
        payee.set(Payee.Mood.BurnsGas, 0);
        Move[] memory m = new Move[](3);
        m[0] = Move(coin, address(payee), 0, 10);
        m[1] = Move(coin, address(0xB0B), 0, 20);
        m[2] = Move(facade, address(0xB0B), 0, 8);
        spend(p, m);
        vm.assertEq(hub.credit(address(payee), coin), 10);
        vm.assertEq(address(0xB0B).balance, 20);
        vm.assertEq(token.balanceOf(address(0xB0B)), 8);
    }

    function testForbidsConsentForWhatIsNoLedgerChannel() public {
        Params memory p = newParams(2);
        p.ledgerChannel = false;
        Move[] memory m = new Move[](0);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        bytes memory data = abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs));
        mustFail(IHubErrors.NotLedger.selector, data);
    }

    function testForbidsConsentThatIsTooOld() public {
        Params memory p = channel();
        Move[] memory m = moves(coin, who(0), 30);
        uint256 old = block.timestamp - 1;
        bytes[] memory sigs = consent(p, m, old);
        bytes memory data = abi.encodeCall(hub.spendByConsent, (p, m, old, sigs));
        mustFail(IHubErrors.DeadlineOver.selector, data);
    }

    function testFuzzForbidsAnyOtherMoveThanWasSigned(uint256 field, uint256 bit) public {
        Params memory p = channel();
        Move[] memory m = new Move[](2);
        m[0] = Move(coin, address(0xB0B), 0, 10);
        m[1] = Move(coin, address(0), bytes32("deposit"), 20);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        Move memory x = m[field % 2];
        uint256 flip = uint256(1) << (bit % 256);
        uint256 part = (field / 2) % 4;
        if (part == 0) x.holder = address(uint160(x.holder) ^ uint160(1 << (bit % 160)));
        if (part == 1) x.to = address(uint160(x.to) ^ uint160(1 << (bit % 160)));
        if (part == 2) x.fundingID = bytes32(uint256(x.fundingID) ^ flip);
        if (part == 3) x.amount ^= flip;
        spendFails(p, m, sigs, IHubErrors.BadSignature.selector);
    }

    /// Whatever the moves are: what they take and what they leave is what was held.
    function testFuzzForbidsThatASpendMakesOrLosesMoney(
        uint64[3] memory deposits,
        uint64[4] memory wants,
        uint8 targets
    ) public {
        Params memory p = newParams(3);
        Params memory next = newParams(2);
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            put(p, i, coin, deposits[i]);
            sum += deposits[i];
        }
        fund(newParams(2), coin, 1 << 70, 1 << 70);
        Move[] memory m = new Move[](4);
        uint256 left = sum;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 amount = uint256(wants[i]) % (left + 1);
            left -= amount;
            if ((targets >> i) & 1 == 0) m[i] = Move(coin, address(0xB0B), 0, amount);
            else m[i] = Move(coin, address(0), fid(next, i % 2), amount);
        }
        spend(p, m);
        uint256 rest;
        for (uint256 i = 0; i < 3; ++i) {
            rest += hub.held(coin, fid(p, i));
        }
        uint256 moved = address(0xB0B).balance + hub.held(coin, fid(next, 0));
        vm.assertEq(moved + hub.held(coin, fid(next, 1)), sum - left);
        vm.assertEq(rest, left);
        vm.assertEq(address(hub).balance + address(0xB0B).balance, sum + (1 << 71));
    }
}
