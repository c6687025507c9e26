// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {State} from "../../src/interfaces/Types.sol";
import {Encoding, StateView} from "../../src/lib/Encoding.sol";
import {Swap} from "../../src/lib/Swap.sol";

/// @title The reading of pending swaps, on its own.
contract SwapHarness {
    using Encoding for StateView;

    function check(State calldata state) external view {
        StateView memory v;
        v.read(state);
        Swap.check(v);
    }

    function hashOf(State calldata state) external view returns (bytes32) {
        StateView memory v;
        v.read(state);
        return v.hash;
    }

    function expiryOf(State calldata state) external view returns (uint256) {
        StateView memory v;
        v.read(state);
        return Swap.expiry(v);
    }

    function claimed(State calldata state, bytes32 preimage)
        external
        view
        returns (uint256[] memory rows)
    {
        StateView memory v;
        v.read(state);
        rows = v.balances();
        Swap.claim(v, rows, preimage);
    }
}
