// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TransientSlot} from "@openzeppelin/contracts/utils/TransientSlot.sol";
import {HubBase} from "./HubBase.sol";
import {IHubErrors} from "./interfaces/IHubErrors.sol";
import {IPerunHub} from "./interfaces/IPerunHub.sol";
import {Params, SignedState, State} from "./interfaces/Types.sol";
import {Calldata} from "./lib/Calldata.sol";
import {ChannelView, Encoding, StateView} from "./lib/Encoding.sol";
import {Record, Records} from "./lib/Records.sol";
import {Sig} from "./lib/Sig.sol";
import {Swap} from "./lib/Swap.sol";

/// @title Which state counts: registering trees of channels, and concluding them.
/// @notice What holds for every record: its state has the right shape and is signed by all (or is a
/// legal step of such a state), and every channel locked in it has a record with the same assets
/// and the amount that is locked, and participants that fit. So what is registered can be
/// concluded.
abstract contract Disputes is HubBase {
    using Encoding for ChannelView;
    using Encoding for Params;
    using Encoding for State;
    using Encoding for StateView;
    using Records for Record;
    using TransientSlot for *;

    uint256 private constant MAX_DEPTH = 4;

    // Registering.

    function _register(SignedState calldata root, SignedState[] calldata subs, bool isLedger)
        internal
    {
        ChannelView memory channel = root.params.read();
        StateView memory state = root.state.read();
        uint256 next = _registerNode(channel, state, root.sigs, subs, 0, 1);
        if (isLedger && !channel.isLedger) revert IHubErrors.NotLedger();
        if (!isLedger && channel.isLedger) revert IHubErrors.ChildIsLedger();
        if (next != subs.length) revert IHubErrors.TooManyChildren();
    }

    function _registerNode(
        ChannelView memory channel,
        StateView memory state,
        bytes[] calldata sigs,
        SignedState[] calldata subs,
        uint256 next,
        uint256 depth
    ) private returns (uint256) {
        if (depth > MAX_DEPTH) revert IHubErrors.TreeDepth();
        _checkState(channel, state);
        bytes32 key = channel.isLedger ? state.id : state.childKey();
        Record record = _records[key];
        bool known = record.isOf(state.hash) && record.exists();
        if (!known) _checkAll(channel, Sig.eip191(state.hash), sigs);
        if (state.lockedCount != 0 && !(known && _skipsChildren(state, subs, next))) {
            next = _registerChildren(channel, state, subs, next, depth);
            // Participants can sign a channel into itself: then the record is another one now.
            record = _records[key];
        }
        if (!known) {
            _store(key, record, channel, state);
            _show(state, sigs);
        }
        return next;
    }

    /// What is below a registered state is registered too, and need not be given again.
    function _skipsChildren(StateView memory state, SignedState[] calldata subs, uint256 next)
        private
        pure
        returns (bool)
    {
        return next == subs.length || subs[next].state.channelID != state.lockedId(0);
    }

    function _registerChildren(
        ChannelView memory channel,
        StateView memory state,
        SignedState[] calldata subs,
        uint256 next,
        uint256 depth
    ) private returns (uint256) {
        for (uint256 entry = 0; entry < state.lockedCount; ++entry) {
            if (next == subs.length) revert IHubErrors.WrongChild();
            SignedState calldata node = subs[next];
            ChannelView memory child = node.params.read();
            StateView memory sub = node.state.read();
            next = _registerNode(child, sub, node.sigs, subs, next + 1, depth + 1);
            if (child.isLedger) revert IHubErrors.ChildIsLedger();
            _checkLocked(state, entry, sub);
            _checkParticipants(channel, state, entry, child);
        }
        return next;
    }

    /// The child is the one that is locked, with the parent's assets and what is locked of each.
    function _checkLocked(StateView memory state, uint256 entry, StateView memory sub)
        private
        pure
    {
        if (sub.id != state.lockedId(entry)) revert IHubErrors.WrongChild();
        if (sub.assetsHash() != state.assetsHash()) revert IHubErrors.Assets();
        for (uint256 row = 0; row < state.assetCount; ++row) {
            if (sub.totals[row] != state.lockedAmount(entry, row)) revert IHubErrors.Sum();
        }
    }

    /// Each participant of the child stands for one of the parent's; in a channel that is not
    /// virtual it is that participant itself.
    function _checkParticipants(
        ChannelView memory channel,
        StateView memory state,
        uint256 entry,
        ChannelView memory child
    ) private pure {
        if (state.mapLength(entry) < child.count) revert IHubErrors.LockedShape();
        if (child.isVirtual) return;
        for (uint256 i = 0; i < child.count; ++i) {
            if (channel.party(state.mapped(entry, i)) != child.party(i)) {
                revert IHubErrors.ChildParticipants();
            }
        }
    }

    /// A first state opens the window; a newer one replaces it and never prolongs the window; a
    /// final one ends it.
    function _store(
        bytes32 key,
        Record record,
        ChannelView memory channel,
        StateView memory state
    ) private {
        uint256 timeout = block.timestamp;
        bool isFirst = !record.exists();
        if (!isFirst) {
            if (record.phase() != Records.DISPUTE) revert IHubErrors.WrongPhase();
            if (state.version <= record.version()) revert IHubErrors.Version();
            if (block.timestamp >= record.timeout()) revert IHubErrors.RefutationOver();
            if (!state.isFinal) timeout = record.timeout();
        } else if (!state.isFinal) {
            timeout += channel.duration;
        }
        if (!channel.isLedger) {
            if (isFirst && channel.app != address(0)) _forced[key] = channel.duration;
            if (_childKeys[state.id] != key) _childKeys[state.id] = key;
        }
        _write(key, state.id, record.next(state.hash, state.version, timeout, Records.DISPUTE));
    }

    // Concluding.

    /// Concludes a registered root and everything below. Returns what comes out, without a swap.
    function _concludeRoot(
        ChannelView memory channel,
        StateView memory root,
        State[] calldata subs
    ) internal returns (uint256[] memory rows) {
        if (!channel.isLedger) revert IHubErrors.NotLedger();
        if (root.id != channel.id) revert IHubErrors.ChannelId();
        Record record = _registered(root.id, root);
        if (record.phase() == Records.CONCLUDED) revert IHubErrors.AlreadyConcluded();
        uint256 forced = channel.app == address(0) || root.isFinal ? 0 : channel.duration;
        if (!record.isOver(forced)) revert IHubErrors.WindowOpen();
        channel.hasPayees = record.hasPayees();
        rows = _collectAll(root, subs);
        _write(root.id, root.id, record.concluded());
    }

    /// The balances of a concluded root with its swap refunded; too early a refund reverts.
    function _refund(StateView memory root, ChannelView memory channel) internal view {
        if (channel.app != address(0)) return;
        if (block.timestamp < Swap.expiry(root)) revert IHubErrors.SwapPending();
    }

    /// Moves the legs of a concluded root's swap.
    function _claim(
        StateView memory root,
        ChannelView memory channel,
        uint256[] memory rows,
        bytes32 preimage
    ) internal {
        if (channel.app != address(0) || Swap.expiry(root) == 0) {
            revert IHubErrors.NoSwap();
        }
        Swap.claim(root, rows, preimage);
        emit IPerunHub.SwapClaimed(root.id, preimage);
    }

    /// Concludes a sub-channel and everything below, and keeps what comes out.
    function _concludeSub(State calldata state, State[] calldata subs) internal {
        StateView memory sub = state.read();
        bytes32 key = sub.childKey();
        _concludeChild(key, sub);
        if (_outcomes[key].length != 0) return;
        key.asBoolean().tstore(true);
        _outcomes[key] = _collectAll(sub, subs);
        key.asBoolean().tstore(false);
    }

    function _collectAll(StateView memory state, State[] calldata subs)
        private
        returns (uint256[] memory rows)
    {
        uint256 next;
        (next, rows) = _collect(state, subs, 0);
        if (next != subs.length) revert IHubErrors.TooManyChildren();
    }

    /// Balances, and what comes out of every locked channel for those who stand for its
    /// participants.
    function _collect(StateView memory state, State[] calldata subs, uint256 next)
        private
        returns (uint256, uint256[] memory rows)
    {
        rows = state.balances();
        for (uint256 entry = 0; entry < state.lockedCount; ++entry) {
            if (next == subs.length) revert IHubErrors.WrongChild();
            StateView memory sub = subs[next].read();
            ++next;
            _checkLocked(state, entry, sub);
            bytes32 key = sub.childKey();
            _concludeChild(key, sub);
            uint256[] memory below = _outcomes[key];
            if (key.asBoolean().tload()) {
                below = _loop(sub);
            } else if (below.length == 0) {
                key.asBoolean().tstore(true);
                (next, below) = _collect(sub, subs, next);
                key.asBoolean().tstore(false);
            }
            _addMapped(state, entry, rows, sub.columns, below);
        }
        return (next, rows);
    }

    /// A channel that is locked in itself, by way of others: its participants signed that. No state
    /// says who gets it, so the first of them does, and nobody above has to wait.
    function _loop(StateView memory sub) private pure returns (uint256[] memory rows) {
        rows = new uint256[](sub.assetCount * sub.columns);
        for (uint256 row = 0; row < sub.assetCount; ++row) {
            rows[row * sub.columns] = sub.totals[row];
        }
    }

    function _addMapped(
        StateView memory state,
        uint256 entry,
        uint256[] memory rows,
        uint256 columns,
        uint256[] memory below
    ) private pure {
        for (uint256 i = 0; i < columns; ++i) {
            uint256 to = state.mapped(entry, i);
            for (uint256 row = 0; row < state.assetCount; ++row) {
                rows[row * state.columns + to] += below[row * columns + i];
            }
        }
    }

    /// A child ends by its own clock, whoever refers to it.
    function _concludeChild(bytes32 key, StateView memory sub) private {
        Record record = _registered(key, sub);
        if (record.phase() == Records.CONCLUDED) return;
        if (!record.isOver(sub.isFinal ? 0 : _forced[key])) revert IHubErrors.WindowOpen();
        _write(key, sub.id, record.concluded());
    }

    function _registered(bytes32 key, StateView memory state)
        private
        view
        returns (Record record)
    {
        record = _records[key];
        if (!record.exists()) revert IHubErrors.NotRegistered();
        if (!record.isOf(state.hash)) revert IHubErrors.WrongState();
    }

    /// Concludes with a fully signed final state, at once and whatever is registered.
    function _concludeFinal(
        Record record,
        ChannelView memory channel,
        StateView memory last,
        bytes[] calldata sigs
    ) internal {
        channel.hasPayees = record.hasPayees();
        if (!channel.isLedger) revert IHubErrors.NotLedger();
        if (!last.isFinal) revert IHubErrors.NotFinal();
        _checkState(channel, last);
        _checkAll(channel, Sig.eip191(last.hash), sigs);
        record = record.next(last.hash, last.version, block.timestamp, Records.CONCLUDED);
        _write(last.id, last.id, record);
        if (_isForeign(last)) {
            _show(last, sigs);
        }
    }

    /// `StateRegistered`, for watchers.
    function _show(StateView memory state, bytes[] calldata sigs) private {
        (bytes memory signed, uint256 next) = Calldata.begin();
        next = Calldata.appendSignatures(state.append(next), sigs);
        Calldata.finish(signed, next);
        Calldata.log(IPerunHub.StateRegistered.selector, state.id, signed);
    }

    function _isForeign(StateView memory state) private view returns (bool) {
        for (uint256 row = 0; row < state.assetCount; ++row) {
            if (state.native(row) == address(0)) return true;
        }
        return false;
    }
}
