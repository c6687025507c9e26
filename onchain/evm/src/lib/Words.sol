// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Lists of words in memory without what each costs otherwise: clearing all of a list that is
/// written at once anyhow, and a check of each index.
/// @notice A leaf. Whoever makes a list writes each word before reading it, and counts no further
/// than its length; all lengths here are products of limited counts.
library Words {
    /// @notice A list of so many words, whatever they are.
    function make(uint256 count) internal pure returns (uint256[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, count)
            mstore(0x40, add(list, shl(5, add(count, 1))))
        }
    }

    /// @notice The word at an index below the length.
    function get(uint256[] memory list, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(list, 0x20), shl(5, index)))
        }
    }

    /// @notice Writes the word at an index below the length.
    function set(uint256[] memory list, uint256 index, uint256 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(list, 0x20), shl(5, index)), word)
        }
    }

    /// @notice Writes words of the call from an index on: all of them stand below the length.
    function copy(uint256[] memory list, uint256 index, uint256 position, uint256 count)
        internal
        pure
    {
        assembly ("memory-safe") {
            calldatacopy(add(add(list, 0x20), shl(5, index)), position, shl(5, count))
        }
    }
}
