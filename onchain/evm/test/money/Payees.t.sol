// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {
    Binding,
    CreditWithdrawal,
    Params,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {Payee, Wallet} from "./base/Accounts.sol";
import {MoneyTest} from "./base/MoneyTest.sol";

/// Who is paid coins, and what becomes of them if the account does not take them.
contract PayeesTest is MoneyTest {
    Payee private payee;

    function setUp() public override {
        super.setUp();
        payee = new Payee();
    }

    /// Participant 0 is paid 30 coins at `payee`, participant 1 10 at its address.
    function channel() private returns (Params memory p, State memory s) {
        p = newParams(2);
        fund(p, coin, 10, 30);
        s = finalState(p, coin, list(30, 10));
    }

    function bound() private returns (Params memory p, State memory s) {
        (p, s) = channel();
        hub.bindPayee(idOf(p), binding(p, 0, address(payee), block.timestamp));
    }

    function closes(Payee.Mood mood, uint256 work, bool paid) private {
        (Params memory p, State memory s) = bound();
        payee.set(mood, work);
        uint256 before = who(1).balance;
        uint256 mineBefore = address(payee).balance;
        uint256 waits = hub.credit(address(payee), coin);
        close(p, s);
        vm.assertEq(who(1).balance - before, 10);
        vm.assertEq(address(payee).balance - mineBefore, paid ? 30 : 0);
        vm.assertEq(hub.credit(address(payee), coin) - waits, paid ? 0 : 30);
        vm.assertEq(hub.held(coin, fid(p, 0)), 0);
    }

    function testForbidsThatAnAccountThatRefusesStopsTheOthers() public {
        closes(Payee.Mood.Refuses, 0, false);
    }

    function testForbidsThatBurntGasStopsTheOthers() public {
        closes(Payee.Mood.BurnsGas, 0, false);
    }

    function testForbidsThatARevertBombStopsTheOthers() public {
        closes(Payee.Mood.RevertBomb, 0, false);
    }

    /// 2300 gas would not do for accounts with logic: up to 100,000 are there.
    function testForbidsThatAnAccountThatWorksIsNotPaid() public {
        closes(Payee.Mood.Works, 100, true);
        closes(Payee.Mood.Works, 300, true);
        closes(Payee.Mood.Works, 5000, false);
    }

    /// A payee that failed takes its money elsewhere, itself or by signature.
    function testForbidsThatARefusedPaymentIsLost() public {
        closes(Payee.Mood.Refuses, 0, false);
        bytes memory ask = abi.encodeCall(hub.withdrawCredit, (coin, address(payee), 30));
        vm.expectRevert(IHubErrors.PaymentFailed.selector);
        payee.run(address(hub), 0, ask);
        vm.assertEq(hub.credit(address(payee), coin), 30);
        payee.run(address(hub), 0, abi.encodeCall(hub.withdrawCredit, (coin, address(0xB0B), 12)));
        payee.set(Payee.Mood.Takes, 0);
        payee.run(address(hub), 0, abi.encodeCall(hub.withdrawCredit, (coin, address(payee), 18)));
        vm.assertEq(address(0xB0B).balance, 12);
        vm.assertEq(address(payee).balance, 18);
        vm.expectRevert(IHubErrors.Insufficient.selector);
        payee.run(address(hub), 0, abi.encodeCall(hub.withdrawCredit, (coin, address(0xB0B), 1)));
    }

    function testForbidsThatAStrangerTakesACredit() public {
        closes(Payee.Mood.Refuses, 0, false);
        vm.prank(STRANGER);
        refuses(IHubErrors.Insufficient.selector);
        hub.withdrawCredit(coin, STRANGER, 1);
        CreditWithdrawal memory c =
            CreditWithdrawal(address(payee), coin, STRANGER, 30, 1, block.timestamp);
        bytes memory sig = sign(5, mine(creditHash(c)));
        refuses(IHubErrors.BadSignature.selector);
        hub.withdrawCreditFor(c, sig);
        // Neither of another holder nor of the zero address.
        c.account = address(0);
        refuses(IHubErrors.ZeroAddress.selector);
        hub.withdrawCreditFor(c, sig);
    }

    /// A credit of who(3), whose code refuses coins.
    function credited() private returns (CreditWithdrawal memory c, bytes memory sig) {
        (Params memory p, State memory s) = channel();
        Binding memory b = binding(p, 0, who(3), block.timestamp);
        hub.bindPayee(idOf(p), b);
        vm.etch(who(3), hex"fe");
        close(p, s);
        vm.etch(who(3), "");
        vm.assertEq(hub.credit(who(3), coin), 30);
        c = CreditWithdrawal(who(3), coin, address(0xB0B), 10, 1, block.timestamp + 9);
        sig = sign(3, mine(creditHash(c)));
    }

    function creditFails(CreditWithdrawal memory c, bytes memory sig, bytes4 why) private {
        mustFail(why, abi.encodeCall(hub.withdrawCreditFor, (c, sig)));
    }

    function testForbidsAnyChangeOfASignedCreditWithdrawal() public {
        (CreditWithdrawal memory c, bytes memory sig) = credited();
        bytes4 bad = IHubErrors.BadSignature.selector;
        for (uint256 i = 0; i < 6; ++i) {
            CreditWithdrawal memory x =
                CreditWithdrawal(c.account, c.holder, c.receiver, c.amount, c.nonce, c.deadline);
            if (i == 0) x.account = who(4);
            if (i == 1) x.holder = facade;
            if (i == 2) x.receiver = STRANGER;
            if (i == 3) x.amount = 30;
            if (i == 4) x.nonce = 2;
            if (i == 5) x.deadline += 1;
            creditFails(x, sig, bad);
        }
        vm.chainId(block.chainid + 1);
        creditFails(c, sig, bad);
        vm.chainId(block.chainid - 1);
        uint256 now_ = block.timestamp;
        vm.warp(c.deadline + 1);
        creditFails(c, sig, IHubErrors.DeadlineOver.selector);
        vm.warp(now_);
        bytes memory other =
            sign(3, digestOf(hubDomain(block.chainid, address(0xC0C)), creditHash(c)));
        creditFails(c, other, bad);
        vm.prank(STRANGER);
        hub.withdrawCreditFor(c, sig);
        vm.assertEq(address(0xB0B).balance, 10);
        creditFails(c, sig, IHubErrors.AlreadyUsed.selector);
        vm.assertEq(hub.credit(who(3), coin), 20);
    }

    function testForbidsThatAFailedCreditWithdrawalIsUsedUp() public {
        (CreditWithdrawal memory c,) = credited();
        c.receiver = address(payee);
        bytes memory sig = sign(3, mine(creditHash(c)));
        payee.set(Payee.Mood.Refuses, 0);
        creditFails(c, sig, IHubErrors.PaymentFailed.selector);
        vm.assertTrue(!hub.used(mine(creditHash(c))));
        payee.set(Payee.Mood.Takes, 0);
        hub.withdrawCreditFor(c, sig);
        vm.assertEq(address(payee).balance, 10);
    }

    function testForbidsPaymentsToNobodyAndToTheHub() public {
        (CreditWithdrawal memory c, bytes memory sig) = credited();
        c.receiver = address(0);
        sig = sign(3, mine(creditHash(c)));
        creditFails(c, sig, IHubErrors.ZeroAddress.selector);
        c.receiver = address(hub);
        sig = sign(3, mine(creditHash(c)));
        creditFails(c, sig, IHubErrors.PaymentFailed.selector);
        c.receiver = facade;
        sig = sign(3, mine(creditHash(c)));
        creditFails(c, sig, IHubErrors.PaymentFailed.selector);
        vm.startPrank(who(3));
        refuses(IHubErrors.PaymentFailed.selector);
        hub.withdrawCredit(coin, address(hub), 30);
        refuses(IHubErrors.ZeroAddress.selector);
        hub.withdrawCredit(coin, address(0), 0);
        vm.stopPrank();
        vm.assertEq(hub.credit(who(3), coin), 30);
    }

    function testFuzzForbidsThatCreditsPayMoreThanTheyAre(uint8[8] memory amounts) public {
        credited();
        uint256 left = 30;
        for (uint256 i = 0; i < 8; ++i) {
            uint256 before = address(0xB0B).balance;
            vm.prank(who(3));
            (bool ok,) = address(hub)
                .call(abi.encodeCall(hub.withdrawCredit, (coin, address(0xB0B), amounts[i])));
            vm.assertTrue(ok == (amounts[i] <= left));
            if (ok) left -= amounts[i];
            vm.assertEq(address(0xB0B).balance - before, ok ? amounts[i] : 0);
            vm.assertEq(hub.credit(who(3), coin), left);
        }
    }

    // Contract accounts (EIP-1271), here at a participant's address.

    function testForbidsTypedWithdrawalsThatAContractDoesNotAccept() public {
        (Params memory p, State memory s) = channel();
        hub.concludeFinal(p, s, signAll(p, s));
        vm.etch(who(0), address(new Wallet()).code);
        Wallet w = Wallet(payable(who(0)));
        WithdrawalV2 memory x = v2(p, 0, coin, 10);
        bytes memory data = abi.encodeCall(hub.withdrawV2, (x, bytes("not the key's")));
        Wallet.Says[5] memory bad = [
            Wallet.Says.No,
            Wallet.Says.Reverts,
            Wallet.Says.Garbage,
            Wallet.Says.Short,
            Wallet.Says.BurnsGas
        ];
        for (uint256 i = 0; i < 5; ++i) {
            w.set(bad[i]);
            (bool ok, bytes memory why) = address(hub).call{gas: 2_000_000}(data);
            vm.assertTrue(!ok);
            vm.assertEq(bytes32(bytes4(why)), bytes32(IHubErrors.BadSignature.selector));
        }
        // It changes its mind, for one withdrawal.
        w.set(Wallet.Says.Yes);
        mustSucceed(data);
        mustFail(IHubErrors.AlreadyUsed.selector, data);
        // The key is as good as ever, whatever the code says.
        w.set(Wallet.Says.Reverts);
        x.nonce = 2;
        hub.withdrawV2(x, signV2(0, x));
        vm.assertEq(address(0xB0B).balance, 20);
    }

    /// Code at the address cannot take back what its key signed, nor sign states by itself.
    function testForbidsThatCodeSpeaksForStates() public {
        (Params memory p, State memory s) = channel();
        vm.etch(who(0), address(new Wallet()).code);
        bytes[] memory sigs = signAll(p, s);
        bytes memory kept = sigs[0];
        sigs[0] = "anything";
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.closeAndPay, (p, s, sigs)));
        (WithdrawalAuth memory a,) = auth(p, 0, address(0xB0B), 30);
        sigs[0] = kept;
        hub.concludeFinal(p, s, sigs);
        mustFail(IHubErrors.BadSignature.selector, abi.encodeCall(hub.withdraw, (a, bytes("x"))));
    }

    // Binding a payee.

    function bindFails(bytes32 id, Binding memory b, bytes4 why) private {
        mustFail(why, abi.encodeCall(hub.bindPayee, (id, b)));
    }

    function testForbidsThatAStrangerBinds() public {
        (Params memory p,) = channel();
        bytes4 bad = IHubErrors.BadSignature.selector;
        bindFails(idOf(p), Binding(who(0), STRANGER, block.timestamp, ""), bad);
        Binding memory b = binding(p, 0, address(payee), block.timestamp);
        b.payee = STRANGER;
        bindFails(idOf(p), b, bad);
        b = binding(p, 0, address(payee), block.timestamp);
        b.participant = who(1);
        bindFails(idOf(p), b, bad);
        b = binding(p, 0, address(payee), block.timestamp);
        b.deadline += 1;
        bindFails(idOf(p), b, bad);
        b = binding(p, 0, address(payee), block.timestamp);
        bindFails(bytes32("other"), b, bad);
        vm.chainId(block.chainid + 1);
        bindFails(idOf(p), b, bad);
        vm.chainId(block.chainid - 1);
        b = binding(p, 0, address(payee), block.timestamp - 1);
        bindFails(idOf(p), b, IHubErrors.DeadlineOver.selector);
        b = Binding(address(0), STRANGER, block.timestamp, new bytes(65));
        bindFails(idOf(p), b, IHubErrors.ZeroAddress.selector);
        vm.assertEq(hub.payeeOf(fid(p, 0)), address(0));
        // One that binds in its own name binds nothing of the channel's.
        vm.prank(STRANGER);
        hub.bindPayee(idOf(p), Binding(STRANGER, STRANGER, 0, ""));
        State memory s = finalState(p, coin, list(30, 10));
        close(p, s);
        vm.assertEq(who(0).balance, 30);
        vm.assertEq(STRANGER.balance, 0);
    }

    function testForbidsBindingTwice() public {
        (Params memory p, State memory s) = bound();
        bytes4 why = IHubErrors.PayeeBound.selector;
        bindFails(idOf(p), binding(p, 0, address(0xB0B), block.timestamp), why);
        vm.prank(who(0));
        (bool ok,) = address(hub)
            .call(
                abi.encodeCall(hub.bindPayee, (idOf(p), Binding(who(0), address(0xB0B), 0, "")))
            );
        vm.assertTrue(!ok);
        close(p, s);
        vm.assertEq(address(payee).balance, 30);
    }

    function testForbidsThatTheZeroAddressIsBound() public {
        (Params memory p,) = channel();
        bytes4 why = IHubErrors.ZeroAddress.selector;
        bindFails(idOf(p), binding(p, 0, address(0), block.timestamp), why);
    }

    function testForbidsThatABindingAfterTheEndMovesAnything() public {
        (Params memory p, State memory s) = channel();
        close(p, s);
        hub.bindPayee(idOf(p), binding(p, 0, STRANGER, block.timestamp));
        vm.assertEq(who(0).balance, 30);
        vm.assertEq(STRANGER.balance, 0);
        hub.deposit{value: 4}(fid(p, 0), 4);
        WithdrawalV2 memory w = v2(p, 0, coin, ALL);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(address(0xB0B).balance, 4);
    }

    /// A facade, a token, a precompile: coins wait there for good or are gone, but nothing else is
    /// touched and the channel ends. Whoever signs such a binding harms itself only.
    function testForbidsThatAnOddPayeeHarmsTheOther() public {
        address[4] memory odd = [facade, address(token), address(1), who(1)];
        for (uint256 i = 0; i < 4; ++i) {
            (Params memory p, State memory s) = channel();
            hub.bindPayee(idOf(p), binding(p, 0, odd[i], block.timestamp));
            uint256 before = who(1).balance;
            uint256 kept = address(hub).balance - 40 - hub.credit(odd[i], coin);
            close(p, s);
            vm.assertEq(who(1).balance - before, odd[i] == who(1) ? 40 : 10);
            vm.assertEq(address(hub).balance - kept, hub.credit(odd[i], coin));
        }
    }

    /// All who are paid at one place are paid all of it.
    function testForbidsThatSharedPayeesAreMixedUp() public {
        (Params memory p, State memory s) = bound();
        hub.bindPayee(idOf(p), binding(p, 1, address(payee), block.timestamp));
        payee.set(Payee.Mood.Refuses, 0);
        close(p, s);
        vm.assertEq(hub.credit(address(payee), coin), 40);
    }

    /// The payee does not matter to who says itself where the money goes.
    function testForbidsThatAPayeeTakesWhatIsWithdrawn() public {
        (Params memory p, State memory s) = bound();
        hub.concludeFinal(p, s, signAll(p, s));
        WithdrawalV2 memory w = v2(p, 0, coin, 30);
        hub.withdrawV2(w, signV2(0, w));
        vm.assertEq(address(0xB0B).balance, 30);
        vm.assertEq(address(payee).balance, 0);
    }
}

