// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {StateView} from "../../src/lib/Encoding.sol";
import {Swap} from "../../src/lib/Swap.sol";

/// A claim of a swap, for amounts at random. (Not among the proofs: halmos 0.3.3 fails on SHA-256.)
/// forge-config: default.fuzz.runs = 2000
contract SwapFuzzTest {
    /// Two assets and two parties. `table`: the offsets 0x40 and 0x80, then chain and holder of
    /// each. `data`: two legs, 87 bytes.
    function claim(
        uint256[6] calldata table,
        bytes32[3] calldata data,
        uint256[] memory rows,
        bytes32 preimage
    ) external view returns (uint256[] memory) {
        StateView memory v;
        uint256 at;
        assembly {
            at := table
        }
        v.assets = at;
        assembly {
            at := data
        }
        v.data = at;
        (v.assetCount, v.columns, v.dataLength) = (2, 2, 87);
        Swap.claim(v, rows, preimage);
        return rows;
    }

    function four(uint128 a, uint128 b, uint128 c, uint128 d)
        private
        pure
        returns (uint256[] memory out)
    {
        out = new uint256[](4);
        (out[0], out[1], out[2], out[3]) = (a, b, c, d);
    }

    function legs(bytes32 lock, uint8 from, uint64 e, uint128 x, uint128 y)
        private
        pure
        returns (bytes32[3] memory out)
    {
        // One leg per asset, in opposite directions.
        bytes memory packed = abi.encodePacked(
            uint8(1),
            lock,
            uint8(0),
            from,
            1 - from,
            e,
            x,
            uint8(1),
            1 - from,
            from,
            e,
            y,
            uint72(0)
        );
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 word;
            assembly {
                word := mload(add(add(packed, 0x20), mul(i, 0x20)))
            }
            out[i] = word;
        }
    }

    /// A claim moves the amounts of this chain's legs, no more; sums and foreign rows stay.
    function testFuzzClaim(
        bool first,
        uint64 e,
        uint128 x,
        uint128 y,
        uint128 a,
        uint128 b,
        uint128 c,
        uint128 d
    ) public view {
        (x, y) = (uint128(x % (uint256(a) + 1)), uint128(y % (uint256(d) + 1)));
        bytes32 preimage = bytes32(uint256(1));
        uint256 here = block.chainid;
        uint256 elsewhere = here ^ 1;
        uint256[6] memory table =
            [uint256(0x40), 0x80, first ? here : elsewhere, 1, first ? elsewhere : here, 1];
        bytes32[3] memory data = legs(sha256(abi.encode(preimage)), 0, e, x, y);
        uint256[] memory rows = this.claim(table, data, four(a, b, c, d), preimage);
        if (first) {
            assert(rows[0] == a - x && rows[1] == uint256(b) + x);
            assert(rows[2] == c && rows[3] == d);
        } else {
            assert(rows[0] == a && rows[1] == b);
            assert(rows[2] == uint256(c) + y && rows[3] == d - y);
        }
    }

    /// Only the preimage of the lock claims.
    function testFuzzLock(bytes32 lock, bytes32 preimage, uint128 x) public view {
        if (sha256(abi.encode(preimage)) == lock) return;
        uint256[6] memory table = [uint256(0x40), 0x80, block.chainid, 1, block.chainid, 1];
        bytes32[3] memory data = legs(lock, 0, 1, x, x);
        try this.claim(table, data, four(x, x, x, x), preimage) {
            assert(false);
        } catch {}
    }
}
