// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Participant,
    SignedState,
    Source,
    WithdrawalAuth,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {ChaosToken} from "./Players.sol";
import {OnChain} from "./OnChain.sol";

/// @title Withdrawals, credits, payees, and deposits that somebody signed for.
abstract contract Money is OnChain {
    uint256 private _used;

    function hasHoldings(uint256 ch) internal view returns (bool) {
        if (!isConcluded(ch)) return false;
        for (uint256 h = 0; h < HOLDERS; ++h) {
            if (h != CHAOS && heldOf(ch, h) != 0) return true;
        }
        return false;
    }

    /// A concluded channel, one of its holdings, and whose it is.
    function holding() internal returns (uint256 ch, uint256 h, uint256 party) {
        ch = pick(hasHoldings);
        if (ch == NONE) {
            ch = funded(false);
            if (heldOf(ch, 0) == 0) put(ch, 0, 0, 5);
            finish(ch);
            SignedState memory n = nodeOf(ch, newest(ch));
            send(abi.encodeCall(hub.concludeFinal, (n.params, n.state, n.sigs)), ch);
        }
        for (h = 0; h < HOLDERS; ++h) {
            for (party = 0; h != CHAOS && party < chans[ch].keys.length; ++party) {
                if (hub.held(holders[h], fundingOf(ch, party)) != 0) return (ch, h, party);
            }
        }
    }

    function withdrawAsPerun() internal returns (bool) {
        (uint256 ch, uint256 h, uint256 party) = holding();
        uint256 amount = hub.held(holders[h], fundingOf(ch, party));
        uint256 key_ = chans[ch].keys[party];
        // Of part of it: refused.
        if (chance(3) && withdrawPart(ch, h, party, amount - 1)) {
            fault(6, "a part was withdrawn by Perun's authorisation");
        }
        return withdrawPart(ch, h, party, amount) && key_ < KEYS;
    }

    function withdrawPart(uint256 ch, uint256 h, uint256 party, uint256 amount)
        private
        returns (bool)
    {
        uint256 key_ = chans[ch].keys[party];
        WithdrawalAuth memory a =
            WithdrawalAuth(chans[ch].id, Participant(names[key_], ""), RELAYER, amount);
        bytes memory sig = sign(key_, eip191(keccak256(abi.encode(a))));
        bytes memory data = abi.encodeCall(IAssetHolder.withdraw, (a, sig));
        return doCall(Recorded(RELAYER, holders[h], 0, data, ch, NONE, true));
    }

    function withdrawTyped() internal returns (bool) {
        (uint256 ch, uint256 h, uint256 party) = holding();
        uint256 amount = hub.held(holders[h], fundingOf(ch, party));
        uint256 key_ = chans[ch].keys[party];
        uint256 asked = chance(2) ? type(uint256).max : 1 + draw(amount);
        WithdrawalV2 memory w = WithdrawalV2(
            chans[ch].id,
            holders[h],
            names[key_],
            address(this),
            asked,
            1,
            ++_used,
            block.timestamp + 1e6
        );
        bytes32 kind = keccak256(
            "WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)"
        );
        bytes memory sig = sign(key_, typed(keccak256(abi.encode(kind, w))));
        bytes memory data;
        if (chance(2)) {
            data = abi.encodeCall(hub.withdrawV2, (w, sig));
        } else {
            WithdrawalV2[] memory ws = new WithdrawalV2[](2);
            bytes[] memory sigs = new bytes[](2);
            (ws[0], ws[1], sigs[0], sigs[1]) = (w, w, sig, sig);
            data = abi.encodeCall(hub.withdrawMany, (ws, sigs));
        }
        return doCall(Recorded(RELAYER, address(hub), 0, data, ch, NONE, true));
    }

    // Credits.

    /// A payment that fails: to a payee who takes no coins, or of a token that does not move.
    function makeCredit(bool ofToken) internal returns (uint256 key_) {
        calm();
        uint256 ch = openLedger(false);
        while (newest(ch).outcome.balances[0][0] == 0 || chans[ch].keys.length != 2) {
            ch = openLedger(false);
        }
        key_ = chans[ch].keys[0];
        if (ofToken) {
            chans[ch].newest = "";
            delete papers[ch];
            agree(ch, newState(paramsOf(ch), 0, holders[CHAOS], list(7, 3)));
            put(ch, CHAOS, 0, 10);
            chaos.set(
                chance(2) ? ChaosToken.Mode.Reverts : ChaosToken.Mode.SaysFalse, address(0), ""
            );
        } else {
            put(ch, 0, 0, totals(newest(ch))[0]);
            payees[key_].set(true, address(0), "");
            bindPayee(ch, 0);
        }
        finish(ch);
        SignedState memory n = nodeOf(ch, newest(ch));
        send(abi.encodeCall(hub.closeAndPay, (n.params, n.state, n.sigs)), ch);
        calm();
        payees[key_].set(false, address(0), "");
    }

    function bindPayee(uint256 ch, uint256 party) internal returns (bool) {
        return bindPayee(ch, party, address(payees[chans[ch].keys[party]]));
    }

    function bindPayee(uint256 ch, uint256 party, address payee) private returns (bool) {
        uint256 key_ = chans[ch].keys[party];
        bytes32 kind = keccak256(
            "PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)"
        );
        bytes32 hash =
            keccak256(abi.encode(kind, chans[ch].id, names[key_], payee, block.timestamp));
        Binding memory b = Binding(names[key_], payee, block.timestamp, sign(key_, typed(hash)));
        return doCall(
            Recorded(
                RELAYER,
                address(hub),
                0,
                abi.encodeCall(hub.bindPayee, (chans[ch].id, b)),
                NONE,
                NONE,
                false
            )
        );
    }

    function bindSome() internal returns (bool) {
        uint256 ch = pick(isUnseenLedger);
        if (ch == NONE || hub.payeeOf(fundingOf(ch, 0)) != address(0)) ch = funded(false);
        bool good = bindPayee(ch, 0);
        if (bindPayee(ch, 0, RELAYER)) fault(6, "a payee was bound twice");
        return good;
    }

    function takeCredit() internal returns (bool) {
        address account_ = address(payees[makeCredit(false)]);
        uint256 amount = hub.credit(account_, coin);
        bytes memory data = abi.encodeCall(hub.withdrawCredit, (coin, RELAYER, amount));
        return amount != 0 && doCall(Recorded(account_, address(hub), 0, data, NONE, NONE, false));
    }

    function takeCreditSigned() internal returns (bool) {
        uint256 key_ = makeCredit(true);
        address holder = holders[CHAOS];
        uint256 amount = hub.credit(names[key_], holder);
        if (amount == 0) return false;
        CreditWithdrawal memory c = CreditWithdrawal(
            names[key_], holder, RELAYER, amount - draw(2), ++_used, block.timestamp + 1e6
        );
        bytes32 kind = keccak256(
            "CreditWithdrawal(address account,address holder,address receiver,uint256 amount,uint256 nonce,uint256 deadline)"
        );
        bytes memory sig = sign(key_, typed(keccak256(abi.encode(kind, c))));
        bytes memory data = abi.encodeCall(hub.withdrawCreditFor, (c, sig));
        return doCall(Recorded(RELAYER, address(hub), 0, data, NONE, NONE, true));
    }

    /// A credit becomes a deposit, by the owner's intent.
    function creditIntoChannel() internal returns (bool) {
        uint256 key_ = makeCredit(true);
        address holder = holders[CHAOS];
        uint256 amount = hub.credit(names[key_], holder);
        if (amount == 0) return false;
        uint256 ch = openLedger(false);
        Deposit[] memory d = new Deposit[](1);
        d[0] = Deposit(holder, names[chans[ch].keys[0]], amount, Source.IntentCredit, "");
        d[0].data = intent(ch, d[0], key_);
        bytes memory data = abi.encodeCall(hub.open, (chans[ch].id, d, new Binding[](0)));
        return doCall(Recorded(RELAYER, address(hub), 0, data, ch, NONE, true));
    }

    function intent(uint256 ch, Deposit memory d, uint256 key_) private returns (bytes memory) {
        bytes32 kind = keccak256(
            "DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,uint8 source,address owner,uint256 nonce,uint256 deadline)"
        );
        uint256 deadline = block.timestamp + 1e6;
        bytes32 hash = keccak256(
            abi.encode(
                kind,
                chans[ch].id,
                fundingOf(ch, 0),
                d.holder,
                d.amount,
                d.source,
                names[key_],
                ++_used,
                deadline
            )
        );
        return abi.encode(names[key_], _used, deadline, sign(key_, typed(hash)));
    }

    /// A deposit by EIP-3009; then somebody tries to steer the same authorisation elsewhere.
    function depositSigned() internal returns (bool) {
        uint256 ch = openLedger(false);
        uint256 key_ = draw(KEYS);
        uint256 amount = 1 + draw(1000);
        Deposit[] memory d = new Deposit[](1);
        d[0] = Deposit(holders[1], names[chans[ch].keys[0]], amount, Source.Eip3009, "");
        bytes32 nonce = keccak256(abi.encode(chans[ch].id, fundingOf(ch, 0), d[0].holder, amount));
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                names[key_],
                address(hub),
                amount,
                0,
                block.timestamp + 1e6,
                nonce >> 64 << 64
            )
        );
        hash = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), hash));
        d[0].data = abi.encode(names[key_], 0, block.timestamp + 1e6, sign(key_, hash));
        d[0].participant = names[chans[ch].keys[1]];
        bytes memory data = abi.encodeCall(hub.open, (chans[ch].id, d, new Binding[](0)));
        if (doCall(Recorded(RELAYER, address(hub), 0, data, ch, NONE, true))) {
            fault(6, "an authorisation was steered to another deposit");
        }
        d[0].participant = names[chans[ch].keys[0]];
        data = abi.encodeCall(hub.open, (chans[ch].id, d, new Binding[](0)));
        return doCall(Recorded(RELAYER, address(hub), 0, data, ch, NONE, true));
    }

    /// After the end. It can be withdrawn; nothing else changes.
    function depositLate() internal returns (bool) {
        (uint256 ch,,) = holding();
        bytes memory data =
            abi.encodeCall(IAssetHolder.deposit, (fundingOf(ch, draw(chans[ch].keys.length)), 9));
        return doCall(Recorded(address(this), coin, 9, data, ch, NONE, false));
    }

    function changeChaos() internal returns (bool) {
        ChaosToken.Mode mode = ChaosToken.Mode(draw(7));
        if (chance(12)) mode = ChaosToken.Mode(7 + draw(2));
        if (uint8(mode) >= 7) tainted = true;
        address target = address(hub);
        bytes memory data = calls.length == 0 ? bytes("") : calls[draw(calls.length)].data;
        if (mode == ChaosToken.Mode.Reenters) {
            data = abi.encodeCall(IAssetHolder.deposit, (bytes32(0), 0));
        }
        chaos.set(mode, target, data);
        return true;
    }

    /// A payee that calls the hub back while it is paid.
    function changePayee() internal returns (bool) {
        bytes memory data = abi.encodeCall(hub.withdrawCredit, (coin, RELAYER, 0));
        payees[draw(KEYS)].set(chance(3), address(hub), data);
        return true;
    }

    function gotIn() internal view returns (bool) {
        for (uint256 k = 0; k < KEYS; ++k) {
            if (payees[k].gotIn()) return true;
        }
        return chaos.gotIn();
    }
}
