// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../interfaces/IHubErrors.sol";
import {Calldata} from "./Calldata.sol";
import {Encoding, StateView} from "./Encoding.sol";

/// @notice One leg: `amount` of an asset goes from one participant to another.
struct Leg {
    uint256 asset;
    uint256 from;
    uint256 to;
    uint256 expiry;
    uint256 amount;
}

/// @title The pending swap in the app data of a channel without an app.
/// @notice Packed, big-endian: format 1 | SHA-256 lock | legs of 27 bytes, ascending by asset:
/// asset u8, from u8, to u8, expiry u64, amount u128. Balances are those without the swap.
library Swap {
    using Calldata for uint256;
    using Encoding for StateView;

    uint256 private constant HEAD = 33;
    uint256 private constant LEG = 27;

    /// @notice Reverts if the app data is not a swap that this state can carry out.
    function check(StateView memory state) internal pure {
        uint256 size = state.dataLength;
        bool good = !state.isFinal && size >= HEAD + LEG && (size - HEAD) % LEG == 0
            && state.data.at() >> 248 == 1;
        if (!good) revert IHubErrors.Data();
        uint256 nextAsset;
        for (uint256 i = 0; i < count(state); ++i) {
            Leg memory l = leg(state, i);
            good = l.asset >= nextAsset && l.asset < state.assetCount && l.from < state.columns
                && l.to < state.columns && l.from != l.to && l.amount != 0 && l.expiry != 0
                && l.amount <= state.balance(l.asset, l.from);
            if (!good) revert IHubErrors.Data();
            nextAsset = l.asset + 1;
        }
    }

    /// @notice How many legs there are; none if there is no swap.
    function count(StateView memory state) internal pure returns (uint256) {
        return state.dataLength == 0 ? 0 : (state.dataLength - HEAD) / LEG;
    }

    /// @notice The largest expiry of the legs on this chain; zero if there is none.
    function expiry(StateView memory state) internal view returns (uint256 largest) {
        for (uint256 i = 0; i < count(state); ++i) {
            Leg memory l = leg(state, i);
            if (l.expiry > largest && state.native(l.asset) != address(0)) largest = l.expiry;
        }
    }

    /// @notice Moves all legs on this chain, if this is the preimage of the lock.
    function claim(StateView memory state, uint256[] memory rows, bytes32 preimage)
        internal
        view
    {
        if (sha256(abi.encode(preimage)) != bytes32((state.data + 1).at())) {
            revert IHubErrors.WrongPreimage();
        }
        for (uint256 i = 0; i < count(state); ++i) {
            Leg memory l = leg(state, i);
            if (state.native(l.asset) == address(0)) continue;
            rows[l.asset * state.columns + l.from] -= l.amount;
            rows[l.asset * state.columns + l.to] += l.amount;
        }
    }

    /// @notice One leg.
    function leg(StateView memory state, uint256 index) internal pure returns (Leg memory) {
        uint256 word = (state.data + HEAD + LEG * index).at();
        return Leg({
            asset: word >> 248,
            from: uint8(word >> 240),
            to: uint8(word >> 232),
            expiry: uint64(word >> 168),
            amount: uint128(word >> 40)
        });
    }
}
