// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice A dispute in one word: 168 bits of the state's hash, version 48, timeout 37, whether any
/// participant bound a payee 1, phase 2.
type Record is uint256;

/// @title What is written in a record.
library Records {
    uint256 internal constant DISPUTE = 0;
    uint256 internal constant FORCED = 1;
    uint256 internal constant CONCLUDED = 2;

    uint256 private constant PAYEES = 4;

    /// @notice A record that follows `old`. `number` is the version, 48 bits; `end` the timeout,
    /// 37 bits.
    function next(Record old, bytes32 hash, uint256 number, uint256 end, uint256 stage)
        internal
        pure
        returns (Record)
    {
        return Record.wrap(
            uint256(hash) >> 88 << 88 | number << 40 | end << 3 | Record.unwrap(old) & PAYEES
                | stage
        );
    }

    /// @notice Whether a state is recorded.
    function exists(Record record) internal pure returns (bool) {
        return Record.unwrap(record) & ~PAYEES != 0;
    }

    /// @notice The same record, and that a participant bound a payee.
    function withPayees(Record record) internal pure returns (Record) {
        return Record.wrap(Record.unwrap(record) | PAYEES);
    }

    /// @notice Whether a participant bound a payee.
    function hasPayees(Record record) internal pure returns (bool) {
        return Record.unwrap(record) & PAYEES != 0;
    }

    /// @notice Whether it is of this state.
    function isOf(Record record, bytes32 hash) internal pure returns (bool) {
        return Record.unwrap(record) >> 88 == uint256(hash) >> 88;
    }

    /// @notice The first 21 bytes of the state's hash.
    function fingerprint(Record record) internal pure returns (bytes32) {
        return bytes32(Record.unwrap(record) >> 88 << 88);
    }

    /// @notice The state's version.
    function version(Record record) internal pure returns (uint64) {
        return uint48(Record.unwrap(record) >> 40);
    }

    /// @notice When the window is over.
    function timeout(Record record) internal pure returns (uint64) {
        return uint64(uint40(Record.unwrap(record)) >> 3);
    }

    /// @notice Dispute, forced or concluded.
    function phase(Record record) internal pure returns (uint8) {
        return uint8(Record.unwrap(record) & 3);
    }

    /// @notice The same record, concluded.
    function concluded(Record record) internal pure returns (Record) {
        return Record.wrap((Record.unwrap(record) & ~uint256(3)) | CONCLUDED);
    }

    /// @notice Whether no newer state and no further step can come. `forced`: how long the first
    /// forced step may be waited for; zero without an app.
    function isOver(Record record, uint256 forced) internal view returns (bool) {
        uint256 end = timeout(record);
        if (phase(record) == CONCLUDED) return true;
        if (phase(record) == DISPUTE) end += forced;
        return block.timestamp >= end;
    }
}
