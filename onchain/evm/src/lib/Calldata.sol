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

    /// @notice Logs what is signed and by whom, as an event of `(bytes state, bytes sigs)` encodes
    /// it: what `tuple` returns, and the signatures, of 65 bytes each, one after the other. Written
    /// once, and never kept.
    function logSigned(
        bytes32 topic,
        bytes32 id,
        uint256 start,
        uint256 size,
        bytes[] calldata sigs
    ) internal {
        uint256 count = sigs.length;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, 0x40)
            mstore(add(free, 0x20), add(size, 0x80))
            mstore(add(free, 0x40), add(size, 0x20))
            mstore(add(free, 0x60), 0x20)
            calldatacopy(add(free, 0x80), start, size)
            let next := add(add(free, 0x80), size)
            mstore(next, mul(count, 65))
            next := add(next, 0x20)
            let list := sigs.offset
            for { let end := add(list, shl(5, count)) } lt(list, end) { list := add(list, 0x20) }
            {
                let position := add(sigs.offset, calldataload(list))
                calldatacopy(next, add(position, 0x20), 65)
                next := add(next, 65)
            }
            // Zero bytes after the last one, so that padding is clean; and whole words.
            mstore(next, 0)
            log2(free, and(add(sub(next, free), 0x1f), not(0x1f)), topic, id)
        }
    }
}
