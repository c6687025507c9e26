// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Record, Records} from "../../src/lib/Records.sol";
import {Settlement} from "../../src/lib/Settlement.sol";
import {Sig} from "../../src/lib/Sig.sol";

// Proved for all values by a symbolic engine: see tools/prove.sh. A function that returns early
// says for which values it proves nothing. Deposits are below 2^128 each, as the hub keeps them,
// and outcomes too, as the reading of states does.

interface Time {
    function warp(uint256 time) external;
}

contract SettlementProofs {
    function list(uint256 a, uint256 b) private pure returns (uint256[] memory out) {
        out = new uint256[](2);
        (out[0], out[1]) = (a, b);
    }

    function list(uint256 a, uint256 b, uint256 c) private pure returns (uint256[] memory out) {
        out = new uint256[](3);
        (out[0], out[1], out[2]) = (a, b, c);
    }

    /// What is held is just what is owed: everybody gets the outcome.
    function check_exactlyFundedPaysTheOutcome(uint128 d0, uint128 d1, uint128 o0, uint128 o1)
        public
        pure
    {
        if (uint256(d0) + d1 != uint256(o0) + o1) return;
        uint256[] memory paid = list(o0, o1);
        Settlement.pay(list(d0, d1), paid, 0);
        assert(paid[0] == o0 && paid[1] == o1);
    }

    /// Too little is held: everybody gets the deposit.
    function check_underfundedGivesDepositsBack(
        uint128 d0,
        uint128 d1,
        uint128 d2,
        uint128 o0,
        uint128 o1,
        uint128 o2
    ) public pure {
        if (uint256(d0) + d1 + d2 >= uint256(o0) + o1 + o2) return;
        uint256[] memory paid = list(o0, o1, o2);
        Settlement.pay(list(d0, d1, d2), paid, 0);
        assert(paid[0] == d0 && paid[1] == d1 && paid[2] == d2);
    }

    /// Whatever is held: all of it is paid, and nobody gets less than the outcome if there is
    /// enough. For amounts of 6 bits: the products are what makes larger ones hard.
    function check_smallSurplusIsPaidOut(uint256 d0, uint256 d1, uint256 o0, uint256 o1)
        public
        pure
    {
        if (d0 >= 64 || d1 >= 64 || o0 >= 64 || o1 >= 64 || d0 + d1 <= o0 + o1) return;
        uint256[] memory paid = list(o0, o1);
        Settlement.pay(list(d0, d1), paid, 0);
        assert(paid[0] + paid[1] == d0 + d1);
        assert(paid[0] >= o0 && paid[1] >= o1);
    }

    /// A row in the middle of others: they stay as they are.
    function check_otherRowsStay(uint128 d0, uint128 d1, uint128 a, uint128 b, uint128 c)
        public
        pure
    {
        if (uint256(d0) + d1 > uint256(b) + c) return;
        uint256[] memory rows = list(a, b, c);
        Settlement.pay(list(d0, d1), rows, 1);
        assert(rows[0] == a);
        assert(rows[1] + rows[2] == uint256(d0) + d1);
    }
}

