// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Reading and hashing call data in place.
/// @notice A leaf: the only assembly on the arguments of a call. Positions are absolute.
library Calldata {
    /// @notice The word at a position; bytes past the end read as zero.
    function at(uint256 position) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(position)
        }
    }

    /// @notice How many bytes the call carries.
    function length() internal pure returns (uint256 size) {
        assembly ("memory-safe") {
            size := calldatasize()
        }
    }

    /// @notice The hash of a stretch of the call.
    function hash(uint256 start, uint256 size) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, start, size)
            digest := keccak256(free, size)
        }
    }

    /// @notice The hash of the tuple at `start` as `abi.encode` would write it alone: an offset
    /// word, then the tuple.
    function tupleHash(uint256 start, uint256 size) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, 0x20)
            calldatacopy(add(free, 0x20), start, size)
            digest := keccak256(free, add(size, 0x20))
        }
    }

    /// @notice The bytes that `tupleHash` hashes; `size` is a multiple of 32.
    function tuple(uint256 start, uint256 size) internal pure returns (bytes memory out) {
        assembly ("memory-safe") {
            out := mload(0x40)
            mstore(out, add(size, 0x20))
            mstore(add(out, 0x20), 0x20)
            calldatacopy(add(out, 0x40), start, size)
            mstore(0x40, add(out, add(size, 0x40)))
        }
    }

    /// @notice One of a list of byte strings; `index` is below the list's length. It may claim to
    /// stand anywhere: it is only good as evidence that is checked, as a signature is.
    function item(bytes[] calldata list, uint256 index)
        internal
        pure
        returns (bytes calldata part)
    {
        assembly ("memory-safe") {
            let position := add(list.offset, calldataload(add(list.offset, shl(5, index))))
            part.offset := add(position, 0x20)
            part.length := calldataload(position)
        }
    }

    /// @notice Signatures, each of 65 bytes, one after the other.
    function joined(bytes[] calldata parts) internal pure returns (bytes memory out) {
        uint256 count = parts.length;
        uint256 next;
        assembly ("memory-safe") {
            out := mload(0x40)
            let size := mul(count, 65)
            mstore(out, size)
            next := add(out, 0x20)
            // 31 zero bytes after the last one, so that padding is clean
            mstore(add(next, size), 0)
            mstore(0x40, and(add(add(next, size), 0x1f), not(0x1f)))
        }
        for (uint256 i = 0; i < count; ++i) {
            bytes calldata part = item(parts, i);
            assembly ("memory-safe") {
                calldatacopy(next, part.offset, 65)
                next := add(next, 65)
            }
        }
    }
}
