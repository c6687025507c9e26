// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Params, State} from "../../src/interfaces/Types.sol";
import {ChannelView, Encoding, StateView} from "../../src/lib/Encoding.sol";

/// @title The reading of call data, on its own.
contract EncodingHarness {
    using Encoding for ChannelView;
    using Encoding for Params;
    using Encoding for State;
    using Encoding for StateView;

    function readParams(Params calldata params)
        external
        pure
        returns (ChannelView memory v, address[] memory parties)
    {
        v = params.read();
        parties = new address[](v.count);
        for (uint256 i = 0; i < v.count; ++i) {
            parties[i] = v.party(i);
        }
    }

    function readState(State calldata state)
        external
        view
        returns (StateView memory v, uint256[] memory balances, bytes memory packed)
    {
        v = state.read();
        return (v, v.balances(), v.packed());
    }

    function idOf(Params calldata params) external pure returns (bytes32) {
        return params.read().id;
    }

    function hashOf(State calldata state) external view returns (bytes32) {
        return state.read().hash;
    }

    function lockedOf(State calldata state, uint256 entry)
        external
        view
        returns (bytes32 id, uint256[] memory amounts, uint256[] memory map)
    {
        StateView memory v = state.read();
        id = v.lockedId(entry);
        amounts = new uint256[](v.assetCount);
        for (uint256 row = 0; row < amounts.length; ++row) {
            amounts[row] = v.lockedAmount(entry, row);
        }
        map = new uint256[](v.mapLength(entry));
        for (uint256 i = 0; i < map.length; ++i) {
            map[i] = v.mapped(entry, i);
        }
    }
}