contract RecordProofs {
    using Records for Record;

    Time private constant vm = Time(address(uint160(uint256(keccak256("hevm cheat code")))));

    function small(uint256 version, uint256 end, uint256 phase) private pure returns (bool) {
        return version < 2 ** 48 && end < 2 ** 37 && phase < 4;
    }

    /// What is written is read again, and whether somebody bound a payee is kept.
    function check_roundTrip(
        uint256 before,
        bytes32 hash,
        uint256 version,
        uint256 end,
        uint256 phase
    ) public pure {
        if (!small(version, end, phase)) return;
        Record r = Record.wrap(before).next(hash, version, end, phase);
        assert(r.version() == version && r.timeout() == end && r.phase() == phase);
        assert(r.isOf(hash) && r.fingerprint() == hash >> 88 << 88);
        assert(r.hasPayees() == Record.wrap(before).hasPayees());
    }

    /// Binding a payee changes nothing else, and alone is no record of a state.
    function check_payees(uint256 word) public pure {
        Record r = Record.wrap(word);
        Record b = r.withPayees();
        assert(b.hasPayees() && b.exists() == r.exists());
        assert(b.version() == r.version() && b.timeout() == r.timeout());
        assert(b.phase() == r.phase() && b.fingerprint() == r.fingerprint());
    }

    /// Two records are equal only if all their parts are.
    function check_nothingIsLost(
        bytes32 hash,
        bytes32 other,
        uint48 version,
        uint48 version2,
        uint40 end,
        uint40 end2,
        uint8 phase,
        uint8 phase2
    ) public pure {
        if (!small(version, end, phase) || !small(version2, end2, phase2)) {
            return;
        }
        Record none;
        bool same = Record.unwrap(none.next(hash, version, end, phase))
            == Record.unwrap(none.next(other, version2, end2, phase2));
        bool parts =
            hash >> 88 == other >> 88 && version == version2 && end == end2 && phase == phase2;
        assert(same == parts);
    }

    /// A newer version makes a larger record of the same state's bits, and a later end too.
    function check_order(bytes32 hash, uint48 version, uint40 end, uint8 phase) public pure {
        if (!small(uint256(version) + 1, uint256(end) + 1, phase)) return;
        Record none;
        uint256 r = Record.unwrap(none.next(hash, version, end, phase));
        assert(Record.unwrap(none.next(hash, uint256(version) + 1, end, phase)) > r);
        assert(Record.unwrap(none.next(hash, version, uint256(end) + 1, phase)) > r);
    }

    /// Concluding changes the phase and nothing else, and is for ever.
    function check_concluded(uint256 word, uint256 forced) public view {
        Record r = Record.wrap(word);
        Record c = r.concluded();
        assert(c.phase() == Records.CONCLUDED && c.exists() && c.isOver(forced));
        assert(c.version() == r.version() && c.timeout() == r.timeout());
        assert(c.fingerprint() == r.fingerprint());
        assert(Record.unwrap(c.concluded()) == Record.unwrap(c));
    }

    /// What is over stays over; what is not concluded is not over before its time.
    function check_over(uint256 word, uint32 forced, uint40 time, uint40 later) public {
        if (time > later) return;
        Record r = Record.wrap(word);
        vm.warp(time);
        bool over = r.isOver(forced);
        if (r.phase() != Records.CONCLUDED) {
            assert(!over || time >= r.timeout());
            if (r.phase() == Records.DISPUTE && over) {
                assert(time >= uint256(r.timeout()) + forced);
            }
        }
        vm.warp(later);
        assert(!over || r.isOver(forced));
    }
}

contract SigProofs {
    uint256 private constant HALF =
        0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    function recover(bytes32 digest, bytes calldata sig) external view returns (address) {
        return Sig.recover(digest, sig);
    }

    /// Low s and v 27 or 28: what the chain recovers. Anything else: nobody.
    function check_oneSpelling(bytes32 digest, bytes32 r, uint256 s, uint8 v) public view {
        address signer = this.recover(digest, abi.encodePacked(r, s, v));
        if ((v == 27 || v == 28) && s <= HALF) {
            assert(signer == ecrecover(digest, v, r, bytes32(s)));
        } else {
            assert(signer == address(0));
        }
    }

    /// No other length: one less, one more, none, the compact form, two words more.
    function check_lengths(bytes32 digest, bytes32 r, bytes32 s, uint8 v, bytes32 more)
        public
        view
    {
        assert(this.recover(digest, "") == address(0));
        assert(this.recover(digest, abi.encodePacked(r, s)) == address(0));
        assert(this.recover(digest, abi.encodePacked(r, s, v, bytes1(more))) == address(0));
        assert(this.recover(digest, abi.encodePacked(r, s, v, more)) == address(0));
    }

    /// The digest that is signed is EIP-191's.
    function check_eip191(bytes32 hash) public pure {
        assert(
            Sig.eip191(hash)
                == keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash))
        );
    }
}
