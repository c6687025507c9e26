// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a log says of a state, written as it was signed: see `IPerunHub.StateRegistered`.
library Unpack {
    struct Reader {
        bytes input;
        uint256 next;
        uint256 count;
        uint256 columns;
    }

    /// A state and its signatures: as many as there are participants.
    function split(bytes memory signed)
        internal
        pure
        returns (bytes memory packed, bytes memory sigs)
    {
        Reader memory r = Reader(signed, 0, 0, 0);
        packed = take(r, signed.length - 65 * uint256(uint8(signed[8])));
        sigs = take(r, signed.length - packed.length);
    }

    function state(bytes32 id, bytes memory packed) internal pure returns (bytes memory) {
        Reader memory r = Reader(packed, 0, 0, 0);
        bytes32 version = bytes32(number(r, 6));
        bytes32 isFinal = bytes32(number(r, 1));
        (bytes memory outcome, bytes memory data) = rest(r);
        bytes memory head = abi.encode(32, id, version, 0xa0, 0xa0 + outcome.length, isFinal);
        return bytes.concat(head, outcome, blob(data));
    }

    function rest(Reader memory r)
        private
        pure
        returns (bytes memory outcome, bytes memory data)
    {
        r.count = number(r, 1);
        r.columns = number(r, 1);
        bytes32 locked = bytes32(number(r, 1));
        uint256 size = number(r, 2);
        bytes[] memory parts = new bytes[](4);
        parts[0] = list(assetsOf(r, r.count));
        parts[1] = bytes.concat(bytes32(r.count), take(r, 32 * r.count));
        parts[2] = list(rowsOf(r, r.count, r.columns));
        parts[3] = bytes.concat(locked, take(r, r.input.length - size - r.next));
        return (tuple(parts), take(r, size));
    }

    function assetsOf(Reader memory r, uint256 count) private pure returns (bytes[] memory all) {
        all = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory chain = take(r, 32);
            bytes memory holder = bytes.concat(bytes12(0), take(r, 20));
            all[i] = bytes.concat(chain, holder, bytes32(uint256(0x60)), blob(foreign(r)));
        }
    }

    function foreign(Reader memory r) private pure returns (bytes memory) {
        uint256 size = number(r, 1);
        return size == 255 ? new bytes(32) : take(r, size);
    }

    function rowsOf(Reader memory r, uint256 count, uint256 columns)
        private
        pure
        returns (bytes[] memory all)
    {
        all = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            all[i] = bytes.concat(bytes32(columns));
            for (uint256 k = 0; k < columns; ++k) {
                all[i] = bytes.concat(all[i], bytes16(0), take(r, 16));
            }
        }
    }

    /// A list of what has no fixed size: its length, an offset of each, and they.
    function list(bytes[] memory parts) private pure returns (bytes memory) {
        return bytes.concat(bytes32(parts.length), tuple(parts));
    }

    function tuple(bytes[] memory parts) private pure returns (bytes memory out) {
        bytes memory body;
        for (uint256 i = 0; i < parts.length; ++i) {
            out = bytes.concat(out, bytes32(32 * parts.length + body.length));
            body = bytes.concat(body, parts[i]);
        }
        return bytes.concat(out, body);
    }

    function blob(bytes memory content) private pure returns (bytes memory out) {
        bytes memory padding = new bytes((32 - content.length % 32) % 32);
        return bytes.concat(bytes32(content.length), content, padding);
    }

    function take(Reader memory r, uint256 size) private pure returns (bytes memory out) {
        out = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            out[i] = r.input[r.next++];
        }
    }

    function number(Reader memory r, uint256 size) private pure returns (uint256) {
        return uint256(bytes32(take(r, size))) >> (256 - 8 * size);
    }
}
