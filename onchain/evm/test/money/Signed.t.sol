// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {IPerunHub} from "../../src/interfaces/IPerunHub.sol";
import {PerunHub} from "../../src/PerunHub.sol";
import {Deposit, Params, Source} from "../../src/interfaces/Types.sol";
import {TestToken} from "../tokens/TestToken.sol";
import {Wallet} from "./base/Accounts.sol";
import {MoneyTest} from "./base/MoneyTest.sol";
import {FakeFacade, LongSigToken, YesToken} from "./base/OddTokens.sol";
import {Permit2Own} from "./base/Permit2Own.sol";

/// Deposits by somebody's signature: by whoever submits, for that one deposit, and no other.
contract SignedDepositsTest is MoneyTest {
    uint256 private constant MUCH = 1000;
    IPerunHub private other;
    address private otherFacade;
    TestToken private second;
    address private secondFacade;

    function setUp() public override {
        super.setUp();
        vm.etch(PERMIT2, permit2Code());
        other = IPerunHub(address(new PerunHub()));
        otherFacade = other.createFacade(address(token));
        second = new TestToken();
        secondFacade = hub.createFacade(address(second));
        token.mint(who(0), MUCH);
        second.mint(who(0), MUCH);
        vm.startPrank(who(0));
        token.approve(PERMIT2, ALL);
        second.approve(PERMIT2, ALL);
        // The hubs may take everything: nobody but who(0) may say what for.
        token.approve(address(hub), ALL);
        token.approve(address(other), ALL);
        token.approve(facade, ALL);
        second.approve(address(hub), ALL);
        vm.stopPrank();
    }

    function permit2Code() internal virtual returns (bytes memory) {
        return address(new Permit2Own()).code;
    }

    // What is signed.

    function tokenDigest(bytes32 hash) private view returns (bytes32) {
        return digestOf(token.DOMAIN_SEPARATOR(), hash);
    }

    function data3009(bytes32 id, Deposit memory d, address to, uint256 after_, uint256 before)
        private
        view
        returns (bytes memory)
    {
        bytes32 name = fundingID(id, d.participant);
        bytes32 nonce = keccak256(abi.encode(id, name, d.holder, d.amount)) >> 64 << 64;
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,"
            "uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 hash = keccak256(abi.encode(kind, who(0), to, d.amount, after_, before, nonce));
        return abi.encode(who(0), after_, before, sign(0, tokenDigest(hash)));
    }

    function dataPermit2(bytes32 id, Deposit memory d, address spender, uint256 nonce)
        private
        view
        returns (bytes memory)
    {
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,"
            "uint256 deadline,ChannelDeposit witness)"
            "ChannelDeposit(bytes32 channelID,bytes32 fundingID)"
            "TokenPermissions(address token,uint256 amount)"
        );
        bytes32 permitted = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"),
                address(token),
                d.amount
            )
        );
        bytes32 witness = keccak256(
            abi.encode(
                keccak256("ChannelDeposit(bytes32 channelID,bytes32 fundingID)"),
                id,
                fundingID(id, d.participant)
            )
        );
        bytes32 hash =
            keccak256(abi.encode(kind, permitted, spender, nonce, block.timestamp, witness));
        bytes memory sig = sign(0, digestOf(permit2Domain(), hash));
        return abi.encode(who(0), nonce, block.timestamp, sig);
    }

    function permit2Domain() private view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), block.chainid, PERMIT2));
    }

    function permit(uint256 amount, address spender, uint256 until)
        private
        view
        returns (bytes memory)
    {
        bytes32 kind = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        uint256 nonce = token.nonces(who(0));
        return
            sign(
                0, tokenDigest(keccak256(abi.encode(kind, who(0), spender, amount, nonce, until)))
            );
    }

    function data2612(bytes32 id, Deposit memory d, address verifier, uint256 nonce)
        private
        view
        returns (bytes memory)
    {
        bytes32 hash = intentHash(id, d, who(0), nonce, block.timestamp);
        bytes memory sig = sign(0, digestOf(hubDomain(block.chainid, verifier), hash));
        bytes memory p = permit(d.amount, verifier, block.timestamp);
        return abi.encode(who(0), nonce, block.timestamp, sig, block.timestamp, p);
    }

    /// A good deposit of who(0), signed for this hub.
    function good(Params memory p, Source source) private view returns (Deposit[] memory d) {
        d = one(p, 0, facade, 100, source);
        if (source == Source.Eip3009) {
            d[0].data = data3009(idOf(p), d[0], address(hub), 0, block.timestamp + 1);
        } else if (source == Source.Permit2) {
            d[0].data = dataPermit2(idOf(p), d[0], address(hub), p.nonce);
        } else {
            d[0].data = data2612(idOf(p), d[0], address(hub), p.nonce);
        }
    }

    function sources() private pure returns (Source[3] memory) {
        return [Source.Eip3009, Source.Permit2, Source.Eip2612];
    }

    /// A stranger, who may have money of its own, tries.
    function tries(IPerunHub at, bytes32 id, Deposit[] memory d) private returns (bytes4) {
        vm.prank(STRANGER);
        (bool ok, bytes memory why) = address(at).call(abi.encodeCall(at.open, (id, d, nobody())));
        vm.assertTrue(!ok, "money was steered");
        vm.assertEq(token.balanceOf(who(0)), MUCH);
        vm.assertEq(second.balanceOf(who(0)), MUCH);
        return bytes4(why);
    }

    // Tests.

    function testForbidsThatOnlyThePayerCanSubmit() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            vm.prank(STRANGER);
            hub.open(idOf(p), d, nobody());
            vm.assertEq(hub.held(facade, fid(p, 0)), 100);
            vm.assertEq(token.balanceOf(who(0)), MUCH - 100 * (i + 1));
            vm.assertEq(token.balanceOf(address(hub)), 100 * (i + 1));
        }
    }

    function testForbidsRedirectionToAnotherChannel() public {
        for (uint256 i = 0; i < 3; ++i) {
            Deposit[] memory d = good(newParams(2), sources()[i]);
            tries(hub, idOf(newParams(2)), d);
            tries(hub, bytes32(0), d);
        }
    }

    function testForbidsRedirectionToAnotherParticipant() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            d[0].participant = who(1);
            tries(hub, idOf(p), d);
            d[0].participant = STRANGER;
            tries(hub, idOf(p), d);
        }
    }

    function testForbidsRedirectionToAnotherHub() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            d[0].holder = otherFacade;
            tries(other, idOf(p), d);
            d[0].holder = facade;
            tries(other, idOf(p), d);
        }
    }

    function testForbidsRedirectionToAnotherChain() public {
        Params memory p = newParams(2);
        Deposit[][3] memory d;
        for (uint256 i = 0; i < 3; ++i) {
            d[i] = good(p, sources()[i]);
        }
        vm.chainId(block.chainid + 1);
        for (uint256 i = 0; i < 3; ++i) {
            tries(hub, idOf(p), d[i]);
        }
    }

    function testForbidsRedirectionToAnotherToken() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            d[0].holder = secondFacade;
            tries(hub, idOf(p), d);
        }
    }

    function testForbidsAnotherAmount() public {
        uint256[4] memory amounts = [uint256(0), 99, 101, 200];
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            for (uint256 k = 0; k < 4; ++k) {
                d[0].amount = amounts[k];
                tries(hub, idOf(p), d);
            }
        }
    }

    function testForbidsAnotherKindOfSource() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            for (uint256 k = 0; k < 6; ++k) {
                if (Source(k) == sources()[i]) continue;
                d[0].source = Source(k);
                tries(hub, idOf(p), d);
            }
        }
    }

    function testForbidsAnotherOwner() public {
        token.mint(who(1), MUCH);
        vm.startPrank(who(1));
        token.approve(PERMIT2, ALL);
        token.approve(address(hub), ALL);
        vm.stopPrank();
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            bytes memory data = d[0].data;
            address victim = who(1);
            assembly {
                mstore(add(data, 0x20), victim)
            }
            tries(hub, idOf(p), d);
            vm.assertEq(token.balanceOf(who(1)), MUCH);
            address zero = address(0);
            assembly {
                mstore(add(data, 0x20), zero)
            }
            tries(hub, idOf(p), d);
        }
    }

    function testForbidsReplay() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            hub.open(idOf(p), d, nobody());
            token.mint(who(0), 100);
            bytes4 why = tries(hub, idOf(p), d);
            if (i == 2) vm.assertEq(bytes32(why), bytes32(IHubErrors.AlreadyUsed.selector));
            vm.assertEq(hub.held(facade, fid(p, 0)), 100);
        }
    }

    function testForbidsTwoOfOneInOneOpening() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = new Deposit[](2);
            d[0] = good(p, sources()[i])[0];
            d[1] = d[0];
            tries(hub, idOf(p), d);
        }
    }

    function testForbidsWhatIsTooOld() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            uint256 now_ = block.timestamp;
            vm.warp(now_ + 1);
            bytes4 why = tries(hub, idOf(p), d);
            if (i == 2) vm.assertEq(bytes32(why), bytes32(IHubErrors.DeadlineOver.selector));
            vm.warp(now_);
        }
    }

    function testForbidsWhatIsTooYoung() public {
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, facade, 100, Source.Eip3009);
        d[0].data = data3009(idOf(p), d[0], address(hub), block.timestamp, block.timestamp + 9);
        tries(hub, idOf(p), d);
        vm.warp(block.timestamp + 1);
        hub.open(idOf(p), d, nobody());
    }

    function testForbidsDepositsIntoWhatIsConcluded() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory d = good(p, sources()[i]);
            close(p, finalState(p, facade, list(0, 0)));
            bytes4 why = tries(hub, idOf(p), d);
            vm.assertEq(bytes32(why), bytes32(IHubErrors.AlreadyConcluded.selector));
        }
    }

    /// The permit alone, seen in the mempool and sent by a stranger, gives it nothing.
    function testForbidsThatAFrontRunPermitSpoilsOrSteers() public {
        vm.prank(who(0));
        token.approve(address(hub), 0);
        Params memory p = newParams(2);
        Deposit[] memory d = good(p, Source.Eip2612);
        (,,,, uint256 until, bytes memory sig) =
            abi.decode(d[0].data, (address, uint256, uint256, bytes, uint256, bytes));
        vm.prank(STRANGER);
        (bytes32 r, bytes32 s, uint8 v) = split(sig);
        token.permit(who(0), address(hub), 100, until, v, r, s);
        // Now the hub has the allowance: the stranger steers it nowhere.
        Deposit[] memory mineNow = one(p, 1, facade, 100, Source.Sender);
        tries(hub, idOf(p), mineNow);
        mineNow[0].source = Source.Eip2612;
        mineNow[0].data = d[0].data;
        tries(hub, idOf(p), mineNow);
        bytes32 hash = intentHash(idOf(p), mineNow[0], who(0), 7, block.timestamp);
        mineNow[0].data =
            abi.encode(who(0), uint256(7), block.timestamp, sign(1, mine(hash)), 0, bytes(""));
        bytes4 why = tries(hub, idOf(p), mineNow);
        vm.assertEq(bytes32(why), bytes32(IHubErrors.BadSignature.selector));
        // And the deposit goes through.
        vm.prank(STRANGER);
        hub.open(idOf(p), d, nobody());
        vm.assertEq(hub.held(facade, fid(p, 0)), 100);
    }

    function split(bytes memory sig) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly {
            r := mload(add(sig, 0x20))
            s := mload(add(sig, 0x40))
            v := byte(0, mload(add(sig, 0x60)))
        }
    }

    /// A permit that the token refuses, without an allowance from before: nothing is taken.
    function testForbidsADepositWithoutAllowance() public {
        vm.prank(who(0));
        token.approve(address(hub), 99);
        Params memory p = newParams(2);
        Deposit[] memory d = good(p, Source.Eip2612);
        bytes memory data = d[0].data;
        // Another deadline than was signed.
        assembly {
            mstore(add(data, 0xa0), add(mload(add(data, 0xa0)), 1))
        }
        tries(hub, idOf(p), d);
        vm.assertEq(token.allowance(who(0), address(hub)), 99);
    }

    function testForbidsPermitsThatAreNot65Bytes() public {
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, facade, 100, Source.Eip2612);
        uint256[4] memory sizes = [uint256(1), 64, 66, 200];
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 hash = intentHash(idOf(p), d[0], who(0), 1, block.timestamp);
            d[0].data = abi.encode(
                who(0), uint256(1), block.timestamp, sign(0, mine(hash)), 0, new bytes(sizes[i])
            );
            bytes4 why = tries(hub, idOf(p), d);
            vm.assertEq(bytes32(why), bytes32(IHubErrors.BadSignature.selector));
        }
    }

    /// An allowance to the facade serves its own deposits only, and to the hub its caller's only.
    function testForbidsThatAnAllowanceIsSteeredByAStranger() public {
        Params memory p = newParams(2);
        vm.startPrank(STRANGER);
        (bool ok,) =
            facade.call(abi.encodeWithSignature("deposit(bytes32,uint256)", fid(p, 1), 100));
        vm.assertTrue(!ok);
        (ok,) = facade.call(abi.encodeWithSignature("pull(address,uint256)", who(0), 100));
        vm.assertTrue(!ok);
        (ok,) = address(hub).call(abi.encodeCall(hub.depositVia, (who(0), fid(p, 1), 100)));
        vm.assertTrue(!ok);
        vm.stopPrank();
        tries(hub, idOf(p), one(p, 1, facade, 100, Source.Sender));
        vm.assertEq(token.balanceOf(who(0)), MUCH);
    }

    /// Somebody's token contract cannot pretend to be another's facade.
    function testForbidsThatAStrangersContractActsAsFacade() public {
        address fake = address(new FakeFacade(hub));
        vm.assertEq(hub.tokenOf(fake), address(0));
        vm.expectRevert(IHubErrors.UnknownHolder.selector);
        FakeFacade(fake).steal(who(0));
    }

    // Contract accounts as owners: the signature may be theirs (EIP-1271).

    function walletDeposit(Wallet w, Params memory p, uint256 nonce)
        private
        view
        returns (Deposit[] memory d)
    {
        d = one(p, 0, facade, 100, Source.Eip2612);
        d[0].data = abi.encode(
            address(w), nonce, block.timestamp, bytes("whatever"), uint256(0), bytes("")
        );
    }

    function testForbidsIntentsThatAContractDoesNotAccept() public {
        Wallet w = new Wallet();
        token.mint(address(w), MUCH);
        w.approve(address(token), address(hub), ALL);
        Params memory p = newParams(2);
        Deposit[] memory d = walletDeposit(w, p, 1);
        Wallet.Says[5] memory bad = [
            Wallet.Says.No,
            Wallet.Says.Reverts,
            Wallet.Says.Garbage,
            Wallet.Says.Short,
            Wallet.Says.BurnsGas
        ];
        for (uint256 i = 0; i < 5; ++i) {
            w.set(bad[i]);
            bytes memory data = abi.encodeCall(hub.open, (idOf(p), d, nobody()));
            (bool ok, bytes memory why) = address(hub).call{gas: 2_000_000}(data);
            vm.assertTrue(!ok);
            vm.assertEq(bytes32(bytes4(why)), bytes32(IHubErrors.BadSignature.selector));
        }
        w.set(Wallet.Says.Yes);
        vm.prank(STRANGER);
        hub.open(idOf(p), d, nobody());
        vm.assertEq(hub.held(facade, fid(p, 0)), 100);
        // Once, even if the account goes on saying yes; and a longer answer is as good.
        mustFail(
            IHubErrors.AlreadyUsed.selector, abi.encodeCall(hub.open, (idOf(p), d, nobody()))
        );
        w.set(Wallet.Says.Long);
        hub.open(idOf(p), walletDeposit(w, p, 2), nobody());
        vm.assertEq(token.balanceOf(address(w)), MUCH - 200);
    }

    /// A change of mind before counts; afterwards nothing can be taken back.
    function testForbidsThatAContractTakesBackWhatItDeposited() public {
        Wallet w = new Wallet();
        token.mint(address(w), MUCH);
        w.approve(address(token), address(hub), ALL);
        Params memory p = newParams(2);
        hub.open(idOf(p), walletDeposit(w, p, 1), nobody());
        w.set(Wallet.Says.No);
        w.approve(address(token), address(hub), 0);
        close(p, finalState(p, facade, list(0, 100)));
        vm.assertEq(token.balanceOf(who(1)), 100);
    }

    function testForbidsIntentsOfAddressesWithoutCodeOrKey() public {
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, facade, 0, Source.Eip2612);
        address[5] memory odd = [address(1), address(2), address(4), address(token), address(hub)];
        for (uint256 i = 0; i < 5; ++i) {
            d[0].data = abi.encode(odd[i], 1, block.timestamp, bytes("x"), 0, bytes(""));
            bytes4 why = tries(hub, idOf(p), d);
            vm.assertEq(bytes32(why), bytes32(IHubErrors.BadSignature.selector));
        }
        d[0].data = abi.encode(address(0), 1, block.timestamp, new bytes(65), 0, bytes(""));
        vm.assertEq(bytes32(tries(hub, idOf(p), d)), bytes32(IHubErrors.ZeroAddress.selector));
    }

    /// One of several deposits, sent first by a stranger: it is made, and the others can be.
    function testForbidsThatAFrontRunDepositLosesAnything() public {
        for (uint256 i = 0; i < 3; ++i) {
            Params memory p = newParams(2);
            Deposit[] memory first = good(p, sources()[i]);
            Deposit[] memory rest = one(p, 1, coin, 7, Source.Sender);
            Deposit[] memory both = new Deposit[](2);
            (both[0], both[1]) = (first[0], rest[0]);
            vm.prank(STRANGER);
            hub.open(idOf(p), first, nobody());
            bytes32 id = idOf(p);
            uint256 before = address(this).balance;
            failureWith(7, abi.encodeCall(hub.open, (id, both, nobody())));
            vm.assertEq(address(this).balance, before);
            hub.open{value: 7}(id, rest, nobody());
            vm.assertEq(hub.held(facade, fid(p, 0)), 100);
            vm.assertEq(hub.held(coin, fid(p, 1)), 7);
        }
    }

    function testForbidsPermit2WhereThereIsNone() public {
        Params memory p = newParams(2);
        Deposit[] memory d = good(p, Source.Permit2);
        vm.etch(PERMIT2, "");
        tries(hub, idOf(p), d);
    }

    /// A token that says yes to every call it does not know, as wrapped coins do.
    function testForbidsThatAYesToEverythingIsADeposit() public {
        YesToken yes = new YesToken();
        address f = hub.createFacade(address(yes));
        yes.mint(who(0), MUCH);
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, f, 100, Source.Eip3009);
        d[0].data = data3009(idOf(p), d[0], address(hub), 0, block.timestamp + 1);
        bytes4 why = tries(hub, idOf(p), d);
        vm.assertEq(bytes32(why), bytes32(IHubErrors.TokenDelta.selector));
        // Its permit does nothing; the allowance counts.
        d[0].source = Source.Eip2612;
        d[0].data = data2612(idOf(p), d[0], address(hub), 1);
        tries(hub, idOf(p), d);
        vm.prank(who(0));
        yes.approve(address(hub), 100);
        hub.open(idOf(p), d, nobody());
        vm.assertEq(hub.held(f, fid(p, 0)), 100);
    }

    /// Contract accounts authorise transfers with signatures of any length.
    function testForbidsAuthorisationsThatAContractDoesNotAccept() public {
        LongSigToken long = new LongSigToken();
        address f = hub.createFacade(address(long));
        Wallet w = new Wallet();
        long.mint(address(w), MUCH);
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, f, 100, Source.Eip3009);
        d[0].data =
            abi.encode(address(w), uint256(0), block.timestamp + 1, bytes("whatever it takes"));
        w.set(Wallet.Says.No);
        tries(hub, idOf(p), d);
        w.set(Wallet.Says.Yes);
        hub.open(idOf(p), d, nobody());
        vm.assertEq(hub.held(f, fid(p, 0)), 100);
        tries(hub, idOf(p), d);
        // The nonce is that of this deposit, its last 8 bytes zero.
        bytes32 nonce = keccak256(abi.encode(idOf(p), fid(p, 0), f, uint256(100)));
        vm.assertTrue(long.used(address(w), nonce >> 64 << 64));
    }

    /// Offsets and lengths of the data that lead anywhere else.
    function testFuzzForbidsThatOddDataMovesMoney(uint256 offset, uint256 size, uint8 which)
        public
    {
        Params memory p = newParams(2);
        Source source = sources()[which % 3];
        Deposit[] memory d = one(p, 1, facade, 100, source);
        bytes memory data = good(p, source)[0].data;
        assembly {
            mstore(add(data, 0x80), offset)
        }
        if (which % 2 == 0) {
            assembly {
                mstore(add(data, 0xa0), size)
            }
        }
        d[0].data = data;
        tries(hub, idOf(p), d);
    }

    function testFuzzForbidsEveryChangeOfOneBit(uint256 bit, uint8 which) public {
        Params memory p = newParams(2);
        Deposit[] memory d = good(p, sources()[which % 3]);
        bytes memory data = d[0].data;
        // All but the offset of the signature (see above) and, where there is one, the permit.
        uint256 at = (bit / 8) % 193;
        if (at >= 96) at += which % 3 == 2 ? 96 : 32;
        data[at] ^= bytes1(uint8(1) << uint8(bit % 8));
        tries(hub, idOf(p), d);
    }
}
