// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {
    CreditWithdrawal,
    Deposit,
    Move,
    Params,
    SignedState,
    Source,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {MoneyTest} from "./base/MoneyTest.sol";
import {EntryToken, Sight, Way, ZooLedger, ZooToken} from "./base/ZooToken.sol";

/// Tokens that were taken in good faith and changed afterwards, on every path out: the coins and
/// the good token of the same channels are paid exactly, and what is not paid waits.
contract ZooPayoutsTest is MoneyTest {
    uint256 private constant PUSHES = 5;
    ZooToken private zoo;
    address private zf;
    bytes private code;
    bool private gone;
    mapping(address holder => uint256[2]) private marks;

    function setUp() public override {
        super.setUp();
        zoo = new ZooToken();
        code = address(zoo).code;
        zf = hub.createFacade(address(zoo));
        zoo.mint(address(this), 1e30);
        zoo.approve(address(hub), ALL);
    }

    function cure() private {
        if (gone) vm.etch(address(zoo), code);
        gone = false;
        zoo.setWays(Way.True, Way.True);
        zoo.setPaused(false);
        zoo.setBanned(address(hub), false);
        zoo.setBanned(who(0), false);
        zoo.setSight(Sight.Honest);
    }

    function leave() private {
        vm.etch(address(zoo), "");
        gone = true;
    }

    function out(Way way) private {
        zoo.setWays(way, way);
    }

    function zooOf(address account) private view returns (uint256) {
        return gone ? 0 : zoo.honest(account);
    }

    function balance(address holder, uint256 index) private view returns (uint256) {
        return holder == zf ? zooOf(who(index)) : balanceOf(holder, who(index));
    }

    function mark() private {
        address[3] memory all = [coin, facade, zf];
        for (uint256 k = 0; k < 3; ++k) {
            marks[all[k]] = [balance(all[k], 0), balance(all[k], 1)];
        }
    }

    function got(address holder, uint256 zero, uint256 one_) private view {
        vm.assertEq(balance(holder, 0) - marks[holder][0], zero);
        vm.assertEq(balance(holder, 1) - marks[holder][1], one_);
    }

    function mixed() private returns (Params memory p, State memory s) {
        p = newParams(2);
        fund(p, coin, 10, 20);
        fund(p, facade, 6, 8);
        fund(p, zf, 100, 50);
        s = finalState(p, coin, list(25, 5));
        addAsset(s, block.chainid, zf, list(70, 80));
        addAsset(s, block.chainid, facade, list(4, 10));
    }

    /// Channels that were opened while the token was good, one for each way out.
    Prepared[] private ready;

    struct Prepared {
        bytes call;
        bytes late;
        bytes32[2] ids;
    }

    function prepare() private {
        delete ready;
        for (uint256 path = 0; path < PUSHES; ++path) {
            (Params memory p, State memory s) = mixed();
            Prepared storage r = ready.push();
            r.ids = [fid(p, 0), fid(p, 1)];
            if (path == 0) {
                r.call = abi.encodeCall(hub.closeAndPay, (p, s, signAll(p, s)));
            } else if (path == 1) {
                SignedState[] memory all = new SignedState[](1);
                all[0] = signed(p, s);
                r.call = abi.encodeCall(hub.closeBatch, (all));
            } else if (path == 2) {
                s.isFinal = false;
                register(p, s);
                r.call = abi.encodeCall(hub.concludeAndPay, (p, s, none()));
            } else if (path == 3) {
                r.call = spendCall(p);
            } else {
                s.isFinal = false;
                // 5 of participant 1's zoo tokens and back: swaps leave through the same door.
                s.outcome.balances[1] = list(75, 75);
                bytes32 preimage = bytes32("preimage");
                bytes32 lockHash = sha256(abi.encode(preimage));
                s.appData = swap(lockHash, 1, 0, 1, uint64(block.timestamp + DURATION + 9), 5);
                register(p, s);
                r.call = abi.encodeCall(hub.concludeAndPayWithPreimage, (p, s, none(), preimage));
            }
        }
        vm.warp(block.timestamp + DURATION);
    }

    function spendCall(Params memory p) private view returns (bytes memory) {
        Move[] memory m = new Move[](6);
        m[0] = Move(coin, who(0), 0, 25);
        m[1] = Move(coin, who(1), 0, 5);
        m[2] = Move(zf, who(0), 0, 70);
        m[3] = Move(zf, who(1), 0, 80);
        m[4] = Move(facade, who(0), 0, 4);
        m[5] = Move(facade, who(1), 0, 10);
        uint256 deadline = block.timestamp + DURATION;
        return abi.encodeCall(hub.spendByConsent, (p, m, deadline, consent(p, m, deadline)));
    }

    /// Every push: `zero` and `one_` say who is really paid; the others' money waits.
    function pushes(bool zero, bool one_) private {
        for (uint256 path = 0; path < PUSHES; ++path) {
            mark();
            uint256[2] memory waits = [hub.credit(who(0), zf), hub.credit(who(1), zf)];
            mustSucceed(ready[path].call);
            got(coin, 25, 5);
            got(facade, 4, 10);
            got(zf, zero ? 70 : 0, one_ ? 80 : 0);
            vm.assertEq(hub.credit(who(0), zf) - waits[0], zero ? 0 : 70);
            vm.assertEq(hub.credit(who(1), zf) - waits[1], one_ ? 0 : 80);
            for (uint256 i = 0; i < 2; ++i) {
                vm.assertEq(hub.credit(who(i), coin), 0);
                vm.assertEq(hub.credit(who(i), facade), 0);
                vm.assertEq(hub.held(zf, ready[path].ids[i]), 0);
            }
        }
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
    }

    /// What waits is taken when the token is good again: half by its owner, half by signature.
    function collect(uint256 index) private {
        uint256 all = hub.credit(who(index), zf);
        uint256 before = zooOf(who(index));
        vm.prank(who(index));
        hub.withdrawCredit(zf, who(index), all / 2);
        CreditWithdrawal memory c =
            CreditWithdrawal(who(index), zf, who(index), all - all / 2, 1, block.timestamp);
        hub.withdrawCreditFor(c, sign(index, mine(creditHash(c))));
        vm.assertEq(zooOf(who(index)) - before, all);
        vm.assertEq(hub.credit(who(index), zf), 0);
    }

    function stays(bool zero, bool one_) private {
        pushes(zero, one_);
        if (!zero) {
            bytes memory data = abi.encodeCall(hub.withdrawCredit, (zf, who(0), 70));
            uint256 waits = hub.credit(who(0), zf);
            vm.prank(who(0));
            (bool ok, bytes memory why) = address(hub).call(data);
            vm.assertTrue(!ok);
            vm.assertEq(bytes32(bytes4(why)), bytes32(IHubErrors.PaymentFailed.selector));
            vm.assertEq(hub.credit(who(0), zf), waits);
        }
        cure();
        if (!zero) collect(0);
        if (!one_) collect(1);
        vm.assertEq(zooOf(address(hub)), 0);
    }

    function testForbidsThatAGoodTokenWaits() public {
        prepare();
        stays(true, true);
    }

    function testForbidsThatATokenThatAnswersNothingWaits() public {
        prepare();
        out(Way.Nothing);
        stays(true, true);
    }

    function testForbidsThatALongAnswerStopsAPayment() public {
        prepare();
        out(Way.LongAnswer);
        stays(true, true);
    }

    function testForbidsThatARevertStopsTheOthers() public {
        prepare();
        out(Way.Reverts);
        stays(false, false);
    }

    function testForbidsThatAnAnswerOfFalseCountsAsPaid() public {
        prepare();
        out(Way.False);
        stays(false, false);
    }

    function testForbidsThatOddAnswersCountAsPaid() public {
        prepare();
        out(Way.Two);
        stays(false, false);
        prepare();
        out(Way.OneByte);
        stays(false, false);
    }

    function testForbidsThatABombStopsTheOthers() public {
        prepare();
        out(Way.RevertBomb);
        stays(false, false);
    }

    function testForbidsThatBurntGasStopsTheOthers() public {
        prepare();
        out(Way.BurnsGas);
        stays(false, false);
    }

    function testForbidsThatAPauseStopsTheOthers() public {
        prepare();
        zoo.setPaused(true);
        stays(false, false);
    }

    function testForbidsThatABannedPayeeStopsTheOthers() public {
        prepare();
        zoo.setBanned(who(0), true);
        stays(false, true);
    }

    function testForbidsThatABannedHubStopsTheOthers() public {
        prepare();
        zoo.setBanned(address(hub), true);
        stays(false, false);
    }

    function testForbidsThatATokenWithoutCodeCountsAsPaid() public {
        prepare();
        leave();
        stays(false, false);
    }

    function testForbidsThatALieAboutBalancesStopsAPayment() public {
        prepare();
        zoo.setSight(Sight.Reverts);
        stays(true, true);
    }

    /// A token that lies about having moved cheats only those who hold it.
    function testForbidsThatALieReachesOtherAssets() public {
        prepare();
        out(Way.Lie);
        for (uint256 path = 0; path < PUSHES; ++path) {
            mark();
            mustSucceed(ready[path].call);
            got(coin, 25, 5);
            got(facade, 4, 10);
            got(zf, 0, 0);
        }
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
    }

    /// One that moves and says it did not: its credits cannot be taken as long as it says so.
    function testForbidsThatADenialReachesOtherAssets() public {
        prepare();
        out(Way.FalseButMoves);
        mark();
        mustSucceed(ready[0].call);
        got(coin, 25, 5);
        got(facade, 4, 10);
        got(zf, 70, 80);
        vm.prank(who(0));
        refuses(IHubErrors.PaymentFailed.selector);
        hub.withdrawCredit(zf, who(0), 70);
        got(zf, 70, 80);
    }

    /// A fee that came later is the payee's; one that the hub pays is its fellow holders'.
    function testForbidsThatALaterFeeReachesOtherAssets() public {
        prepare();
        zoo.setFee(1, false);
        mark();
        mustSucceed(ready[0].call);
        got(coin, 25, 5);
        got(facade, 4, 10);
        got(zf, 69, 79);
        zoo.setFee(1, true);
        for (uint256 path = 1; path < PUSHES; ++path) {
            mark();
            mustSucceed(ready[path].call);
            got(coin, 25, 5);
            got(facade, 4, 10);
        }
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
        // The last found too little. It waits, and is paid when there is something.
        vm.assertEq(hub.credit(who(1), zf), 80);
        zoo.setFee(0, false);
        zoo.mint(address(hub), 80);
        collect(1);
    }

    function testForbidsThatAShrunkenTokenReachesOtherAssets() public {
        prepare();
        zoo.rebase(1, 2);
        uint256 waits;
        for (uint256 path = 0; path < PUSHES; ++path) {
            mark();
            mustSucceed(ready[path].call);
            got(coin, 25, 5);
            got(facade, 4, 10);
        }
        for (uint256 i = 0; i < 2; ++i) {
            waits += hub.credit(who(i), zf);
        }
        vm.assertEq(address(hub).balance, 0);
        vm.assertEq(token.balanceOf(address(hub)), 0);
        // All that there is was paid but what is smaller than any amount due, and the rest waits.
        vm.assertEq(zoo.honest(who(0)) + zoo.honest(who(1)) + waits, PUSHES * 150);
        vm.assertTrue(zoo.honest(address(hub)) < 80);
        zoo.rebase(1, 1);
        zoo.mint(address(hub), waits);
        collect(0);
        collect(1);
    }

    function testForbidsThatAGrownTokenPaysMore() public {
        prepare();
        zoo.rebase(2, 1);
        pushes(true, true);
        vm.assertEq(zoo.honest(address(hub)), PUSHES * 150);
    }

    // Withdrawals that were asked for: they fail as a whole and can be asked for again.

    function testForbidsThatAFailedWithdrawalIsUsedUp() public {
        for (uint256 kind = 0; kind < 9; ++kind) {
            failedWithdrawals(kind);
        }
    }

    function spoil(uint256 kind) private {
        if (kind == 0) out(Way.Reverts);
        if (kind == 1) out(Way.False);
        if (kind == 2) out(Way.BurnsGas);
        if (kind == 3) out(Way.RevertBomb);
        if (kind == 4) out(Way.Two);
        if (kind == 5) zoo.setPaused(true);
        if (kind == 6) zoo.setBanned(address(hub), true);
        if (kind == 7) leave();
        if (kind == 8) out(Way.FalseButMoves);
    }

    function failedWithdrawals(uint256 kind) private {
        Params memory p = newParams(3);
        put(p, 0, zf, 60);
        put(p, 1, coin, 30);
        State memory s = finalState(p, coin, list(10, 10, 10));
        addAsset(s, block.chainid, zf, list(10, 20, 30));
        hub.concludeFinal(p, s, signAll(p, s));
        bytes[3] memory asked = withdrawals(p);
        uint256 before = zooOf(address(0xB0B));
        spoil(kind);
        for (uint256 i = 0; i < 3; ++i) {
            (bool ok, bytes memory why) = (i == 0 ? zf : address(hub)).call(asked[i]);
            vm.assertTrue(!ok);
            vm.assertEq(bytes32(bytes4(why)), bytes32(IHubErrors.PaymentFailed.selector));
            vm.assertEq(hub.held(zf, fid(p, i)), 10 * (i + 1));
        }
        vm.assertEq(hub.held(coin, fid(p, 2)), 10);
        cure();
        vm.assertEq(zooOf(address(0xB0B)), before);
        for (uint256 i = 0; i < 3; ++i) {
            (bool ok,) = (i == 0 ? zf : address(hub)).call(asked[i]);
            vm.assertTrue(ok);
        }
        vm.assertEq(zooOf(address(0xB0B)), before + 60);
    }

    /// Perun's by participant 0, a typed one by 1, several by 2.
    function withdrawals(Params memory p) private view returns (bytes[3] memory asked) {
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 10);
        asked[0] = abi.encodeCall(IAssetHolder.withdraw, (a, sig));
        WithdrawalV2 memory w = v2(p, 1, zf, ALL);
        asked[1] = abi.encodeCall(hub.withdrawV2, (w, signV2(1, w)));
        WithdrawalV2[] memory ws = new WithdrawalV2[](2);
        (ws[0], ws[1]) = (v2(p, 2, coin, 10), v2(p, 2, zf, 30));
        bytes[] memory sigs = new bytes[](2);
        (sigs[0], sigs[1]) = (signV2(2, ws[0]), signV2(2, ws[1]));
        asked[2] = abi.encodeCall(hub.withdrawMany, (ws, sigs));
    }

    /// A credit needs no transfer to become a deposit, whatever the token does meanwhile.
    function testForbidsThatATokenStopsTheUseOfItsCredit() public {
        prepare();
        leave();
        mustSucceed(ready[0].call);
        Params memory p = newParams(2);
        vm.prank(who(0));
        hub.open(idOf(p), one(p, 1, zf, 30, Source.SenderCredit), nobody());
        Deposit[] memory d = one(p, 0, zf, 40, Source.IntentCredit);
        bytes32 hash = intentHash(idOf(p), d[0], who(0), 3, block.timestamp);
        d[0].data = abi.encode(who(0), uint256(3), block.timestamp, sign(0, mine(hash)));
        hub.open(idOf(p), d, nobody());
        vm.assertEq(hub.held(zf, fid(p, 0)), 40);
        vm.assertEq(hub.held(zf, fid(p, 1)), 30);
        vm.assertEq(hub.credit(who(0), zf), 0);
        cure();
    }

    /// Sixteen rows of junk cannot keep the coins from whoever settles without paying.
    function testForbidsThatJunkRowsStopAConclusion() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = finalState(p, coin, list(25, 5));
        for (uint256 i = 0; i < 15; ++i) {
            ZooToken junk = new ZooToken();
            address f = hub.createFacade(address(junk));
            junk.mint(address(this), 100);
            junk.approve(address(hub), 100);
            fund(p, f, 1, 1);
            addAsset(s, block.chainid, f, list(1, 1));
            junk.setWays(Way.BurnsGas, Way.BurnsGas);
            vm.etch(address(junk), i % 2 == 0 ? address(junk).code : bytes(hex"fe"));
        }
        bytes memory data = abi.encodeCall(hub.concludeFinal, (p, s, signAll(p, s)));
        (bool ok,) = address(hub).call{gas: 1_500_000}(data);
        vm.assertTrue(ok);
        WithdrawalV2 memory w = v2(p, 0, coin, 25);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(address(0xB0B).balance, 25);
    }

    // Two addresses for one balance.

    function testForbidsThatADoubleEntryTokenIsCountedTwice() public {
        ZooLedger ledger = new ZooLedger();
        EntryToken a = new EntryToken(ledger);
        EntryToken b = new EntryToken(ledger);
        ledger.mint(address(this), 1000);
        address fa = hub.createFacade(address(a));
        address fb = hub.createFacade(address(b));
        Params memory p = newParams(2);
        fund(p, fa, 100, 0);
        fund(p, fb, 0, 50);
        vm.assertEq(ledger.balances(address(hub)), 150);
        State memory s = finalState(p, fa, list(30, 70));
        addAsset(s, block.chainid, fb, list(25, 25));
        close(p, s);
        vm.assertEq(ledger.balances(who(0)), 55);
        vm.assertEq(ledger.balances(who(1)), 95);
        vm.assertEq(ledger.balances(address(hub)), 0);
        // What was put in by one name does not come out by the other.
        Params memory q = newParams(2);
        fund(q, fa, 100, 0);
        s = finalState(q, fb, list(0, 100));
        close(q, s);
        vm.assertEq(ledger.balances(who(1)), 95);
        vm.assertEq(hub.held(fa, fid(q, 0)), 100);
        WithdrawalV2 memory w = v2(q, 0, fa, ALL);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(ledger.balances(address(0xB0B)), 100);
    }

    function testFuzzForbidsThatOneTokenReachesAnother(uint256 kind, uint64 one_, uint64 two)
        public
    {
        Params memory p = newParams(2);
        fund(p, coin, one_, two);
        fund(p, facade, two, one_);
        fund(p, zf, one_, one_);
        State memory s = finalState(p, coin, list(two, one_));
        addAsset(s, block.chainid, zf, list(one_, one_));
        addAsset(s, block.chainid, facade, list(one_, two));
        spoil(kind % 8);
        close(p, s);
        vm.assertEq(who(0).balance, two);
        vm.assertEq(who(1).balance, one_);
        vm.assertEq(token.balanceOf(who(0)), one_);
        vm.assertEq(token.balanceOf(who(1)), two);
        vm.assertEq(hub.credit(who(0), zf), one_);
        vm.assertEq(hub.credit(who(1), zf), one_);
    }
}
