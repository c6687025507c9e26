// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
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

/// What each operation costs as a transaction of its own: run with `--isolate`, see `run.sh gas`.
/// Each row has an aim, and as its limit what was measured: passing that fails the test, so a change
/// that costs is a change that says so. docs/spec/evm.md says where the gas goes.
contract GasTest is PerunTest {
    event log_named_uint(string key, uint256 val);

    function setUp() public override {
        super.setUp();
        // Payees and the hub's token balance exist, as in any but the first use.
        for (uint256 i = 0; i < 2; ++i) {
            vm.deal(who(i), 1);
            token.mint(who(i), 1e18);
        }
        token.mint(address(hub), 1);
    }

    /// Limits hold for the release build only: `run.sh gas` sets the variable.
    function row(string memory name, uint256 aim, uint256 limit) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(string.concat(name, " [aim ", vm.toString(aim), "]"), used);
        if (vm.envOr("PERUN_GAS_LIMITS", false)) vm.assertTrue(used <= limit, name);
    }

    function last(Params memory p, address holder, uint256 one, uint256 two)
        private
        view
        returns (State memory s)
    {
        s = newState(p, 5, holder, list(one, two));
        s.isFinal = true;
    }

    function testCoinDepositAndClose() public {
        Params memory p = newParams(2);
        hub.deposit{value: 1e18}(fid(p, 0), 1e18);
        row("deposit, coin", 46_000, 45_944);
        hub.deposit{value: 2e18}(fid(p, 1), 2e18);
        State memory s = last(p, coin, 25e17, 5e17);
        bytes[] memory sigs = signAll(p, s);
        hub.closeAndPay(p, s, sigs);
        row("closeAndPay, coin", 99_000, 96_601);
    }

    function testConcludeFinalAndWithdraw() public {
        Params memory p = newParams(2);
        fund(p, coin, 1e18, 2e18);
        State memory s = last(p, coin, 25e17, 5e17);
        bytes[] memory sigs = signAll(p, s);
        hub.concludeFinal(p, s, sigs);
        row("concludeFinal, coin", 80_000, 82_462);
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, who(0), 25e17);
        hub.withdraw(a, sig);
        row("withdraw, coin", 70_000, 67_418);
    }

    function testBatch() public {
        SignedState[] memory all = new SignedState[](10);
        for (uint256 i = 0; i < 10; ++i) {
            Params memory p = newParams(2);
            fund(p, coin, 1e18, 2e18);
            all[i] = signed(p, last(p, coin, 25e17, 5e17));
        }
        hub.closeBatch(all);
        row("closeBatch of 10, coin", 740_000, 728_577);
    }

    function testDispute() public {
        Params memory p = newParams(2);
        fund(p, coin, 1e18, 2e18);
        SignedState memory one = signed(p, newState(p, 3, coin, list(30e17, 0)));
        hub.register(one, noSubs());
        row("register", 80_000, 81_705);
        SignedState memory two = signed(p, newState(p, 4, coin, list(1e18, 2e18)));
        hub.register(two, noSubs());
        row("refute", 60_000, 64_687);
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPay(p, two.state, none());
        row("concludeAndPay, coin", 75_000, 69_445);
    }

    function testTokenLifeCycle() public {
        Params memory p = newParams(2);
        Deposit[] memory d = new Deposit[](2);
        for (uint256 i = 0; i < 2; ++i) {
            d[i] = authorised(p, i, (i + 1) * 1e17);
        }
        hub.open(idOf(p), d, new Binding[](0));
        row("open, token, both by EIP-3009", 157_000, 176_045);
        State memory s = last(p, facade, 25e16, 5e16);
        bytes[] memory sigs = signAll(p, s);
        hub.closeAndPay(p, s, sigs);
        row("closeAndPay, token", 103_000, 104_495);
    }

    function authorised(Params memory p, uint256 i, uint256 amount)
        private
        view
        returns (Deposit memory)
    {
        bytes32 nonce = keccak256(abi.encode(idOf(p), fid(p, i), facade, amount)) >> 64 << 64;
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        uint256 until = block.timestamp + 1;
        bytes32 hash = keccak256(abi.encode(kind, who(i), hub, amount, 0, until, nonce));
        bytes memory sig =
            sign(i, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), hash)));
        return Deposit(
            facade, who(i), amount, Source.Eip3009, abi.encode(who(i), uint256(0), until, sig)
        );
    }

    function testTwoAssets() public {
        Params memory p = newParams(2);
        fund(p, coin, 1e18, 2e18);
        fund(p, facade, 1e18, 2e18);
        State memory s = last(p, coin, 25e17, 5e17);
        addAsset(s, block.chainid, facade, list(5e17, 25e17));
        bytes[] memory sigs = signAll(p, s);
        hub.closeAndPay(p, s, sigs);
        row("closeAndPay, coin and token", 150_000, 132_902);
    }

    function testPlainTokenDeposit() public {
        Params memory p = newParams(2);
        token.approve(facade, type(uint256).max);
        (bool ok,) =
            facade.call(abi.encodeWithSignature("deposit(bytes32,uint256)", fid(p, 0), 1e18));
        vm.assertTrue(ok);
        row("deposit, token, by the facade", 100_000, 81_301);
    }

    function testCreditLifeCycle() public {
        Params memory p = newParams(2);
        put(p, 0, coin, 1e18);
        row("open, coin, one deposit", 60_000, 54_575);
    }
}
