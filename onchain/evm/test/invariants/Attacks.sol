// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    Asset,
    Params,
    Participant,
    SignedState,
    State,
    SubAlloc
} from "../../src/interfaces/Types.sol";
import {Money} from "./Money.sol";
import {Shape} from "./Shape.sol";

/// @title Those who replay, bend and forge.
abstract contract Attacks is Money {
    uint256 internal constant SHAPES_TAKEN = 103;
    uint256 internal constant SHAPES_REFUSED = 104;
    uint256 internal constant REPLAYS_TAKEN = 105;
    uint256 internal constant REPLAYS_REFUSED = 106;

    /// Anything that was ever called, again, by a stranger.
    function replay() internal returns (bool) {
        if (calls.length == 0) return false;
        for (uint256 k = 0; k < 4; ++k) {
            Recorded memory r = calls[draw(calls.length)];
            bool own = r.sender != RELAYER;
            if (!own) r.sender = address(this);
            ++count[doAgain(r) ? REPLAYS_TAKEN : REPLAYS_REFUSED];
        }
        return true;
    }

    /// A child of honest people, locked in a stranger's channel that is over soon.
    function freeze() internal returns (bool) {
        uint256 ch = pick(isChild);
        if (ch == NONE) {
            uint256 root = funded(false);
            ch = openSub(root, false);
            pay(ch);
        }
        State memory old = abi.decode(stateOf[papers[ch][0]], (State));
        Params memory p = newParams(2);
        p.challengeDuration = 1800;
        p.participants[0].ethAddress = who(KEYS);
        p.participants[1].ethAddress = who(KEYS + 1);
        State memory s = newState(p, 1, coin, list(0, 0));
        (s.outcome.assets, s.outcome.backends) = (old.outcome.assets, old.outcome.backends);
        s.outcome.balances = new uint256[][](old.outcome.assets.length);
        for (uint256 row = 0; row < s.outcome.balances.length; ++row) {
            s.outcome.balances[row] = list(0, 0);
        }
        if (old.outcome.balances[0].length != 2) return false;
        lock(s, old, map(0, 1));
        SignedState[] memory subs = below(s, false);
        subs[0] = nodeOf(ch, old);
        bytes memory data = abi.encodeCall(hub.register, (signed(p, s), subs));
        if (send(data, NONE) && !chans[ch].isVirtual) {
            fault(4, "a stranger's channel took hold of a child");
        }
        State[] memory states = new State[](1);
        states[0] = old;
        if (send(abi.encodeCall(hub.conclude, (p, s, states)), NONE)) {
            fault(4, "a stranger's channel ended a child");
        }
        return true;
    }

    function isChild(uint256 ch) internal view returns (bool) {
        return !chans[ch].isLedger && chans[ch].keys.length == 2 && papers[ch].length > 1;
    }

    /// One participant, named twice.
    function doubled() internal returns (bool) {
        Params memory p = newParams(2);
        p.participants[1].ethAddress = p.participants[0].ethAddress;
        State memory s = newState(p, 1, coin, list(5, 5));
        s.isFinal = true;
        bytes[] memory sigs = new bytes[](2);
        sigs[0] = sign(0, eip191(keccak256(abi.encode(s))));
        sigs[1] = sigs[0];
        hub.deposit{value: 5}(fid(p, 0), 5);
        uint256 had = names[0].balance;
        if (send(abi.encodeCall(hub.closeAndPay, (p, s, sigs)), NONE)) {
            fault(8, "a participant was taken twice");
        }
        if (names[0].balance > had + 5) fault(2, "more was paid than deposited");
        return true;
    }

    // Signatures.

    uint256 private constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    /// Every other way to write a good signature.
    function bend(bytes memory sig) internal returns (bytes memory) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(sig, 0x20))
            s := mload(add(sig, 0x40))
        }
        uint8 v = uint8(sig[64]);
        uint256 kind = draw(8);
        if (kind == 0) return abi.encodePacked(r, s, v - 27);
        if (kind == 1) return abi.encodePacked(r, ORDER - uint256(s), v == 27 ? 28 : 27);
        if (kind == 2) return abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255);
        if (kind == 3) return bytes.concat(sig, hex"00");
        if (kind == 4) return abi.encodePacked(r, s);
        if (kind == 5) return abi.encodePacked(r, s, v == 27 ? 28 : 27);
        if (kind == 6) return "";
        return abi.encodePacked(r, s, uint8(29 + draw(227)));
    }

    function bentSignatures() internal returns (bool good) {
        Params memory p = newParams(2);
        State memory s = newState(p, 1, coin, list(0, 0));
        s.isFinal = true;
        bytes[] memory sigs = signAll(p, s);
        bytes memory kept = sigs[1];
        for (uint256 k = 0; k < 3; ++k) {
            sigs[1] = bend(kept);
            SignedState memory n = SignedState(p, s, sigs);
            if (send(abi.encodeCall(hub.register, (n, noSubs())), NONE)) {
                fault(10, "a second spelling of a signature registered a state");
            }
            if (send(abi.encodeCall(hub.closeAndPay, (p, s, sigs)), NONE)) {
                fault(10, "a second spelling of a signature closed a channel");
            }
        }
        sigs[1] = kept;
        return send(abi.encodeCall(hub.closeAndPay, (p, s, sigs)), NONE);
    }

    // Shapes.

    function odd(uint256 usual, uint256 a, uint256 b) private returns (uint256) {
        return chance(12) ? (chance(2) ? a : b) : usual;
    }

    function row_(uint256 size) private returns (uint256[] memory out) {
        out = new uint256[](size);
        for (uint256 i = 0; i < size; ++i) {
            out[i] = draw(100);
        }
        if (size != 0 && chance(10)) out[draw(size)] = 2 ** (126 + draw(3)) - draw(2);
        if (size != 0 && chance(10)) out[draw(size)] = 2 ** 128 - 1;
    }

    function oddParams() private returns (Params memory p) {
        p = newParams(odd(2 + draw(2), 1, 17));
        for (uint256 i = 0; i < p.participants.length; ++i) {
            p.participants[i].ccAddress = new bytes(odd(draw(40), 128, 129));
        }
        p.challengeDuration = odd(1800 + draw(1000), 1799, 365 days + draw(2));
        if (p.participants.length == 1) return p;
        if (chance(20)) p.participants[1].ethAddress = p.participants[0].ethAddress;
        if (chance(20)) p.participants[1].ethAddress = address(0);
        p.virtualChannel = chance(10);
    }

    function oddState(Params memory p) private returns (State memory s) {
        uint256 rows = odd(1 + draw(3), 16, 17);
        uint256 size = odd(p.participants.length, 1, 3);
        s = newState(p, uint64(odd(draw(3), 2 ** 48 - 1, 2 ** 48)), coin, row_(size));
        for (uint256 k = 1; k < rows; ++k) {
            bool here = k < HOLDERS && chance(2);
            addAsset(
                s,
                here ? block.chainid : FOREIGN_CHAIN + odd(k, 1, 2),
                here ? holders[odd(k, 0, 1)] : address(0),
                row_(odd(size, size, size + 1))
            );
            s.outcome.assets[k].ccHolder = new bytes(odd(draw(3), 128, 129));
        }
        if (chance(20)) s.outcome.backends = list(1);
        if (chance(20)) s.outcome.balances = new uint256[][](rows + 1);
        if (chance(20)) s.channelID = bytes32(draw(5));
        s.isFinal = chance(3);
        if (chance(2)) s.appData = oddData();
    }

    function oddData() private returns (bytes memory d) {
        d = abi.encodePacked(uint8(odd(1, 0, 2)), sha256("x"));
        uint256 legs = 1 + draw(2);
        for (uint256 k = 0; k < legs; ++k) {
            d = bytes.concat(
                d,
                abi.encodePacked(
                    uint8(odd(k, 0, 15)),
                    uint8(odd(0, 1, 2)),
                    uint8(odd(1, 0, 3)),
                    uint64(odd(1e9, 0, 2 ** 38 - draw(2))),
                    uint128(odd(1 + draw(30), 0, 2 ** 127))
                )
            );
        }
        if (chance(12)) d = bytes.concat(d, hex"00");
        if (chance(12)) d = new bytes(draw(2) + 1024);
    }

    /// Whatever shape everybody signs: it is taken if and only if it is good.
    function bentShapes() internal returns (bool) {
        for (uint256 k = 0; k < 4; ++k) {
            Params memory p = oddParams();
            State memory s = oddState(p);
            bool finals = s.isFinal && chance(2);
            bytes memory data = finals
                ? abi.encodeCall(hub.concludeFinal, (p, s, sigsOfAll(p, s)))
                : abi.encodeCall(hub.register, (SignedState(p, s, sigsOfAll(p, s)), noSubs()));
            (bool taken,) = address(hub).call(data);
            bool good = Shape.good(p, s, block.chainid);
            if (taken && !good) fault(8, "a bad shape was taken");
            if (!taken && good) fault(8, "a good shape was refused");
            if (taken && hub.hashState(s) != keccak256(abi.encode(s))) fault(9, "hash");
            if (taken) checkRecord(p, s);
            ++count[taken ? SHAPES_TAKEN : SHAPES_REFUSED];
        }
        return true;
    }

    /// What is recorded names the state by its hash, and the channel by its id.
    function checkRecord(Params memory p, State memory s) private {
        (,, uint64 version,, bytes32 print,) = hub.disputes(hub.channelID(p));
        if (print != printOf(keccak256(abi.encode(s))) || version != s.version) {
            fault(9, "the record is not of this state");
        }
    }

    function sigsOfAll(Params memory p, State memory s)
        private
        pure
        returns (bytes[] memory out)
    {
        out = new bytes[](p.participants.length);
        bytes32 digest = eip191(keccak256(abi.encode(s)));
        for (uint256 i = 0; i < out.length; ++i) {
            bool twice = i == 1 && p.participants[1].ethAddress == p.participants[0].ethAddress;
            out[i] = sign(twice ? 0 : i, digest);
        }
    }
}
