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

    /// @notice Starts byte strings at the end of memory; `next` is where more comes. Nothing else
    /// may take memory until `finish`.
    function begin() internal pure returns (bytes memory out, uint256 next) {
        assembly ("memory-safe") {
            out := mload(0x40)
            next := add(out, 0x20)
        }
    }

    /// @notice Appends the last `size` bytes of a word.
    function append(uint256 next, uint256 word, uint256 size) internal pure returns (uint256) {
        assembly ("memory-safe") {
            mstore(next, shl(sub(256, shl(3, size)), word))
            next := add(next, size)
        }
        return next;
    }

    /// @notice Appends a stretch of the call.
    function appendCall(uint256 next, uint256 start, uint256 size)
        internal
        pure
        returns (uint256)
    {
        assembly ("memory-safe") {
            calldatacopy(next, start, size)
            next := add(next, size)
        }
        return next;
    }

    /// @notice Ends what `begin` started, with clean padding.
    function finish(bytes memory out, uint256 next) internal pure {
        assembly ("memory-safe") {
            mstore(next, 0)
            mstore(out, sub(next, add(out, 0x20)))
            mstore(0x40, and(add(next, 0x1f), not(0x1f)))
        }
    }

    /// @notice Copies words of the call into a list, from `first` on; the list has room for them.
    function copy(uint256 start, uint256 count, uint256[] memory list, uint256 first)
        internal
        pure
    {
        assembly ("memory-safe") {
            calldatacopy(add(add(list, 0x20), shl(5, first)), start, shl(5, count))
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

    /// @notice Appends signatures, each of 65 bytes.
    function appendSignatures(uint256 next, bytes[] calldata parts)
        internal
        pure
        returns (uint256)
    {
        uint256 count = parts.length;
        for (uint256 i = 0; i < count; ++i) {
            bytes calldata part = item(parts, i);
            assembly ("memory-safe") {
                calldatacopy(next, part.offset, 65)
                next := add(next, 65)
            }
        }
        return next;
    }

    /// @notice Emits an event of one indexed word and one byte string, which `finish` ended, where
    /// it stands. The word before it is lent for that.
    function log(bytes32 selector, bytes32 word, bytes memory data) internal {
        assembly ("memory-safe") {
            let start := sub(data, 0x20)
            let kept := mload(start)
            mstore(start, 0x20)
            log2(start, add(0x40, and(add(mload(data), 0x1f), not(0x1f))), selector, word)
            mstore(start, kept)
        }
    }
}
