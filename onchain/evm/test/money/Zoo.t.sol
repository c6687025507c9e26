// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {Deposit, Move, Params, Source} from "../../src/interfaces/Types.sol";
import {MoneyTest} from "./base/MoneyTest.sol";
import {Permit2Own} from "./base/Permit2Own.sol";
import {Sight, Way, ZooToken} from "./base/ZooToken.sol";

/// Tokens of every kind on every path in: taken exactly, or refused with nothing changed.
contract ZooDepositsTest is MoneyTest {
    uint256 private constant PATHS = 5;
    bytes4 private constant FAILED = bytes4(keccak256("SafeERC20FailedOperation(address)"));
    ZooToken private zoo;
    address private zf;
    bytes32[2] private live;

    function setUp() public override {
        super.setUp();
        vm.etch(PERMIT2, address(new Permit2Own()).code);
        zoo = new ZooToken();
        zf = hub.createFacade(address(zoo));
        zoo.mint(address(this), 1e30);
        zoo.mint(who(0), 1e30);
        allow(ALL);
        // Another channel of the same token: nothing may change for it.
        Params memory p = newParams(2);
        fund(p, zf, 7, 9);
        fund(p, coin, 7, 9);
        live = [fid(p, 0), fid(p, 1)];
    }

    function allow(uint256 amount) private {
        zoo.approve(address(hub), amount);
        zoo.approve(zf, amount);
        vm.startPrank(who(0));
        zoo.approve(address(hub), amount);
        zoo.approve(PERMIT2, amount);
        vm.stopPrank();
    }

    /// The permit of Permit2 for who(0)'s deposit.
    function permit2(Params memory p, uint256 amount) private view returns (bytes memory) {
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,"
            "uint256 deadline,ChannelDeposit witness)"
            "ChannelDeposit(bytes32 channelID,bytes32 fundingID)"
            "TokenPermissions(address token,uint256 amount)"
        );
        bytes32 permitted = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"), address(zoo), amount
            )
        );
        bytes32 witness = keccak256(
            abi.encode(
                keccak256("ChannelDeposit(bytes32 channelID,bytes32 fundingID)"),
                idOf(p),
                fid(p, 0)
            )
        );
        bytes32 hash = keccak256(
            abi.encode(kind, permitted, address(hub), p.nonce, block.timestamp, witness)
        );
        bytes memory sig = sign(0, digestOf(Permit2Own(PERMIT2).DOMAIN_SEPARATOR(), hash));
        return abi.encode(who(0), p.nonce, block.timestamp, sig);
    }

    /// One way in, into who(0)'s deposit of a new channel.
    function tryPath(uint256 path, Params memory p, uint256 amount)
        private
        returns (bool ok, bytes4 why)
    {
        bytes32 id = idOf(p);
        address to = address(hub);
        bytes memory data;
        Deposit[] memory d = one(p, 0, zf, amount, Source.Sender);
        if (path == 0) {
            to = zf;
            data = abi.encodeCall(IAssetHolder.deposit, (fid(p, 0), amount));
        } else if (path == 2) {
            d[0].source = Source.Eip2612;
            bytes32 hash = intentHash(id, d[0], who(0), p.nonce, block.timestamp);
            bytes memory sig = sign(0, mine(hash));
            d[0].data = abi.encode(who(0), p.nonce, block.timestamp, sig, uint256(0), bytes(""));
        } else if (path == 3) {
            d[0].source = Source.Permit2;
            d[0].data = permit2(p, amount);
        } else if (path == 4) {
            Params memory old = newParams(2);
            Move[] memory none_ = new Move[](0);
            bytes[] memory sigs = consent(old, none_, block.timestamp);
            data =
                abi.encodeCall(hub.resize, (old, none_, block.timestamp, sigs, id, d, nobody()));
        }
        if (data.length == 0) data = abi.encodeCall(hub.open, (id, d, nobody()));
        bytes memory back;
        (ok, back) = to.call{gas: 5_000_000}(data);
        why = bytes4(back);
    }

    function accepted(uint256 amount) private {
        uint256 before = zoo.honest(address(hub));
        for (uint256 path = 0; path < PATHS; ++path) {
            Params memory p = newParams(2);
            (bool ok,) = tryPath(path, p, amount);
            vm.assertTrue(ok, "a good token was refused");
            vm.assertEq(hub.held(zf, fid(p, 0)), amount);
            before += amount;
            vm.assertEq(zoo.honest(address(hub)), before);
        }
        untouched();
    }

    /// `why` as the hub says it; through Permit2 a transfer's error may be another.
    function refused(bytes4 why) private {
        uint256 rich = zoo.honest(address(this));
        uint256 kept = zoo.honest(address(hub));
        for (uint256 path = 0; path < PATHS; ++path) {
            Params memory p = newParams(2);
            (bool ok, bytes4 found) = tryPath(path, p, 100);
            vm.assertTrue(!ok, "a bad token was taken");
            if (path != 3) vm.assertEq(bytes32(found), bytes32(why));
            vm.assertEq(hub.held(zf, fid(p, 0)), 0);
        }
        vm.assertEq(zoo.honest(address(this)), rich);
        vm.assertEq(zoo.honest(address(hub)), kept);
        untouched();
    }

    function untouched() private view {
        vm.assertEq(hub.held(zf, live[0]), 7);
        vm.assertEq(hub.held(zf, live[1]), 9);
        vm.assertEq(hub.held(coin, live[0]), 7);
        vm.assertEq(hub.held(coin, live[1]), 9);
        vm.assertEq(address(hub).balance, 16);
    }

    function testForbidsRefusingAStandardToken() public {
        accepted(100);
        accepted(0);
    }

    function testForbidsThatDecimalsMatter() public {
        uint8[4] memory all = [0, 6, 77, 255];
        for (uint256 i = 0; i < 4; ++i) {
            zoo.setDecimals(all[i]);
            accepted(1);
        }
    }

    function testForbidsRefusingATokenThatAnswersNothing() public {
        zoo.setWays(Way.Nothing, Way.Nothing);
        zoo.setApprovesFromZeroOnly(true);
        allow(0);
        allow(1000);
        accepted(100);
    }

    function testForbidsThatALongAnswerSpoilsADeposit() public {
        zoo.setWays(Way.LongAnswer, Way.True);
        accepted(100);
    }

    function testForbidsDepositsThatAreAnsweredWithFalse() public {
        zoo.setWays(Way.False, Way.True);
        refused(FAILED);
        zoo.setWays(Way.FalseButMoves, Way.True);
        refused(FAILED);
        zoo.setWays(Way.Two, Way.True);
        refused(FAILED);
    }

    function testForbidsDepositsThatWereNotMade() public {
        zoo.setWays(Way.Lie, Way.True);
        refused(IHubErrors.TokenDelta.selector);
    }

    function testForbidsDepositsThatRevert() public {
        zoo.setWays(Way.Reverts, Way.True);
        refused(ZooToken.Refused.selector);
        zoo.setWays(Way.True, Way.True);
        zoo.setPaused(true);
        refused(ZooToken.Paused.selector);
        zoo.setPaused(false);
        zoo.setBanned(address(hub), true);
        refused(ZooToken.Banned.selector);
    }

    function testForbidsDepositsOfWhatBurnsTheGas() public {
        zoo.setWays(Way.BurnsGas, Way.True);
        refused(0);
    }

    function testForbidsDepositsOfWhatRevertsWithABomb() public {
        zoo.setWays(Way.RevertBomb, Way.True);
        refused(0);
    }

    function testForbidsFeesOnTransfer() public {
        zoo.setFee(1, false);
        refused(IHubErrors.TokenDelta.selector);
    }

    function testForbidsNothingIfTheSenderPaysTheFee() public {
        zoo.setFee(1, true);
        accepted(100);
    }

    function testForbidsBalancesThatLie() public {
        zoo.setSight(Sight.Double);
        refused(IHubErrors.TokenDelta.selector);
        zoo.setSight(Sight.Nothing);
        refused(IHubErrors.TokenDelta.selector);
        zoo.setSight(Sight.Reverts);
        refused(ZooToken.Refused.selector);
    }

    function testForbidsDepositsOfATokenWithoutCode() public {
        bytes memory code = address(zoo).code;
        vm.etch(address(zoo), "");
        for (uint256 path = 0; path < PATHS; ++path) {
            Params memory p = newParams(2);
            (bool ok,) = tryPath(path, p, 100);
            vm.assertTrue(!ok);
            // Not even nothing of it, since a facade for it could not be made now.
            (ok,) = tryPath(path, p, 0);
            vm.assertTrue(!ok);
        }
        vm.etch(address(zoo), code);
        untouched();
    }

    function testForbidsAmountsOf128BitsAndMore() public {
        zoo.mint(address(this), 1 << 200);
        zoo.mint(who(0), 1 << 200);
        for (uint256 path = 0; path < PATHS; ++path) {
            Params memory p = newParams(2);
            (bool ok, bytes4 why) = tryPath(path, p, 1 << 128);
            vm.assertTrue(!ok);
            vm.assertEq(bytes32(why), bytes32(IHubErrors.Amount.selector));
            // Nor in two steps.
            (ok,) = tryPath(path, p, type(uint128).max);
            vm.assertTrue(ok);
            (ok, why) = tryPath(0, p, 1);
            vm.assertEq(bytes32(why), bytes32(IHubErrors.Amount.selector));
        }
        untouched();
    }

    /// Balances that grow or shrink between two deposits change no deposit.
    function testForbidsThatARebaseChangesWhatIsHeld() public {
        accepted(100);
        zoo.rebase(2, 1);
        accepted(100);
        zoo.rebase(1, 2);
        accepted(100);
    }

    function testForbidsFacadesOfWhatIsNoContract() public {
        mustFail(
            IHubErrors.UnknownHolder.selector, abi.encodeCall(hub.createFacade, (address(0xE0A)))
        );
        mustFail(
            IHubErrors.UnknownHolder.selector, abi.encodeCall(hub.createFacade, (address(0)))
        );
        // A facade that was only computed is not one yet.
        ZooToken other = new ZooToken();
        address f = hub.facadeOf(address(other));
        Params memory p = newParams(2);
        bytes memory data =
            abi.encodeCall(hub.open, (idOf(p), one(p, 0, f, 1, Source.Sender), nobody()));
        mustFail(IHubErrors.UnknownHolder.selector, data);
    }

    /// The hub as a token of itself, a facade as a token, the desk's implementation.
    function testForbidsThatTheHubIsItsOwnToken() public {
        address[2] memory odd = [address(hub), facade];
        for (uint256 i = 0; i < 2; ++i) {
            address f = hub.createFacade(odd[i]);
            Params memory p = newParams(2);
            failure(abi.encodeCall(hub.open, (idOf(p), one(p, 0, f, 1, Source.Sender), nobody())));
            (bool ok,) = f.call(abi.encodeCall(IAssetHolder.deposit, (fid(p, 0), 1)));
            vm.assertTrue(!ok);
            (ok,) = f.call(abi.encodeCall(IAssetHolder.deposit, (fid(p, 0), 0)));
            vm.assertTrue(!ok);
        }
        untouched();
    }

    function testFuzzForbidsThatMoreOrLessThanTheDepositIsHeld(uint128 amount, uint128 taken)
        public
    {
        for (uint256 i = 0; i < 2; ++i) {
            zoo.mint(address(this), type(uint128).max);
            zoo.mint(who(0), type(uint128).max);
        }
        uint256 lost = uint256(taken) % (uint256(amount) + 1);
        zoo.setFee(lost, false);
        for (uint256 path = 0; path < 4; ++path) {
            Params memory p = newParams(2);
            (bool ok,) = tryPath(path, p, amount);
            vm.assertTrue(ok == (lost == 0));
            vm.assertEq(hub.held(zf, fid(p, 0)), lost == 0 ? amount : 0);
        }
        untouched();
    }
}
