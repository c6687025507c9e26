// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Binding, Deposit, Move, Params, Source, State} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// What all participants together may do with a live channel.
contract ConsentTest is PerunTest {
    function digest(Params memory p, Move[] memory moves, uint256 deadline)
        private
        view
        returns (bytes32)
    {
        bytes32 move =
            keccak256("Move(address holder,address to,bytes32 fundingID,uint256 amount)");
        bytes32 kind = keccak256(
            "ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)Move(address holder,address to,bytes32 fundingID,uint256 amount)"
        );
        bytes memory all;
        for (uint256 i = 0; i < moves.length; ++i) {
            all = bytes.concat(all, keccak256(abi.encode(move, moves[i])));
        }
        return typed(keccak256(abi.encode(kind, idOf(p), keccak256(all), deadline)));
    }

    function consent(Params memory p, Move[] memory moves) private view returns (bytes[] memory) {
        return signAllDigest(p, digest(p, moves, block.timestamp));
    }

    function channel() private returns (Params memory p) {
        p = newParams(2);
        fund(p, coin, 10, 20);
        fund(p, facade, 6, 0);
    }

    function testAChannelBecomesALargerOne() public {
        Params memory p = channel();
        Params memory next = newParams(2);
        Move[] memory moves = new Move[](4);
        moves[0] = Move(coin, address(0), fid(next, 0), 4);
        moves[1] = Move(coin, address(0), fid(next, 1), 21);
        moves[2] = Move(coin, address(0xB0B), 0, 5);
        moves[3] = Move(facade, address(0), fid(next, 0), 6);
        Deposit[] memory d = new Deposit[](1);
        d[0] = Deposit(coin, who(0), 100, Source.Sender, "");
        hub.resize{value: 100}(
            p, moves, block.timestamp, consent(p, moves), idOf(next), d, new Binding[](0)
        );
        vm.assertEq(hub.held(coin, fid(next, 0)), 104);
        vm.assertEq(hub.held(coin, fid(next, 1)), 21);
        vm.assertEq(hub.held(facade, fid(next, 0)), 6);
        vm.assertEq(address(0xB0B).balance, 5);
        vm.assertEq(hub.held(coin, fid(p, 0)), 0);
        // The old channel is over: none of its states counts any more.
        State memory s = newState(p, 9, coin, list(30, 0));
        s.isFinal = true;
        bytes[] memory sigs = signAll(p, s);
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.closeAndPay(p, s, sigs);
        refuses(IHubErrors.WrongPhase.selector);
        hub.register(signed(p, s), noSubs());
    }

    function testEverybodyMustConsentInTime() public {
        Params memory p = channel();
        Move[] memory moves = new Move[](1);
        moves[0] = Move(coin, address(0xB0B), 0, 30);
        bytes[] memory sigs = consent(p, moves);
        bytes memory kept = sigs[1];
        sigs[1] = sigs[0];
        refuses(IHubErrors.BadSignature.selector);
        hub.spendByConsent(p, moves, block.timestamp, sigs);
        sigs[1] = kept;
        moves[0].amount = 29;
        refuses(IHubErrors.BadSignature.selector);
        hub.spendByConsent(p, moves, block.timestamp, sigs);
        moves[0].amount = 30;
        uint256 deadline = block.timestamp;
        vm.warp(deadline + 1);
        refuses(IHubErrors.DeadlineOver.selector);
        hub.spendByConsent(p, moves, deadline, sigs);
        vm.warp(deadline);
        hub.spendByConsent(p, moves, deadline, sigs);
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.spendByConsent(p, moves, deadline, sigs);
    }

    function spend(Params memory p, Move[] memory moves, bytes4 why) private {
        bytes[] memory sigs = consent(p, moves);
        if (why != 0) refuses(why);
        hub.spendByConsent(p, moves, block.timestamp, sigs);
    }

    function testMovesTakeNoMoreThanIsHeld() public {
        Params memory p = channel();
        Move[] memory moves = new Move[](2);
        moves[0] = Move(coin, address(0xB0B), 0, 30);
        moves[1] = Move(coin, address(0xB0B), 0, 1);
        spend(p, moves, IHubErrors.Insufficient.selector);
        // Not even if the holder comes again after another.
        Move[] memory three = new Move[](3);
        (three[0], three[1]) = (moves[0], Move(facade, address(0xB0B), 0, 6));
        three[2] = moves[1];
        spend(p, three, IHubErrors.Insufficient.selector);
        moves[1].amount = 0;
        moves[1].fundingID = bytes32(uint256(1));
        spend(p, moves, IHubErrors.MoveTarget.selector);
    }

    /// A stranger's coin must not stop what everybody agreed to.
    function testWhatMovesLeaveGoesBackToTheDepositors() public {
        Params memory p = channel();
        hub.deposit{value: 3}(fid(p, 1), 3);
        Move[] memory moves = new Move[](1);
        moves[0] = Move(coin, address(0xB0B), 0, 22);
        spend(p, moves, 0);
        // 11 of 33 are left; the deposits were 10 and 23.
        vm.assertEq(hub.held(coin, fid(p, 0)), 3);
        vm.assertEq(hub.held(coin, fid(p, 1)), 8);
        // The token that no move named is where it was.
        vm.assertEq(hub.held(facade, fid(p, 0)), 6);
        vm.assertTrue(hub.settled(idOf(p)));
    }

    function testConsentEndsADispute() public {
        Params memory p = channel();
        register(p, newState(p, 3, coin, list(30, 0)));
        Move[] memory moves = new Move[](1);
        moves[0] = Move(coin, address(0xB0B), 0, 30);
        spend(p, moves, 0);
        (,, uint64 version, uint8 phase,,) = hub.disputes(idOf(p));
        vm.assertEq(version, 3);
        vm.assertEq(phase, 2);
        vm.assertEq(address(0xB0B).balance, 30);
    }
}
