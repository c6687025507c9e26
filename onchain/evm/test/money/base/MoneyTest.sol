// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Move,
    Params,
    SignedState,
    Source,
    State,
    WithdrawalV2
} from "../../../src/interfaces/Types.sol";
import {PerunTest} from "../../base/PerunTest.sol";
import {MoneyVm} from "./MoneyVm.sol";

/// @title What the stories of money sign, and how they ask for what must fail.
/// @notice Every digest is made here anew from the type strings, not by the hub's own code.
abstract contract MoneyTest is PerunTest {
    MoneyVm internal constant more =
        MoneyVm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    uint256 internal constant ALL = type(uint256).max;
    address internal constant STRANGER = address(0xBAD);

    function finalState(Params memory p, address holder, uint256[] memory balances)
        internal
        view
        returns (State memory s)
    {
        s = newState(p, 9, holder, balances);
        s.isFinal = true;
    }

    function close(Params memory p, State memory s) internal {
        hub.closeAndPay(p, s, signAll(p, s));
    }

    function signedWith(Params memory p, State memory s, bytes[] memory sigs)
        internal
        pure
        returns (SignedState memory)
    {
        return SignedState(p, s, sigs);
    }

    function fundingID(bytes32 id, address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, account));
    }

    function one(Params memory p, uint256 index, address holder, uint256 amount, Source source)
        internal
        pure
        returns (Deposit[] memory d)
    {
        d = new Deposit[](1);
        d[0] = Deposit(holder, p.participants[index].ethAddress, amount, source, "");
    }

    function nobody() internal pure returns (Binding[] memory) {}

    /// The hub's answer to a call that must fail; reverts if it does not.
    function failure(bytes memory data) internal returns (bytes4) {
        return failureWith(0, data);
    }

    function failureWith(uint256 value, bytes memory data) internal returns (bytes4) {
        (bool ok, bytes memory answer) = address(hub).call{value: value}(data);
        vm.assertTrue(!ok, "must fail");
        return bytes4(answer);
    }

    function mustFail(bytes4 why, bytes memory data) internal {
        bytes4 found = failure(data);
        vm.assertEq(bytes32(found), bytes32(why));
    }

    function mustSucceed(bytes memory data) internal {
        (bool ok, bytes memory answer) = address(hub).call(data);
        if (!ok) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    // Signed messages.

    function hubDomain(uint256 chain, address verifier) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        return
            keccak256(abi.encode(kind, keccak256("Perun Hub"), keccak256("1"), chain, verifier));
    }

    function digestOf(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function mine(bytes32 structHash) internal view returns (bytes32) {
        return digestOf(hubDomain(block.chainid, address(hub)), structHash);
    }

    function withdrawalHash(WithdrawalV2 memory w) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "WithdrawalV2(bytes32 channelID,address holder,address participant,"
            "address receiver,uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)"
        );
        return keccak256(abi.encode(kind, w));
    }

    function creditHash(CreditWithdrawal memory c) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "CreditWithdrawal(address account,address holder,address receiver,uint256 amount,"
            "uint256 nonce,uint256 deadline)"
        );
        return keccak256(abi.encode(kind, c));
    }

    function intentHash(
        bytes32 id,
        Deposit memory d,
        address owner,
        uint256 nonce,
        uint256 deadline
    ) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,"
            "uint8 source,address owner,uint256 nonce,uint256 deadline)"
        );
        bytes32 name = fundingID(id, d.participant);
        return keccak256(
            abi.encode(kind, id, name, d.holder, d.amount, d.source, owner, nonce, deadline)
        );
    }

    function bindingHash(bytes32 id, address participant, address payee, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256(
            "PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)"
        );
        return keccak256(abi.encode(kind, id, participant, payee, deadline));
    }

    function spendHash(bytes32 id, Move[] memory moves, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 move =
            keccak256("Move(address holder,address to,bytes32 fundingID,uint256 amount)");
        bytes32 kind = keccak256(
            "ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)"
            "Move(address holder,address to,bytes32 fundingID,uint256 amount)"
        );
        bytes memory all;
        for (uint256 i = 0; i < moves.length; ++i) {
            all = bytes.concat(all, keccak256(abi.encode(move, moves[i])));
        }
        return keccak256(abi.encode(kind, id, keccak256(all), deadline));
    }

    function binding(Params memory p, uint256 index, address payee, uint256 deadline)
        internal
        view
        returns (Binding memory)
    {
        bytes32 hash = bindingHash(idOf(p), who(index), payee, deadline);
        return Binding(who(index), payee, deadline, sign(index, mine(hash)));
    }

    function v2(Params memory p, uint256 index, address holder, uint256 amount)
        internal
        view
        returns (WithdrawalV2 memory)
    {
        return WithdrawalV2(
            idOf(p), holder, who(index), address(0xB0B), amount, 0, 1, block.timestamp
        );
    }

    function signV2(uint256 index, WithdrawalV2 memory w) internal view returns (bytes memory) {
        return sign(index, mine(withdrawalHash(w)));
    }

    function consent(Params memory p, Move[] memory moves, uint256 deadline)
        internal
        view
        returns (bytes[] memory)
    {
        return signAllDigest(p, mine(spendHash(idOf(p), moves, deadline)));
    }

    function spend(Params memory p, Move[] memory moves) internal {
        bytes[] memory sigs = consent(p, moves, block.timestamp);
        hub.spendByConsent(p, moves, block.timestamp, sigs);
    }

    function swap(
        bytes32 lockHash,
        uint8 row,
        uint8 from,
        uint8 to,
        uint64 expiry,
        uint128 amount
    ) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), lockHash, row, from, to, expiry, amount);
    }
}
