// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Lists of words in memory whose indices are known to be inside.
/// @notice A leaf: nothing is checked here. Callers run from zero to a length that the list has.
library Words {
    /// @notice A list of this length. What it holds is not defined: every word is set before it is
    /// read.
    function make(uint256 count) internal pure returns (uint256[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, count)
            mstore(0x40, add(list, shl(5, add(count, 1))))
        }
    }

    /// @notice One word.
    function get(uint256[] memory list, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(list, 0x20), shl(5, index)))
        }
    }

    /// @notice Changes one word.
    function set(uint256[] memory list, uint256 index, uint256 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(list, 0x20), shl(5, index)), word)
        }
    }
}