/// Accounts with a key and delegated code (EIP-7702).
/// forge-config: default.evm_version = "prague"
contract DelegatedAccountsTest is MoneyTest {
    function delegated(uint256 index, address code) private {
        vm.etch(who(index), abi.encodePacked(hex"ef0100", code));
    }

    function testForbidsThatADelegatedAccountIsNotPaid() public {
        Payee impl = new Payee();
        delegated(0, address(impl));
        vm.assertEq(who(0).code.length, 23);
        Params memory p = newParams(2);
        fund(p, coin, 10, 30);
        Payee(payable(who(0))).set(Payee.Mood.Works, 300);
        close(p, finalState(p, coin, list(30, 10)));
        vm.assertEq(who(0).balance, 30);
        vm.assertEq(who(1).balance, 10);
    }

    function testForbidsThatADelegatedAccountLosesWhatItsCodeRefuses() public {
        delegated(0, address(new Payee()));
        Params memory p = newParams(2);
        fund(p, coin, 10, 30);
        Payee(payable(who(0))).set(Payee.Mood.Refuses, 0);
        close(p, finalState(p, coin, list(30, 10)));
        vm.assertEq(hub.credit(who(0), coin), 30);
        vm.assertEq(who(1).balance, 10);
        // By its key's signature, by its own transaction, and after a change of code.
        CreditWithdrawal memory c =
            CreditWithdrawal(who(0), coin, address(0xB0B), 10, 1, block.timestamp);
        hub.withdrawCreditFor(c, sign(0, mine(creditHash(c))));
        vm.prank(who(0));
        hub.withdrawCredit(coin, address(0xB0B), 10);
        vm.etch(who(0), "");
        vm.prank(who(0));
        hub.withdrawCredit(coin, who(0), 10);
        vm.assertEq(address(0xB0B).balance, 20);
        vm.assertEq(who(0).balance, 10);
    }

    function testForbidsThatDelegatedCodeTakesTheKeysVoice() public {
        delegated(0, address(new Wallet()));
        Wallet(payable(who(0))).set(Wallet.Says.Reverts);
        Params memory p = newParams(2);
        fund(p, coin, 10, 30);
        Binding memory b = binding(p, 0, address(0xCAFE), block.timestamp);
        hub.bindPayee(idOf(p), b);
        State memory s = finalState(p, coin, list(30, 10));
        hub.concludeFinal(p, s, signAll(p, s));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 30);
        hub.withdraw(a, sig);
        vm.assertEq(address(0xB0B).balance, 30);
        // And what its code accepts is good for the account, as it is for every contract.
        hub.deposit{value: 5}(fid(p, 0), 5);
        Wallet(payable(who(0))).set(Wallet.Says.Yes);
        hub.withdrawV2(v2(p, 0, coin, ALL), "code");
        vm.assertEq(address(0xB0B).balance, 35);
    }

    function testForbidsThatAnEmptyDelegationSpeaks() public {
        delegated(0, address(0xD00D));
        Params memory p = newParams(2);
        fund(p, coin, 10, 30);
        State memory s = finalState(p, coin, list(30, 10));
        hub.concludeFinal(p, s, signAll(p, s));
        bytes memory data = abi.encodeCall(hub.withdrawV2, (v2(p, 0, coin, ALL), bytes("x")));
        mustFail(IHubErrors.BadSignature.selector, data);
    }

    /// A real delegation, by the account's signature, as of the transaction that calls.
    function testForbidsThatASignedDelegationChangesWhoIsPaid() public {
        Payee impl = new Payee();
        more.signAndAttachDelegation(address(impl), key(0));
        Payee(payable(who(0))).set(Payee.Mood.Works, 10);
        vm.assertEq(who(0).code.length, 23);
        Params memory p = newParams(2);
        fund(p, coin, 10, 30);
        close(p, finalState(p, coin, list(30, 10)));
        vm.assertEq(who(0).balance, 30);
    }
}
