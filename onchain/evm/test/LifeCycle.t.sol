// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetFacade} from "../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {
    Params,
    SignedState,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// Channels from their deposits to their end, each way there is.
contract LifeCycleTest is PerunTest {
    function last(Params memory p, address holder, uint256 one, uint256 two)
        private
        view
        returns (State memory s)
    {
        s = newState(p, 5, holder, list(one, two));
        s.isFinal = true;
    }

    function testCoinsAsPerunDoesIt() public {
        Params memory p = newParams(2);
        hub.deposit{value: 10}(fid(p, 0), 10);
        hub.deposit{value: 20}(fid(p, 1), 20);
        State memory s = last(p, coin, 25, 5);
        hub.concludeFinal(p, s, signAll(p, s));
        vm.assertTrue(hub.settled(idOf(p)));
        vm.assertEq(hub.holdings(fid(p, 0)), 25);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        hub.withdraw(a, sig);
        vm.assertEq(address(0xB0B).balance, 25);
        vm.assertEq(hub.holdings(fid(p, 0)), 0);
        vm.assertEq(address(hub).balance, 5);
    }

    function testTokensAsPerunDoesIt() public {
        Params memory p = newParams(2);
        IAssetFacade f = IAssetFacade(facade);
        vm.assertEq(f.token(), address(token));
        vm.assertEq(f.adjudicator(), address(hub));
        token.approve(facade, 30);
        f.deposit(fid(p, 0), 10);
        f.deposit(fid(p, 1), 20);
        vm.assertEq(token.balanceOf(address(hub)), 30);
        State memory s = last(p, facade, 25, 5);
        hub.concludeFinal(p, s, signAll(p, s));
        vm.assertTrue(f.settled(idOf(p)));
        vm.assertEq(f.holdings(fid(p, 0)), 25);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 25);
        f.withdraw(a, sig);
        vm.assertEq(token.balanceOf(address(0xB0B)), 25);
        vm.assertEq(f.holdings(fid(p, 0)), 0);
    }

    function testCloseAndPay() public {
        for (uint256 k = 0; k < 2; ++k) {
            address holder = k == 0 ? coin : facade;
            Params memory p = newParams(2);
            fund(p, holder, 10, 20);
            State memory s = last(p, holder, 25, 5);
            hub.closeAndPay(p, s, signAll(p, s));
            vm.assertEq(balanceOf(holder, who(0)), 25);
            vm.assertEq(balanceOf(holder, who(1)), 5);
            vm.assertEq(balanceOf(holder, address(hub)), 0);
            vm.assertTrue(hub.settled(idOf(p)));
            bytes[] memory sigs = signAll(p, s);
            refuses(IHubErrors.AlreadyConcluded.selector);
            hub.closeAndPay(p, s, sigs);
        }
    }

    function testTwoAssetsAndOneOfAnotherLedger() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 0);
        fund(p, facade, 0, 7);
        State memory s = last(p, coin, 0, 10);
        addAsset(s, block.chainid, facade, list(7, 0));
        addAsset(s, 7, address(0), list(1000, 1000));
        // A holder that nobody made: never called, nothing paid.
        addAsset(s, block.chainid, address(0xDEAD), list(5, 5));
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(1).balance, 10);
        vm.assertEq(token.balanceOf(who(0)), 7);
    }

    function testADisputeWithARefutation() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        register(p, newState(p, 3, coin, list(30, 0)));
        vm.warp(block.timestamp + DURATION - 1);
        State memory newer = newState(p, 4, coin, list(1, 29));
        register(p, newer);
        refuses(IHubErrors.WindowOpen.selector);
        hub.concludeAndPay(p, newer, none());
        vm.warp(block.timestamp + 1);
        hub.concludeAndPay(p, newer, none());
        vm.assertEq(who(0).balance, 1);
        vm.assertEq(who(1).balance, 29);
    }

    function testConcludeThenWithdrawTyped() public {
        Params memory p = newParams(2);
        fund(p, facade, 10, 20);
        State memory s = newState(p, 3, facade, list(30, 0));
        register(p, s);
        vm.warp(block.timestamp + DURATION);
        hub.conclude(p, s, none());
        WithdrawalV2[] memory ws = new WithdrawalV2[](2);
        ws[0] = WithdrawalV2(idOf(p), facade, who(0), address(0xB0B), 12, 2, 1, block.timestamp);
        ws[1] = WithdrawalV2(
            idOf(p), facade, who(0), address(0xCAFE), type(uint256).max, 0, 2, block.timestamp
        );
        bytes[] memory sigs = new bytes[](2);
        for (uint256 i = 0; i < 2; ++i) {
            sigs[i] = sign(0, withdrawalDigest(ws[i]));
        }
        vm.prank(RELAYER);
        hub.withdrawV2(ws[0], sigs[0]);
        // The first is spent, which spoils nothing; the second takes the rest.
        hub.withdrawMany(ws, sigs);
        vm.assertEq(token.balanceOf(address(0xB0B)), 10);
        vm.assertEq(token.balanceOf(RELAYER), 2);
        vm.assertEq(token.balanceOf(address(0xCAFE)), 18);
        refuses(IHubErrors.AlreadyUsed.selector);
        hub.withdrawV2(ws[0], sigs[0]);
    }

    function withdrawalDigest(WithdrawalV2 memory w) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)"
        );
        return typed(keccak256(abi.encode(kind, w)));
    }

    function testTypedWithdrawalsAreBounded() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        WithdrawalV2 memory w =
            WithdrawalV2(idOf(p), coin, who(0), address(0xB0B), 11, 0, 1, block.timestamp);
        bytes memory sig = sign(0, withdrawalDigest(w));
        refuses(IHubErrors.NotConcluded.selector);
        hub.withdrawV2(w, sig);
        State memory s = last(p, coin, 10, 20);
        hub.concludeFinal(p, s, signAll(p, s));
        refuses(IHubErrors.Insufficient.selector);
        hub.withdrawV2(w, sig);
        refuses(IHubErrors.BadSignature.selector);
        w.amount = 10;
        hub.withdrawV2(w, sig);
        w.fee = 11;
        sig = sign(0, withdrawalDigest(w));
        refuses(IHubErrors.Fee.selector);
        hub.withdrawV2(w, sig);
        w.deadline = block.timestamp - 1;
        sig = sign(0, withdrawalDigest(w));
        refuses(IHubErrors.DeadlineOver.selector);
        hub.withdrawV2(w, sig);
    }

    function testABatchSkipsWhatAStrangerClosed() public {
        SignedState[] memory all = new SignedState[](3);
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            fund(p, coin, 10, 20);
            all[i] = signed(p, last(p, coin, 25, 5));
        }
        hub.closeAndPay(all[1].params, all[1].state, all[1].sigs);
        hub.closeBatch(all);
        vm.assertEq(who(0).balance, 75);
        vm.assertEq(who(1).balance, 15);
    }

    function testABatchWithABadElementRevertsAsAWhole() public {
        SignedState[] memory all = new SignedState[](2);
        for (uint256 i = 0; i < 2; ++i) {
            Params memory p = newParams(2);
            fund(p, coin, 10, 20);
            all[i] = signed(p, last(p, coin, 25, 5));
        }
        all[1].sigs[0] = all[1].sigs[1];
        refuses(IHubErrors.BadSignature.selector);
        hub.closeBatch(all);
    }

    function testAPeerOfTheOldKindCanFinishAfterwards() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        State memory s = last(p, coin, 25, 5);
        hub.closeAndPay(p, s, signAll(p, s));
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, address(0xB0B), 0);
        hub.withdraw(a, sig);
        vm.assertEq(address(0xB0B).balance, 0);
    }

    function testSixteenParties() public {
        Params memory p = newParams(16);
        uint256[] memory balances = new uint256[](16);
        for (uint256 i = 0; i < 16; ++i) {
            put(p, i, coin, i);
            balances[i] = 15 - i;
        }
        State memory s = newState(p, 5, coin, balances);
        s.isFinal = true;
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(who(0).balance, 15);
        vm.assertEq(who(15).balance, 0);
        vm.assertEq(address(hub).balance, 0);
    }
}
