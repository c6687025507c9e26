// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../interfaces/IHubErrors.sol";
import {Params, State} from "../interfaces/Types.sol";
import {Calldata} from "./Calldata.sol";
import {Words} from "./Words.sol";

/// @notice Checked parameters, and where they stand in the call.
struct ChannelView {
    bytes32 id;
    uint256 count;
    /// the first offset word of the participants
    uint256 parties;
    uint256 duration;
    address app;
    bool isLedger;
    bool isVirtual;
    /// whether a participant bound a payee, once the record was read
    bool hasPayees;
}

/// @notice A checked state, and where its parts stand in the call.
struct StateView {
    bytes32 id;
    uint256 version;
    bytes32 hash;
    /// the first offset word of the assets
    uint256 assets;
    uint256 assetCount;
    /// the first backend number
    uint256 backends;
    uint256 columns;
    /// the length word of the first row
    uint256 rows;
    /// the first offset word of the locked entries
    uint256 locked;
    uint256 lockedCount;
    /// the first byte of app data
    uint256 data;
    uint256 dataLength;
    bool isFinal;
    /// per asset, balances and locked amounts together
    uint256[] totals;
}

/// @title Parameters and states, read in place.
/// @notice Ids and hashes are over the ABI encoding. A call carries the same words, if it was
/// encoded in the canonical way; so they are hashed where they stand, and every offset and padding
/// is checked: nothing that is read can stand outside of what is hashed. All limits of the Rust
/// crate are checked on the way.
library Encoding {
    using Calldata for uint256;
    using Words for uint256[];

    uint256 internal constant MAX_PARTICIPANTS = 16;
    uint256 internal constant MAX_ASSETS = 16;
    uint256 internal constant MAX_LOCKED = 32;
    uint256 internal constant MAX_DATA = 1024;
    uint256 internal constant MAX_FOREIGN_BYTES = 128;
    /// In logs, for the 32 zero bytes of an asset that is of no other ledger.
    uint256 private constant NO_FOREIGN = 255;
    uint256 internal constant MIN_CHALLENGE = 1_800;
    uint256 internal constant MAX_CHALLENGE = 31_536_000;

    /// @notice Checks and hashes parameters.
    function read(Params calldata params) internal pure returns (ChannelView memory v) {
        unchecked {
            uint256 start;
            assembly ("memory-safe") {
                start := params
            }
            uint256 duration = start.at();
            if (duration < MIN_CHALLENGE || duration > MAX_CHALLENGE) {
                revert IHubErrors.ChallengeDuration();
            }
            uint256 app = (start + 0x60).at();
            uint256 isLedger = (start + 0x80).at();
            uint256 isVirtual = (start + 0xa0).at();
            uint256 odd = (start + 0x40).at() ^ 0xc0;
            odd |= app >> 160 | isLedger >> 1 | isVirtual >> 1;
            uint256 count = (start + 0xc0).at();
            if (count < 2 || count > MAX_PARTICIPANTS) revert IHubErrors.ParticipantCount();
            uint256 parties = start + 0xe0;
            uint256 size = _participants(parties, count, odd) + 0xe0;
            _mustEnd(start + size);
            v.id = Calldata.tupleHash(start, size);
            v.count = count;
            v.parties = parties;
            v.duration = duration;
            v.app = address(uint160(app));
            v.isLedger = isLedger == 1;
            v.isVirtual = isVirtual == 1;
        }
    }

    /// @notice The signing address of a participant.
    function party(ChannelView memory v, uint256 index) internal pure returns (address) {
        unchecked {
            return address(uint160((v.parties + (v.parties + 32 * index).at()).at()));
        }
    }

    /// @notice Checks and hashes a state.
    function read(State calldata state) internal view returns (StateView memory v) {
        unchecked {
            uint256 start;
            assembly ("memory-safe") {
                start := state
            }
            v.id = bytes32(start.at());
            v.version = (start + 0x20).at();
            if (v.version >> 48 != 0) revert IHubErrors.Version();
            uint256 isFinal = (start + 0x80).at();
            v.isFinal = isFinal == 1;
            uint256 outcome = start + 0xa0;
            uint256 odd = (start + 0x40).at() ^ 0xa0 | isFinal >> 1 | outcome.at() ^ 0x80;
            uint256 end = _assets(v, outcome + 0x80);
            odd |= (outcome + 0x20).at() ^ (end - outcome);
            end = _backends(v, end);
            odd |= (outcome + 0x40).at() ^ (end - outcome);
            end = _balances(v, end);
            odd |= (outcome + 0x60).at() ^ (end - outcome);
            end = _locked(v, end);
            odd |= (start + 0x60).at() ^ (end - start);
            _must(odd);
            v.data = end + 32;
            v.dataLength = end.at();
            if (v.dataLength > MAX_DATA) revert IHubErrors.DataLength();
            end += _blob(end, v.dataLength);
            _mustEnd(end);
            v.hash = Calldata.tupleHash(start, end - start);
        }
    }

    /// @notice The chain and the holder of an asset.
    function asset(StateView memory v, uint256 row)
        internal
        pure
        returns (uint256 chain, address holder)
    {
        unchecked {
            uint256 position = v.assets + (v.assets + 32 * row).at();
            chain = position.at();
            holder = address(uint160((position + 32).at()));
        }
    }

    /// @notice The holder of an asset of this chain, else zero.
    function native(StateView memory v, uint256 row) internal view returns (address holder) {
        uint256 chain;
        (chain, holder) = asset(v, row);
        if (chain != block.chainid) holder = address(0);
    }

    /// @notice One balance.
    function balance(StateView memory v, uint256 row, uint256 column)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            return (v.rows + row * (32 + 32 * v.columns) + 32 + 32 * column).at();
        }
    }

    /// @notice All balances, row by row.
    function balances(StateView memory v) internal pure returns (uint256[] memory out) {
        unchecked {
            uint256 columns = v.columns;
            uint256 size = v.assetCount * columns;
            out = Words.make(size);
            uint256 position = v.rows + 32;
            for (uint256 next = 0; next < size; next += columns) {
                out.copy(next, position, columns);
                position += 32 + 32 * columns;
            }
        }
    }

    /// @notice The id of a locked channel.
    function lockedId(StateView memory v, uint256 entry) internal pure returns (bytes32) {
        return bytes32(_entry(v, entry).at());
    }

    /// @notice What is locked of an asset for a channel.
    function lockedAmount(StateView memory v, uint256 entry, uint256 row)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            return (_entry(v, entry) + 0x80 + 32 * row).at();
        }
    }

    /// @notice How long the index map of a locked entry is.
    function mapLength(StateView memory v, uint256 entry) internal pure returns (uint256) {
        unchecked {
            return (_entry(v, entry) + 0x80 + 32 * v.assetCount).at();
        }
    }

    /// @notice The participant who stands for participant `index` of a locked channel.
    function mapped(StateView memory v, uint256 entry, uint256 index)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            return (_entry(v, entry) + 0xa0 + 32 * (v.assetCount + index)).at();
        }
    }

    /// @notice The hash of all assets and backends.
    function assetsHash(StateView memory v) internal pure returns (bytes32) {
        unchecked {
            uint256 start = v.assets - 32;
            return Calldata.hash(start, v.backends + 32 * v.assetCount - start);
        }
    }

    /// @notice The hash of all locked entries.
    function lockedHash(StateView memory v) internal pure returns (bytes32) {
        unchecked {
            uint256 start = v.locked - 32;
            return Calldata.hash(start, v.data - 32 - start);
        }
    }

    /// @notice The name of the record of a channel inside another. It holds the assets and the
    /// totals, which never change in an honest channel: a state with others is another record, so
    /// it cannot stand in the way of the parent that locked these.
    function childKey(StateView memory v) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(v.id, assetsHash(v), v.totals));
    }

    /// @notice What of a state does not follow from the rest of it, for logs, where every byte
    /// counts: `IPerunHub.StateRegistered` says how it is written.
    function packed(StateView memory v) internal pure returns (bytes memory out) {
        uint256 next;
        (out, next) = Calldata.begin();
        Calldata.finish(out, append(v, next));
        Calldata.keep(out);
    }

    /// @notice `packed`, behind what was begun.
    function append(StateView memory v, uint256 next) internal pure returns (uint256) {
        unchecked {
            (uint256 count, uint256 columns) = (v.assetCount, v.columns);
            uint256 head = v.version << 48 | count << 32 | columns << 24;
            head |= v.lockedCount << 16 | v.dataLength;
            if (v.isFinal) head |= 1 << 40;
            next = next.append(head, 12);
            for (uint256 i = 0; i < count; ++i) {
                uint256 position = v.assets + (v.assets + 32 * i).at();
                next = next.appendCall(position, 0x20).appendCall(position + 0x2c, 20);
                uint256 size = (position + 0x60).at();
                if (size == 32 && (position + 0x80).at() == 0) {
                    next = next.append(NO_FOREIGN, 1);
                } else {
                    // The last byte of the length, and the bytes.
                    next = next.appendCall(position + 0x7f, 1 + size);
                }
            }
            next = next.appendCall(v.backends, 32 * count);
            // The lower halves of the balances.
            uint256 amount = v.rows + 48;
            for (uint256 i = 0; i < count; ++i) {
                uint256 end = amount + 32 * columns;
                for (; amount < end; amount += 32) {
                    next = next.appendCall(amount, 16);
                }
                amount += 32;
            }
            next = next.appendCall(v.locked, v.data - 32 - v.locked);
            return next.appendCall(v.data, v.dataLength);
        }
    }

    // Differences between what stands and what should stand are gathered in `odd`; positions never
    // depend on what is read, only on lengths, which are limited at once.

    function _participants(uint256 base, uint256 count, uint256 odd)
        private
        pure
        returns (uint256 size)
    {
        unchecked {
            size = 32 * count;
            for (uint256 i = 0; i < count; ++i) {
                uint256 position = base + size;
                uint256 signer = position.at();
                if (signer == 0) revert IHubErrors.ZeroParticipant();
                odd |= (base + 32 * i).at() ^ size | signer >> 160;
                odd |= (position + 0x20).at() ^ 0x40;
                // The offsets before are as they should be, or this ends in a refusal anyhow.
                for (uint256 j = 0; j < i; ++j) {
                    if ((base + (base + 32 * j).at()).at() == signer) {
                        _must(odd);
                        revert IHubErrors.DuplicateParticipant();
                    }
                }
                size += 0x40 + _foreign(position + 0x40);
            }
            _must(odd);
        }
    }

    function _assets(StateView memory v, uint256 list) private pure returns (uint256) {
        unchecked {
            uint256 count = list.at();
            if (count == 0 || count > MAX_ASSETS) revert IHubErrors.AssetCount();
            uint256 base = list + 32;
            uint256 size = 32 * count;
            uint256 odd;
            for (uint256 i = 0; i < count; ++i) {
                uint256 position = base + size;
                odd |= (base + 32 * i).at() ^ size | (position + 0x20).at() >> 160;
                odd |= (position + 0x40).at() ^ 0x60;
                size += 0x60 + _foreign(position + 0x60);
            }
            _must(odd);
            (v.assets, v.assetCount) = (base, count);
            return base + size;
        }
    }

    function _backends(StateView memory v, uint256 list) private view returns (uint256) {
        unchecked {
            if (list.at() != v.assetCount) revert IHubErrors.BalanceShape();
            v.backends = list + 32;
            for (uint256 i = 1; i < v.assetCount; ++i) {
                for (uint256 j = 0; j < i; ++j) {
                    if (_same(v, i, j)) revert IHubErrors.DuplicateAsset();
                }
            }
            return list + 32 + 32 * v.assetCount;
        }
    }

    /// On this chain a holder is one asset, whatever else the row says of it.
    function _same(StateView memory v, uint256 i, uint256 j) private view returns (bool) {
        unchecked {
            (uint256 chain, address holder) = asset(v, i);
            (uint256 otherChain, address otherHolder) = asset(v, j);
            if (chain != otherChain || holder != otherHolder) return false;
            if (chain == block.chainid && holder != address(0)) return true;
            return (v.backends + 32 * i).at() == (v.backends + 32 * j).at()
                && _foreignHash(v, i) == _foreignHash(v, j);
        }
    }

    function _foreignHash(StateView memory v, uint256 row) private pure returns (bytes32) {
        unchecked {
            uint256 position = v.assets + (v.assets + 32 * row).at() + 0x60;
            return Calldata.hash(position, 32 + position.at());
        }
    }

    function _balances(StateView memory v, uint256 list) private pure returns (uint256 position) {
        unchecked {
            uint256 count = v.assetCount;
            if (list.at() != count) revert IHubErrors.BalanceShape();
            uint256 base = list + 32;
            position = base + 32 * count;
            uint256 columns = position.at();
            if (columns == 0 || columns > MAX_PARTICIPANTS) revert IHubErrors.BalanceShape();
            (v.rows, v.columns) = (position, columns);
            uint256[] memory sums = Words.make(count);
            uint256 odd;
            uint256 large;
            for (uint256 row = 0; row < count; ++row) {
                odd |= (base + 32 * row).at() ^ (position - base);
                if (position.at() != columns) revert IHubErrors.BalanceShape();
                uint256 total;
                uint256 end = position + 32 * columns;
                while (position < end) {
                    position += 32;
                    uint256 amount = position.at();
                    large |= amount;
                    total += amount;
                }
                position += 32;
                large |= total;
                sums.set(row, total);
            }
            _must(odd);
            if (large >> 128 != 0) revert IHubErrors.Amount();
            v.totals = sums;
        }
    }

    function _locked(StateView memory v, uint256 list) private pure returns (uint256) {
        unchecked {
            uint256 count = list.at();
            if (count > MAX_LOCKED) revert IHubErrors.LockedCount();
            uint256 base = list + 32;
            (v.locked, v.lockedCount) = (base, count);
            uint256 size = 32 * count;
            for (uint256 i = 0; i < count; ++i) {
                _must((base + 32 * i).at() ^ size);
                uint256 position = base + size;
                for (uint256 j = 0; j < i; ++j) {
                    if ((base + (base + 32 * j).at()).at() == position.at()) {
                        revert IHubErrors.DuplicateLocked();
                    }
                }
                size += _lockedEntry(v, position);
            }
            return base + size;
        }
    }

    function _lockedEntry(StateView memory v, uint256 position)
        private
        pure
        returns (uint256 size)
    {
        unchecked {
            uint256 count = v.assetCount;
            _must((position + 0x20).at() ^ 0x60);
            if ((position + 0x60).at() != count) revert IHubErrors.LockedShape();
            size = 0x80 + 32 * count;
            _must((position + 0x40).at() ^ size);
            for (uint256 row = 0; row < count; ++row) {
                _amount(v.totals[row] + _amount(position + 0x80 + 32 * row), v, row);
            }
            uint256 map = (position + size).at();
            if (map > v.columns) revert IHubErrors.LockedShape();
            size += 32;
            for (uint256 i = 0; i < map; ++i) {
                if ((position + size + 32 * i).at() >= v.columns) {
                    revert IHubErrors.LockedShape();
                }
            }
            size += 32 * map;
        }
    }

    function _entry(StateView memory v, uint256 entry) private pure returns (uint256) {
        unchecked {
            return v.locked + (v.locked + 32 * entry).at();
        }
    }

    function _amount(uint256 position) private pure returns (uint256 amount) {
        amount = position.at();
        if (amount >> 128 != 0) revert IHubErrors.Amount();
    }

    function _amount(uint256 total, StateView memory v, uint256 row) private pure {
        if (total >> 128 != 0) revert IHubErrors.Amount();
        v.totals[row] = total;
    }

    function _foreign(uint256 position) private pure returns (uint256 size) {
        unchecked {
            size = position.at();
            if (size > MAX_FOREIGN_BYTES) revert IHubErrors.ForeignBytes();
            // Whole words, as almost every identity is, need no padding.
            if (size & 31 != 0) return _blob(position, size);
            size += 32;
        }
    }

    /// The words that bytes take with their length; what pads them is zero.
    function _blob(uint256 position, uint256 size) private pure returns (uint256) {
        unchecked {
            uint256 rest = size & 31;
            if (rest != 0) _must((position + 32 + size - rest).at() << (8 * rest));
            return 32 + ((size + 31) & ~uint256(31));
        }
    }

    function _must(uint256 odd) private pure {
        if (odd != 0) revert IHubErrors.NotCanonical();
    }

    function _mustEnd(uint256 end) private pure {
        if (end > Calldata.length()) revert IHubErrors.NotCanonical();
    }
}
