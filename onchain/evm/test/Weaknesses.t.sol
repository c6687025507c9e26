// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetFacade, IAssetHolder} from "../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {IPerunHub} from "../src/interfaces/IPerunHub.sol";
import {
    Asset,
    Binding,
    Deposit,
    Params,
    SignedState,
    Source,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {TestApp} from "./base/TestApp.sol";
import {BadToken, SilentToken} from "./tokens/BadTokens.sol";

/// A payee whose code needs more than 2,300 gas, and signs by EIP-1271 whatever has one byte.
contract SmartAccount {
    uint256 public received;

    receive() external payable {
        received += msg.value;
    }

    function isValidSignature(bytes32, bytes calldata sig) external pure returns (bytes4) {
        return sig.length == 1 ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

/// A payee that tries to be paid twice.
contract Reentrant {
    IPerunHub private immutable HUB;
    bytes private call;
    bytes4 public answer;

    constructor(IPerunHub hub) {
        HUB = hub;
    }

    function arm(bytes calldata data) external {
        call = data;
    }

    receive() external payable {
        (, bytes memory why) = address(HUB).call(call);
        answer = bytes4(why);
    }
}

/// The weaknesses found in the contracts before these, by their numbers. Each test fails under the
/// old rule.
contract WeaknessesTest is PerunTest {
    function last(Params memory p, address holder, uint256 one, uint256 two)
        private
        view
        returns (State memory s)
    {
        s = newState(p, 5, holder, list(one, two));
        s.isFinal = true;
    }

    /// Whoever stands twice in a channel would count its deposit twice, and be paid from others'.
    function testW1OneAddressIsOneParticipant() public {
        put(newParams(2), 0, coin, 100);
        Params memory p = newParams(2);
        p.participants[1] = p.participants[0];
        put(p, 0, coin, 10);
        State memory s = last(p, coin, 20, 0);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.DuplicateParticipant.selector);
        hub.closeAndPay(p, s, sigs);
        refuses(IHubErrors.DuplicateParticipant.selector);
        hub.register(SignedState(p, s, sigs), noSubs());
    }

    function child() private returns (Params memory p, State memory old, State memory newer) {
        p = newParams(2);
        p.ledgerChannel = false;
        old = newState(p, 1, coin, list(10, 0));
        newer = newState(p, 2, coin, list(0, 10));
    }

    /// A child's old state cannot be frozen by way of another parent.
    function testW2AChildEndsByItsOwnClock() public {
        (Params memory p, State memory old, State memory newer) = child();
        Params memory other = newParams(2);
        other.challengeDuration = 1800;
        State memory s = newState(other, 1, coin, list(0, 0));
        lock(s, old, map(0, 1));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        hub.register(signed(other, s), subs);
        vm.warp(block.timestamp + 1800);
        State[] memory given = new State[](1);
        given[0] = old;
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(other, s, given);
        hub.registerSub(signed(p, newer), noSubs());
        vm.warp(block.timestamp + 1800);
        refuses(IHubErrors.WrongState.selector);
        hub.conclude(other, s, given);
    }

    /// A parent made by strangers cannot hold a child whose participants it does not have.
    function testW2AParentHasItsChildsParticipants() public {
        (Params memory p, State memory old,) = child();
        Params memory strange = newParams(2);
        strange.participants[0].ethAddress = who(5);
        strange.participants[1].ethAddress = who(6);
        State memory s = newState(strange, 1, coin, list(0, 0));
        lock(s, old, map(0, 1));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        SignedState memory top = signed(strange, s);
        refuses(IHubErrors.ChildParticipants.selector);
        hub.register(top, subs);
    }

    function testW3AChildsAppIsGivenTimeToForceAStep() public {
        Params memory p = newParams(2);
        (p.ledgerChannel, p.app) = (false, address(new TestApp()));
        State memory old = newState(p, 1, coin, list(10, 0));
        old.appData = hex"00";
        Params memory root = newParams(2);
        State memory s = newState(root, 1, coin, list(0, 0));
        lock(s, old, map(0, 1));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        hub.register(signed(root, s), subs);
        vm.warp(block.timestamp + 2 * DURATION - 1);
        State[] memory given = new State[](1);
        given[0] = old;
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(root, s, given);
        vm.warp(block.timestamp + 1);
        hub.conclude(root, s, given);
    }

    /// A child that appears late in its parent's window has its own, whole.
    function testW3ALateChildHasItsWholeWindow() public {
        (Params memory p, State memory old,) = child();
        Params memory root = newParams(2);
        State memory s = newState(root, 1, coin, list(10, 0));
        register(root, s);
        vm.warp(block.timestamp + DURATION - 1);
        s = newState(root, 2, coin, list(0, 0));
        lock(s, old, map(0, 1));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        hub.register(signed(root, s), subs);
        vm.warp(block.timestamp + DURATION - 1);
        State[] memory given = new State[](1);
        given[0] = old;
        refuses(IHubErrors.WindowOpen.selector);
        hub.conclude(root, s, given);
    }

    function testW4APerunAuthorisationIsGoodOnceAndForAll() public {
        Params memory p = newParams(2);
        fund(p, coin, 30, 0);
        State memory s = last(p, coin, 30, 0);
        hub.concludeFinal(p, s, signAll(p, s));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 10);
        refuses(IHubErrors.NotFullHolding.selector);
        hub.withdraw(a, sig);
        (a, sig) = auth(p, 0, address(0xB0B), 30);
        hub.withdraw(a, sig);
        // Somebody deposits the same amount again: the old authorisation does not take it.
        hub.deposit{value: 30}(fid(p, 0), 30);
        refuses(IHubErrors.AlreadyUsed.selector);
        hub.withdraw(a, sig);
    }

    function typedWithdrawal(WithdrawalV2 memory w) private view returns (bytes memory) {
        bytes32 kind = keccak256(
            "WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)"
        );
        return sign(0, typed(keccak256(abi.encode(kind, w))));
    }

    function testW4ATypedAuthorisationNamesAssetHubAndChain() public {
        Params memory p = newParams(2);
        fund(p, coin, 30, 0);
        fund(p, facade, 30, 0);
        State memory s = last(p, coin, 30, 0);
        addAsset(s, block.chainid, facade, list(30, 0));
        hub.concludeFinal(p, s, signAll(p, s));
        WithdrawalV2 memory w =
            WithdrawalV2(idOf(p), coin, who(0), address(0xB0B), 30, 0, 0, block.timestamp);
        bytes memory sig = typedWithdrawal(w);
        w.holder = facade;
        refuses(IHubErrors.BadSignature.selector);
        hub.withdrawV2(w, sig);
        w.holder = coin;
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        refuses(IHubErrors.BadSignature.selector);
        hub.withdrawV2(w, sig);
        vm.chainId(chain);
        hub.withdrawV2(w, sig);
    }

    function testW5OneHolderStandsOnce() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 1, coin, list(1, 1));
        addAsset(s, block.chainid, coin, list(1, 1));
        SignedState memory one = signed(p, s);
        refuses(IHubErrors.DuplicateAsset.selector);
        hub.register(one, noSubs());
    }

    function testW5HoldersAreNeverCalled() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 0);
        State memory s = last(p, coin, 10, 0);
        // An account without code, and a contract that refuses everything.
        addAsset(s, block.chainid, address(0xDEAD), list(1, 1));
        addAsset(s, block.chainid, address(new TestApp()), list(1, 1));
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(0).balance, 10);
    }

    function testW5DurationsAreBounded() public {
        uint256[4] memory durations = [0, 1799, 2 ** 64, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            Params memory p = newParams(2);
            p.challengeDuration = durations[i];
            SignedState memory one = signed(p, newState(p, 1, coin, list(1, 1)));
            refuses(IHubErrors.ChallengeDuration.selector);
            hub.register(one, noSubs());
        }
    }

    function testW5IndexMapsStayInside() public {
        (Params memory p, State memory old,) = child();
        Params memory root = newParams(2);
        State memory s = newState(root, 1, coin, list(0, 0));
        lock(s, old, map(0, 2));
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        SignedState memory top = signed(root, s);
        refuses(IHubErrors.LockedShape.selector);
        hub.register(top, subs);
    }

    /// A parent's map is longer than a smaller child's participants, as go-perun writes it.
    function testW5ASmallerChildCanBeConcluded() public {
        (Params memory p, State memory old,) = child();
        Params memory root = newParams(3);
        put(root, 0, coin, 10);
        State memory s = newState(root, 1, coin, list(0, 0, 0));
        uint16[] memory three = new uint16[](3);
        (three[1], three[2]) = (1, 2);
        lock(s, old, three);
        SignedState[] memory subs = new SignedState[](1);
        subs[0] = signed(p, old);
        hub.register(signed(root, s), subs);
        vm.warp(block.timestamp + DURATION);
        State[] memory given = new State[](1);
        given[0] = old;
        hub.concludeAndPay(root, s, given);
        vm.assertEq(who(0).balance, 10);
    }

    function testW6ASurplusGoesBackToItsDepositors() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 32);
        State memory s = last(p, coin, 20, 1);
        hub.closeAndPay(p, s, signAll(p, s));
        // 21 too much: 10 of 42 and 32 of 42 parts of it.
        vm.assertEq(who(0).balance, 20 + 5);
        vm.assertEq(who(1).balance, 1 + 16);
        vm.assertEq(address(hub).balance, 0);
    }

    function testW6TooLittleGoesBackExactly() public {
        for (uint256 i = 0; i < 2; ++i) {
            address holder = i == 0 ? coin : facade;
            Params memory p = newParams(2);
            fund(p, holder, 10, 19);
            State memory s = last(p, holder, 30, 0);
            hub.closeAndPay(p, s, signAll(p, s));
            vm.assertEq(balanceOf(holder, who(0)), 10);
            vm.assertEq(balanceOf(holder, who(1)), 19);
        }
    }

    function testW6LateDepositsCanBeWithdrawn() public {
        Params memory p = newParams(2);
        State memory s = last(p, coin, 0, 0);
        hub.closeAndPay(p, s, signAll(p, s));
        hub.deposit{value: 7}(fid(p, 1), 7);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 1, address(0xB0B), 7);
        hub.withdraw(a, sig);
        vm.assertEq(address(0xB0B).balance, 7);
    }

    function badToken() private returns (BadToken bad, address holder) {
        bad = new BadToken();
        holder = hub.createFacade(address(bad));
        bad.mint(address(this), 1000);
        bad.approve(address(hub), 1000);
        bad.approve(holder, 1000);
    }

    function testW7OnlyWhatArrivesIsCredited() public {
        (BadToken bad, address holder) = badToken();
        Params memory p = newParams(2);
        bad.setFee(1);
        Deposit[] memory d = new Deposit[](1);
        d[0] = Deposit(holder, who(0), 10, Source.Sender, "");
        refuses(IHubErrors.TokenDelta.selector);
        hub.open(idOf(p), d, new Binding[](0));
        refuses(IHubErrors.TokenDelta.selector);
        IAssetFacade(holder).deposit(fid(p, 0), 10);
    }

    function testW7TokensThatAnswerNothing() public {
        SilentToken silent = new SilentToken();
        address holder = hub.createFacade(address(silent));
        silent.mint(address(this), 10);
        silent.approve(address(hub), 10);
        Params memory p = newParams(2);
        put(p, 0, holder, 10);
        State memory s = last(p, holder, 4, 6);
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(silent.balanceOf(who(1)), 6);
    }

    /// A token that refuses spoils nothing but itself, and can be paid later.
    function testW7ATokenThatRefusesBecomesACredit() public {
        (BadToken bad, address holder) = badToken();
        Params memory p = newParams(2);
        fund(p, coin, 10, 0);
        put(p, 0, holder, 10);
        State memory s = last(p, coin, 0, 10);
        addAsset(s, block.chainid, holder, list(4, 6));
        bad.setRefuses(true);
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(1).balance, 10);
        vm.assertEq(hub.credit(who(0), holder), 4);
        bad.setRefuses(false);
        vm.prank(who(0));
        hub.withdrawCredit(holder, address(0xB0B), 4);
        vm.assertEq(bad.balanceOf(address(0xB0B)), 4);
    }

    function testW8AccountsWithCodeArePaid() public {
        Params memory p = newParams(2);
        put(p, 0, coin, 30);
        vm.etch(who(0), address(new SmartAccount()).code);
        State memory s = last(p, coin, 30, 0);
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(SmartAccount(payable(who(0))).received(), 30);
    }

    /// Whoever submits cannot make a payment fail by sending too little gas.
    function testW8PayeesCannotBeStarved() public {
        Params memory p = newParams(2);
        put(p, 0, coin, 30);
        State memory s = last(p, coin, 30, 0);
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.GasForPayment.selector);
        hub.closeAndPay{gas: 150_000}(p, s, sigs);
    }

    /// Accounts with code sign what is theirs alone; states are signed by keys.
    function testW9ContractAccountsWithdrawAndKeysStayGood() public {
        Params memory p = newParams(2);
        fund(p, coin, 30, 20);
        State memory s = last(p, coin, 30, 20);
        bytes[] memory sigs = signAll(p, s);
        vm.etch(who(0), address(new SmartAccount()).code);
        bytes memory kept = sigs[0];
        sigs[0] = hex"01";
        refuses(IHubErrors.BadSignature.selector);
        hub.concludeFinal(p, s, sigs);
        sigs[0] = kept;
        hub.concludeFinal(p, s, sigs);
        WithdrawalV2 memory w =
            WithdrawalV2(idOf(p), coin, who(0), address(0xB0B), 10, 0, 1, block.timestamp);
        hub.withdrawV2(w, hex"01");
        w.nonce = 2;
        hub.withdrawV2(w, typedWithdrawal(w));
        w.nonce = 3;
        refuses(IHubErrors.BadSignature.selector);
        hub.withdrawV2(w, hex"0102");
        vm.assertEq(address(0xB0B).balance, 20);
    }

    function testW10ASignatureHasOneSpelling() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 1, coin, list(1, 1));
        bytes[] memory sigs = signAll(p, s);
        (bytes32 r, bytes32 hs, uint8 v) = split(sigs[0]);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes[7] memory others = [
            abi.encodePacked(r, hs, v - 27),
            abi.encodePacked(r, bytes32(order - uint256(hs)), v == 27 ? 28 : 27),
            abi.encodePacked(r, bytes32(uint256(hs) | (uint256(v - 27) << 255))),
            abi.encodePacked(r, hs),
            abi.encodePacked(r, hs, v, uint8(0)),
            bytes(""),
            abi.encodePacked(r, hs, uint8(29))
        ];
        for (uint256 i = 0; i < 7; ++i) {
            sigs[0] = others[i];
            refuses(IHubErrors.BadSignature.selector);
            hub.register(SignedState(p, s, sigs), noSubs());
        }
    }

    function split(bytes memory sig) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(sig, 0x20))
            s := mload(add(sig, 0x40))
            v := byte(0, mload(add(sig, 0x60)))
        }
    }

    function testW13AFinalStateOfAnAppNeedsNoWindow() public {
        Params memory p = newParams(2);
        p.app = address(new TestApp());
        State memory s = last(p, coin, 1, 1);
        register(p, s);
        hub.conclude(p, s, none());
    }

    /// Elsewhere only what is of that chain is paid.
    function testW14OtherChainsPayNothing() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = last(p, coin, 30, 0);
        bytes[] memory sigs = signAll(p, s);
        vm.chainId(block.chainid + 1);
        hub.closeAndPay(p, s, sigs);
        vm.assertEq(address(hub).balance, 30);
    }

    function testW16APayeeCannotComeBackIn() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        Reentrant payee = new Reentrant(hub);
        payee.arm(abi.encodeCall(hub.withdrawCredit, (coin, address(payee), 1)));
        vm.prank(who(0));
        hub.bindPayee(idOf(p), Binding(who(0), address(payee), 0, ""));
        State memory s = last(p, coin, 30, 0);
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(address(payee).balance, 30);
        vm.assertEq(
            bytes32(payee.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()")))
        );
    }

    /// A token that deposits again while it is measured would be credited twice.
    function testW16ATokenCannotDepositWithinADeposit() public {
        (BadToken bad, address holder) = badToken();
        Params memory p = newParams(2);
        bad.setCall(holder, abi.encodeCall(IAssetHolder.deposit, (fid(p, 1), 0)));
        vm.expectRevert(bytes4(keccak256("ReentrancyGuardReentrantCall()")));
        IAssetFacade(holder).deposit(fid(p, 0), 10);
    }

    /// W17: one slot per dispute, an app or not.
    function testW17ADisputeIsOneSlot() public {
        Params memory p = newParams(2);
        p.app = address(new TestApp());
        State memory s = newState(p, 5, coin, list(1, 1));
        vm.record();
        register(p, s);
        (, bytes32[] memory writes) = vm.accesses(address(hub));
        vm.assertEq(writes.length, 1);
    }
}
