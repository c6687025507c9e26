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
/// `cargo xtask costs` reads the rows, and CI compares them with `docs/costs.json`, exactly: a change
/// that costs is a change that says so.
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

    /// What the last call took, as its sender pays for it.
    function row(string memory name) private returns (uint256 used) {
        used = vm.lastCallGas().gasTotalUsed;
        total(name, used);
    }

    function total(string memory name, uint256 used) private {
        emit log_named_uint(name, used);
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
        uint256 life = row("deposit, coin");
        hub.deposit{value: 2e18}(fid(p, 1), 2e18);
        life += row("deposit, coin, the other side");
        State memory s = last(p, coin, 25e17, 5e17);
        bytes[] memory sigs = signAll(p, s);
        hub.closeAndPay(p, s, sigs);
        life += row("closeAndPay, coin");
        total("life cycle, coin: open, close, paid out", life);
    }

    function testConcludeFinalAndWithdraw() public {
        Params memory p = newParams(2);
        fund(p, coin, 1e18, 2e18);
        State memory s = last(p, coin, 25e17, 5e17);
        bytes[] memory sigs = signAll(p, s);
        hub.concludeFinal(p, s, sigs);
        row("concludeFinal, coin");
        (WithdrawalAuth memory a, bytes memory sig) = auth(p, 0, who(0), 25e17);
        hub.withdraw(a, sig);
        row("withdraw, coin");
    }

    function testBatch() public {
        SignedState[] memory all = new SignedState[](10);
        for (uint256 i = 0; i < 10; ++i) {
            Params memory p = newParams(2);
            fund(p, coin, 1e18, 2e18);
            all[i] = signed(p, last(p, coin, 25e17, 5e17));
        }
        hub.closeBatch(all);
        total("closeBatch of 10, coin: each", row("closeBatch of 10, coin") / 10);
    }

    function testDispute() public {
        Params memory p = newParams(2);
        fund(p, coin, 1e18, 2e18);
        SignedState memory one = signed(p, newState(p, 3, coin, list(30e17, 0)));
        hub.register(one, noSubs());
        row("register");
        SignedState memory two = signed(p, newState(p, 4, coin, list(1e18, 2e18)));
        hub.register(two, noSubs());
        row("refute");
        vm.warp(block.timestamp + DURATION);
        hub.concludeAndPay(p, two.state, none());
        row("concludeAndPay, coin");
    }

    function testTokenLifeCycle() public {
        Params memory p = newParams(2);
        Deposit[] memory d = new Deposit[](2);
        for (uint256 i = 0; i < 2; ++i) {
            d[i] = authorised(p, i, (i + 1) * 1e17);
        }
        hub.open(idOf(p), d, new Binding[](0));
        uint256 life = row("open, token, both by EIP-3009");
        State memory s = last(p, facade, 25e16, 5e16);
        bytes[] memory sigs = signAll(p, s);
        hub.closeAndPay(p, s, sigs);
        life += row("closeAndPay, token");
        total("life cycle, token: open, close, paid out", life);
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
        row("closeAndPay, coin and token");
    }

    function testPlainTokenDeposit() public {
        Params memory p = newParams(2);
        token.approve(facade, type(uint256).max);
        (bool ok,) =
            facade.call(abi.encodeWithSignature("deposit(bytes32,uint256)", fid(p, 0), 1e18));
        vm.assertTrue(ok);
        row("deposit, token, by the facade");
    }

    function testCreditLifeCycle() public {
        Params memory p = newParams(2);
        put(p, 0, coin, 1e18);
        row("open, coin, one deposit");
    }
}
