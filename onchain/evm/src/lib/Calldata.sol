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

    /// @notice Starts a byte string in free memory, behind a word that is left for `log`; `next` is
    /// where more comes. Nothing else may take memory until it is logged or kept.
    function begin() internal pure returns (bytes memory out, uint256 next) {
        assembly ("memory-safe") {
            out := add(mload(0x40), 0x20)
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
    function appendSignatures(uint256 next, bytes[] calldata sigs)
        internal
        pure
        returns (uint256)
    {
        uint256 count = sigs.length;
        assembly ("memory-safe") {
            let list := sigs.offset
            for { let end := add(list, shl(5, count)) } lt(list, end) { list := add(list, 0x20) }
            {
                let position := add(sigs.offset, calldataload(list))
                calldatacopy(next, add(position, 0x20), 65)
                next := add(next, 65)
            }
        }
        return next;
    }

    /// @notice Ends what `begin` started: zero bytes up to a whole word, and its length.
    function finish(bytes memory out, uint256 next) internal pure {
        assembly ("memory-safe") {
            mstore(next, 0)
            mstore(out, sub(next, add(out, 0x20)))
        }
    }

    /// @notice Takes the memory of what `finish` ended.
    function keep(bytes memory out) internal pure {
        assembly ("memory-safe") {
            mstore(0x40, add(add(out, 0x20), and(add(mload(out), 0x1f), not(0x1f))))
        }
    }

    /// @notice Logs an event of an indexed word and of what `finish` ended, where it stands.
    function log(bytes32 topic, bytes32 word, bytes memory data) internal {
        assembly ("memory-safe") {
            let start := sub(data, 0x20)
            mstore(start, 0x20)
            log2(start, add(0x40, and(add(mload(data), 0x1f), not(0x1f))), topic, word)
        }
    }
}
