// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {
    Binding,
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
import {Payee} from "./base/Accounts.sol";
import {ZooToken} from "./base/ZooToken.sol";

/// Whoever is called while the hub moves money calls every function of the hub: each is refused.
contract ReentrancyTest is MoneyTest {
    bytes4 private constant LOCKED = bytes4(keccak256("ReentrancyGuardReentrantCall()"));
    ZooToken private zoo;
    address private zf;
    Payee private payee;
    bytes[] private hubCalls;

    function setUp() public override {
        super.setUp();
        zoo = new ZooToken();
        zf = hub.createFacade(address(zoo));
        zoo.mint(address(this), 1e30);
        zoo.approve(address(hub), ALL);
        zoo.approve(zf, ALL);
        payee = new Payee();
        calls();
    }

    /// One call of each function that changes anything.
    function calls() private {
        Params memory p = newParams(2);
        State memory s = newState(p, 1, zf, list(5, 5));
        SignedState memory signedState = signed(p, s);
        hubCalls.push(abi.encodeCall(hub.register, (signedState, noSubs())));
        hubCalls.push(abi.encodeCall(hub.conclude, (p, s, none())));
        hubCalls.push(abi.encodeCall(hub.concludeAndPay, (p, s, none())));
        hubCalls.push(abi.encodeCall(hub.concludeWithPreimage, (p, s, none(), bytes32(0))));
        hubCalls.push(abi.encodeCall(hub.concludeAndPayWithPreimage, (p, s, none(), bytes32(0))));
        hubCalls.push(abi.encodeCall(hub.concludeSub, (s, none())));
        hubCalls.push(abi.encodeCall(hub.progress, (p, s, s, 0, signedState.sigs[0])));
        State memory last = finalState(p, zf, list(5, 5));
        hubCalls.push(abi.encodeCall(hub.concludeFinal, (p, last, signAll(p, last))));
        hubCalls.push(abi.encodeCall(hub.closeAndPay, (p, last, signAll(p, last))));
        SignedState[] memory batch = new SignedState[](1);
        batch[0] = signed(p, last);
        hubCalls.push(abi.encodeCall(hub.closeBatch, (batch)));
        hubCalls.push(abi.encodeCall(hub.registerSub, (signedState, noSubs())));
        moneyCalls();
    }

    function moneyCalls() private {
        Params memory p = newParams(2);
        hubCalls.push(abi.encodeCall(hub.deposit, (fid(p, 0), 0)));
        Deposit[] memory d = one(p, 0, zf, 0, Source.Sender);
        hubCalls.push(abi.encodeCall(hub.open, (idOf(p), d, nobody())));
        Move[] memory m = new Move[](0);
        bytes[] memory sigs = consent(p, m, block.timestamp);
        hubCalls.push(abi.encodeCall(hub.spendByConsent, (p, m, block.timestamp, sigs)));
        hubCalls.push(
            abi.encodeCall(
                hub.resize, (p, m, block.timestamp, sigs, bytes32("next"), d, nobody())
            )
        );
        Binding memory b = binding(p, 0, address(0xB0B), block.timestamp);
        hubCalls.push(abi.encodeCall(hub.bindPayee, (idOf(p), b)));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 0);
        hubCalls.push(abi.encodeCall(hub.withdraw, (a, sig)));
        WithdrawalV2 memory w = v2(p, 0, zf, ALL);
        hubCalls.push(abi.encodeCall(hub.withdrawV2, (w, signV2(0, w))));
        WithdrawalV2[] memory ws = new WithdrawalV2[](0);
        hubCalls.push(abi.encodeCall(hub.withdrawMany, (ws, new bytes[](0))));
        hubCalls.push(abi.encodeCall(hub.withdrawCredit, (zf, address(0xB0B), 0)));
        CreditWithdrawal memory c =
            CreditWithdrawal(who(0), zf, address(0xB0B), 0, 1, block.timestamp);
        hubCalls.push(abi.encodeCall(hub.withdrawCreditFor, (c, sign(0, mine(creditHash(c))))));
    }

    function hooked() private view {
        vm.assertTrue(zoo.calls() != 0, "the token was not asked");
        vm.assertTrue(!zoo.succeeded(), "a call came through");
        vm.assertEq(bytes32(zoo.answer()), bytes32(LOCKED));
    }

    /// All ways on which the hub calls the token, with this call from within.
    function tokenStory(address to, bytes memory data, uint256 way) private {
        Params memory p = newParams(2);
        if (way == 0 || way == 1) {
            zoo.setCall(to, data);
            if (way == 0) IAssetHolder(zf).deposit(fid(p, 0), 10);
            else put(p, 0, zf, 10);
            vm.assertEq(hub.held(zf, fid(p, 0)), 10);
            return;
        }
        fund(p, zf, 10, 20);
        fund(p, coin, 10, 20);
        State memory s = finalState(p, zf, list(30, 0));
        addAsset(s, block.chainid, coin, list(30, 0));
        uint256 before = zoo.honest(who(0));
        uint256 coins = who(0).balance;
        if (way == 2) {
            bytes[] memory sigs = signAll(p, s);
            zoo.setCall(to, data);
            hub.closeAndPay(p, s, sigs);
        } else if (way == 3) {
            Move[] memory m = new Move[](2);
            (m[0], m[1]) = (Move(zf, who(0), 0, 30), Move(coin, who(0), 0, 30));
            bytes[] memory sigs = consent(p, m, block.timestamp);
            zoo.setCall(to, data);
            hub.spendByConsent(p, m, block.timestamp, sigs);
        } else {
            withdrawing(p, s, to, data, way);
        }
        vm.assertEq(zoo.honest(who(0)) - before, 30);
        vm.assertEq(who(0).balance - coins, 30);
        vm.assertEq(hub.held(zf, fid(p, 0)), 0);
        vm.assertEq(hub.credit(who(0), zf), 0);
    }

    function withdrawing(
        Params memory p,
        State memory s,
        address to,
        bytes memory data,
        uint256 way
    ) private {
        hub.concludeFinal(p, s, signAll(p, s));
        WithdrawalV2 memory w = v2(p, 0, zf, ALL);
        w.receiver = who(0);
        bytes memory sig2 = signV2(0, w);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, who(0), 30);
        zoo.setCall(to, data);
        if (way == 4) IAssetHolder(zf).withdraw(a, sig);
        if (way == 5) hub.withdrawV2(w, sig2);
        w.holder = coin;
        hub.withdrawV2(w, signV2(0, w));
    }

    function allWays(uint256 way) private {
        for (uint256 i = 0; i < hubCalls.length; ++i) {
            tokenStory(address(hub), hubCalls[i], way);
            hooked();
            zoo.setCall(address(0), "");
        }
    }

    function testForbidsCallsFromAFacadesDeposit() public {
        allWays(0);
    }

    function testForbidsCallsFromAnOpening() public {
        allWays(1);
    }

    function testForbidsCallsFromAPushedToken() public {
        allWays(2);
    }

    function testForbidsCallsFromASpendByConsent() public {
        allWays(3);
    }

    function testForbidsCallsFromAPerunWithdrawal() public {
        allWays(4);
    }

    function testForbidsCallsFromATypedWithdrawal() public {
        allWays(5);
    }

    function testForbidsCallsByWayOfAFacade() public {
        Params memory p = newParams(2);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 0);
        bytes[2] memory data = [
            abi.encodeCall(IAssetHolder.deposit, (fid(p, 0), 0)),
            abi.encodeCall(IAssetHolder.withdraw, (a, sig))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 way = 0; way < 6; ++way) {
                tokenStory(zf, data[i], way);
                hooked();
                tokenStory(facade, data[i], way);
                hooked();
                zoo.setCall(address(0), "");
            }
        }
    }

    /// The same from an account that is paid coins, on each way on which it is paid.
    function testForbidsCallsFromAPaidAccount() public {
        for (uint256 i = 0; i < hubCalls.length; ++i) {
            for (uint256 way = 0; way < 5; ++way) {
                payeeStory(hubCalls[i], way);
            }
        }
    }

    function payeeStory(bytes memory data, uint256 way) private {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        hub.bindPayee(idOf(p), binding(p, 0, address(payee), block.timestamp));
        State memory s = finalState(p, coin, list(30, 0));
        bytes[] memory sigs = signAll(p, s);
        uint256 before = address(payee).balance;
        if (way == 0) {
            payee.setCall(address(hub), data);
            hub.closeAndPay(p, s, sigs);
        } else if (way == 1) {
            Move[] memory m = new Move[](1);
            m[0] = Move(coin, address(payee), 0, 30);
            sigs = consent(p, m, block.timestamp);
            payee.setCall(address(hub), data);
            hub.spendByConsent(p, m, block.timestamp, sigs);
        } else if (way == 2) {
            hub.concludeFinal(p, s, sigs);
            (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(payee), 30);
            payee.setCall(address(hub), data);
            hub.withdraw(a, sig);
        } else if (way == 3) {
            hub.concludeFinal(p, s, sigs);
            WithdrawalV2 memory w = v2(p, 0, coin, 30);
            w.receiver = address(payee);
            bytes memory sig = signV2(0, w);
            payee.setCall(address(hub), data);
            hub.withdrawV2(w, sig);
        } else {
            payee.set(Payee.Mood.Refuses, 0);
            hub.closeAndPay(p, s, sigs);
            payee.setCall(address(hub), data);
            bytes memory ask = abi.encodeCall(hub.withdrawCredit, (coin, address(payee), 30));
            payee.run(address(hub), 0, ask);
        }
        vm.assertEq(payee.calls(), 1);
        vm.assertTrue(!payee.succeeded());
        vm.assertEq(bytes32(payee.answer()), bytes32(LOCKED));
        vm.assertEq(address(payee).balance - before, 30);
        vm.assertEq(hub.held(coin, fid(p, 0)), 0);
        vm.assertEq(hub.credit(address(payee), coin), 0);
    }

    /// The one call that is free: it makes a facade, and moves nothing.
    function testForbidsThatAFacadeMadeFromWithinMatters() public {
        ZooToken other = new ZooToken();
        bytes memory data = abi.encodeCall(hub.createFacade, (address(other)));
        tokenStory(address(hub), data, 2);
        vm.assertTrue(zoo.succeeded());
        vm.assertTrue(hub.tokenOf(hub.facadeOf(address(other))) == address(other));
    }

    /// A hook of the sender pays in more from within: no deposit is made of somebody's gift.
    function testForbidsThatAGiftFromWithinCountsAsDeposit() public {
        Params memory p = newParams(2);
        // The balance grows by the gift and by the deposit: not what was said.
        zoo.setCall(address(this), abi.encodeCall(this.give, (10)));
        bytes memory data =
            abi.encodeCall(hub.open, (idOf(p), one(p, 0, zf, 10, Source.Sender), nobody()));
        mustFail(IHubErrors.TokenDelta.selector, data);
    }

    function give(uint256 amount) external {
        zoo.mint(address(hub), amount);
    }

    /// What anybody can read from within is what is really held: nothing is promised twice.
    function testForbidsThatAReaderFromWithinSeesMoneyTwice() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        hub.bindPayee(idOf(p), binding(p, 0, address(payee), block.timestamp));
        State memory s = finalState(p, coin, list(10, 20));
        bytes[] memory sigs = signAll(p, s);
        payee.setCall(address(this), abi.encodeCall(this.look, (fid(p, 0), fid(p, 1))));
        hub.closeAndPay(p, s, sigs);
        vm.assertTrue(payee.succeeded());
    }

    function look(bytes32 zero, bytes32 one_) external view {
        require(hub.held(coin, zero) + hub.held(coin, one_) <= address(hub).balance, "twice");
    }
}
