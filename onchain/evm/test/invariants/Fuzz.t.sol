// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Params, SignedState, State, SubAlloc} from "../../src/interfaces/Types.sol";
import {Settlement} from "../../src/lib/Settlement.sol";
import {Sig} from "../../src/lib/Sig.sol";
import {EncodingHarness} from "../base/EncodingHarness.sol";
import {PerunTest} from "../base/PerunTest.sol";

/// The libraries against what plain Solidity says, on values at random.
/// forge-config: default.fuzz.runs = 512
/// forge-config: long.fuzz.runs = 20000
contract LibrariesFuzzTest is PerunTest {
    EncodingHarness private harness;
    uint256 private rng;

    function setUp() public override {
        super.setUp();
        harness = new EncodingHarness();
    }

    function draw(uint256 bound) private returns (uint256) {
        rng = uint256(keccak256(abi.encode(rng)));
        return rng % bound;
    }

    /// Small, large and largest amounts.
    function amount() private returns (uint256) {
        uint256 kind = draw(5);
        if (kind == 0) return 0;
        if (kind == 1) return draw(10);
        if (kind == 2) return 2 ** 128 - 1 - draw(3);
        return draw(2 ** (1 + draw(128)));
    }

    // Settlement.

    /// All that is held is paid; with enough nobody gets less than the outcome, with too little
    /// everybody gets the deposit; who deposited nothing gets nothing of a surplus.
    function testFuzzPayments(uint256 seed) public {
        rng = seed;
        uint256 n = 2 + draw(15);
        uint256 first = draw(3) * n;
        uint256[] memory deposits = new uint256[](n);
        uint256[] memory rows = new uint256[](first + n + draw(3));
        uint256[] memory owed = new uint256[](n);
        uint256 sumOwed;
        for (uint256 i = 0; i < n; ++i) {
            deposits[i] = amount();
            owed[i] = amount() / n;
            sumOwed += owed[i];
            rows[first + i] = owed[i];
        }
        uint256 held = Settlement.total(deposits);
        Settlement.pay(deposits, rows, first);
        uint256 paid;
        for (uint256 i = 0; i < rows.length; ++i) {
            paid += rows[i];
            if (i < first || i >= first + n) vm.assertEq(rows[i], 0, "another row");
        }
        vm.assertEq(paid, held, "not all that is held is paid");
        for (uint256 i = 0; i < n; ++i) {
            if (held < sumOwed) vm.assertEq(rows[first + i], deposits[i], "not the deposit");
            else vm.assertTrue(rows[first + i] >= owed[i], "less than the outcome");
            if (held >= sumOwed && deposits[i] == 0) vm.assertEq(rows[first + i], owed[i]);
        }
    }

    // Reading call data.

    function blob(uint256 most) private returns (bytes memory out) {
        out = new bytes(draw(most + 1));
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = bytes1(uint8(1 + draw(255)));
        }
    }

    function row(uint256 size) private returns (uint256[] memory out) {
        out = new uint256[](size);
        for (uint256 i = 0; i < size; ++i) {
            out[i] = draw(2 ** 100);
        }
    }

    function someState() private returns (State memory s) {
        uint256 columns = 2 + draw(2);
        s = newState(newParams(columns), uint64(draw(2 ** 48)), coin, row(columns));
        uint256 more = draw(3);
        for (uint256 k = 0; k < more; ++k) {
            addAsset(s, 1000 + k, address(uint160(1 + draw(9))), row(columns));
            s.outcome.assets[k].ccHolder = blob(70);
        }
        s.outcome.locked = new SubAlloc[](draw(3));
        for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
            s.outcome.locked[k] = SubAlloc(bytes32(k + 1), row(more + 1), map(1, 0));
        }
        s.appData = blob(70);
    }

    function someParams() private returns (Params memory p) {
        p = newParams(2 + draw(4));
        for (uint256 i = 0; i < p.participants.length; ++i) {
            p.participants[i].ccAddress = blob(70);
        }
    }

    function wordAt(bytes memory data, uint256 index) private pure returns (uint256 out) {
        assembly ("memory-safe") {
            out := mload(add(add(data, 0x24), mul(index, 0x20)))
        }
    }

    function setWord(bytes memory data, uint256 index, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x24), mul(index, 0x20)), value)
        }
    }

    /// Several changes at once: words copied, swapped or moved by words, bytes changed, the end cut
    /// off or something put behind it.
    function bend(bytes memory data) private returns (bytes memory) {
        uint256 words = (data.length - 4) / 32;
        uint256 changes = 1 + draw(4);
        for (uint256 k = 0; k < changes; ++k) {
            uint256 a = draw(words);
            uint256 b = draw(words);
            uint256 kind = draw(7);
            uint256 was = wordAt(data, a);
            if (kind == 0) setWord(data, a, wordAt(data, b));
            if (kind == 1) {
                setWord(data, a, wordAt(data, b));
                setWord(data, b, was);
            }
            unchecked {
                if (kind == 2) setWord(data, a, was + 32 * (1 + draw(8)));
                if (kind == 3) setWord(data, a, was - 32 * (1 + draw(8)));
            }
            if (kind == 4) data[4 + draw(data.length - 4)] = bytes1(uint8(draw(256)));
            if (kind == 5) data = bytes.concat(data, blob(64));
            if (kind == 6 && data.length > 100) data = cut(data, draw(40));
            words = (data.length - 4) / 32;
        }
        return data;
    }

    function cut(bytes memory data, uint256 by) private pure returns (bytes memory out) {
        out = new bytes(data.length - by);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = data[i];
        }
    }

    function tail(bytes memory data) private pure returns (bytes memory out) {
        out = new bytes(data.length - 4);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = data[i + 4];
        }
    }

    /// What is accepted, however it was bent, decodes to a value whose encoding has that hash.
    function testFuzzBentStates(uint256 seed) public {
        rng = seed;
        for (uint256 k = 0; k < 8; ++k) {
            bytes memory data = bend(abi.encodeCall(harness.hashOf, (someState())));
            (bool ok, bytes memory answer) = address(harness).staticcall(data);
            if (!ok) continue;
            State memory s = abi.decode(tail(data), (State));
            vm.assertEq(bytes32(answer), keccak256(abi.encode(s)));
        }
    }

    function testFuzzBentParams(uint256 seed) public {
        rng = seed;
        for (uint256 k = 0; k < 8; ++k) {
            bytes memory data = bend(abi.encodeCall(harness.idOf, (someParams())));
            (bool ok, bytes memory answer) = address(harness).staticcall(data);
            if (!ok) continue;
            Params memory p = abi.decode(tail(data), (Params));
            vm.assertEq(bytes32(answer), keccak256(abi.encode(p)));
        }
    }

    /// A whole registration: what is recorded is the hash of the value, its channel that of the
    /// parameters, whatever else stands between them in the call.
    function testFuzzBentRegistrations(uint256 seed) public {
        rng = seed;
        Params memory p = newParams(2);
        State memory s = newState(p, 7, coin, list(1, 2));
        SignedState memory n = signed(p, s);
        bytes memory data = bend(abi.encodeCall(hub.register, (n, noSubs())));
        (bool ok,) = address(hub).call(data);
        if (!ok) return;
        (SignedState memory read,) = abi.decode(tail(data), (SignedState, SignedState[]));
        vm.assertEq(abi.encode(read.params), abi.encode(p));
        vm.assertEq(abi.encode(read.state), abi.encode(s));
        (,,,, bytes32 print,) = hub.disputes(idOf(p));
        vm.assertEq(print, keccak256(abi.encode(s)) >> 88 << 88);
    }

    // Signatures.

    function recover(bytes32 digest, bytes calldata sig) external view returns (address) {
        return Sig.recover(digest, sig);
    }

    uint256 private constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    /// Of all v, both s, and all lengths up to 70, one spelling names the signer, and no other
    /// names anybody but by the chain's own recovery.
    function testFuzzOneSpelling(bytes32 digest, uint256 who_) public view {
        uint256 index = who_ % 16;
        bytes memory sig = sign(index, digest);
        vm.assertEq(this.recover(digest, sig), who(index));
        (bytes32 r, uint256 s) = abi.decode(sig_(sig), (bytes32, uint256));
        uint8 good = uint8(sig[64]);
        for (uint256 v = 0; v < 256; ++v) {
            address low = this.recover(digest, abi.encodePacked(r, s, uint8(v)));
            vm.assertTrue((low == who(index)) == (v == good));
            if (v != 27 && v != 28) vm.assertEq(low, address(0));
            bytes memory other = abi.encodePacked(r, ORDER - s, uint8(v));
            vm.assertEq(this.recover(digest, other), address(0));
        }
        for (uint256 size = 0; size <= 70; ++size) {
            bytes memory part = new bytes(size);
            for (uint256 i = 0; i < size && i < 65; ++i) {
                part[i] = sig[i];
            }
            vm.assertEq(this.recover(digest, part), size == 65 ? who(index) : address(0));
        }
        bytes memory compact = abi.encodePacked(r, s | uint256(good - 27) << 255);
        vm.assertEq(this.recover(digest, compact), address(0));
    }

    function sig_(bytes memory sig) private pure returns (bytes memory) {
        return cut(sig, 1);
    }
}
