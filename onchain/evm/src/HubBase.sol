// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IAdjudicator} from "./interfaces/IAdjudicator.sol";
import {IAssetHolder} from "./interfaces/IAssetHolder.sol";
import {IHubErrors} from "./interfaces/IHubErrors.sol";
import {IPerunHub} from "./interfaces/IPerunHub.sol";
import {Calldata} from "./lib/Calldata.sol";
import {ChannelView, Encoding, StateView} from "./lib/Encoding.sol";
import {Pay} from "./lib/Pay.sol";
import {Record, Records} from "./lib/Records.sol";
import {Sig} from "./lib/Sig.sol";
import {Swap} from "./lib/Swap.sol";

/// @title What both halves of the hub's code share: its storage, and how money and records change.
/// @notice `holder` names an asset: the hub itself is the coin, a facade is its token.
abstract contract HubBase is ReentrancyGuardTransient {
    using Encoding for ChannelView;
    using Encoding for StateView;
    using Records for Record;

    /// By channel id for a ledger channel, by `Encoding.childKey` for every other.
    mapping(bytes32 key => Record) internal _records;
    /// By channel id of a channel that is not a ledger channel: the key of its record.
    mapping(bytes32 id => bytes32) internal _childKeys;
    /// Of children with an app: how long the first forced step may be waited for.
    mapping(bytes32 key => uint256) internal _forced;
    /// Of children that were concluded on their own: what came out for them and all below.
    mapping(bytes32 key => uint256[]) internal _outcomes;
    /// What is held of an asset for a deposit's name.
    mapping(address holder => mapping(bytes32 fundingID => uint256)) internal _held;
    /// What waits for an account.
    mapping(address account => mapping(address holder => uint256)) internal _credit;
    /// Where the participant of a deposit's name is paid.
    mapping(bytes32 fundingID => address) internal _payees;
    /// The token of each facade.
    mapping(address facade => address) internal _tokens;
    /// Authorisations that were used.
    mapping(bytes32 digest => bool) internal _used;

    // Channels.

    /// Whether the state can belong to the channel at all.
    function _checkState(ChannelView memory channel, StateView memory state) internal pure {
        if (state.id != channel.id) revert IHubErrors.ChannelId();
        if (state.columns != channel.count) revert IHubErrors.BalanceShape();
        if (state.isFinal && state.lockedCount != 0) revert IHubErrors.FinalWithLocked();
        if (channel.app == address(0) && state.dataLength != 0) {
            if (!channel.isLedger) revert IHubErrors.Data();
            Swap.check(state);
        }
        if (channel.isVirtual && (channel.app != address(0) || state.lockedCount != 0)) {
            revert IHubErrors.VirtualChannel();
        }
    }

    /// Every participant signed this digest.
    function _checkAll(ChannelView memory channel, bytes32 digest, bytes[] calldata sigs)
        internal
        view
    {
        if (sigs.length != channel.count) revert IHubErrors.SignatureCount();
        for (uint256 i = 0; i < sigs.length; ++i) {
            Sig.checkKey(digest, Calldata.item(sigs, i), channel.party(i));
        }
    }

    function _write(bytes32 key, bytes32 id, Record record) internal {
        _records[key] = record;
        emit IAdjudicator.ChannelUpdate(id, record.version(), record.phase(), record.timeout());
    }

    function _fundingID(bytes32 id, address participant) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(id, bytes32(uint256(uint160(participant))));
    }

    // Money.

    function _deposited(address holder, bytes32 fundingID, uint256 amount) internal {
        _add(holder, fundingID, amount);
        if (holder == address(this)) {
            emit IAssetHolder.Deposited(fundingID, amount);
        } else {
            emit IPerunHub.TokenDeposited(holder, fundingID, amount);
        }
    }

    /// A deposit leaves less than 2^128 for its name. The end of a channel, which comes once, may
    /// leave more: what was deposited beyond the outcome, for up to 16 names, is given in proportion
    /// to who deposited. No sum of such amounts comes near 256 bits.
    function _add(address holder, bytes32 fundingID, uint256 amount) internal {
        uint256 before = _held[holder][fundingID];
        unchecked {
            // It wraps around only for an amount of more than 128 bits, which is refused.
            uint256 sum = before + amount;
            if ((amount | sum) >> 128 != 0) revert IHubErrors.Amount();
            _held[holder][fundingID] = sum;
        }
    }

    function _withdrawn(address holder, bytes32 fundingID, uint256 amount, address to) internal {
        if (holder == address(this)) {
            emit IAssetHolder.Withdrawn(fundingID, amount, to);
        } else {
            emit IPerunHub.TokenWithdrawn(holder, fundingID, amount, to);
        }
    }

    /// Pays, or keeps it for the payee: nobody's payment can stop another's.
    function _push(address holder, address to, uint256 amount) internal {
        if (amount == 0 || _send(holder, to, amount)) return;
        _credit[to][holder] += amount;
        emit IPerunHub.Credited(to, holder, amount);
    }

    /// Pays, or reverts: the payee asked for it and can ask again.
    function _pay(address holder, address to, uint256 amount) internal {
        if (to == address(0)) revert IHubErrors.ZeroAddress();
        if (amount != 0 && !_send(holder, to, amount)) revert IHubErrors.PaymentFailed();
    }

    function _send(address holder, address to, uint256 amount) private returns (bool) {
        if (holder == address(this)) return Pay.coin(to, amount);
        address token = _tokens[holder];
        // Coins in the hub belong to depositors; a payment to itself would lose them.
        return to != address(this) && Pay.token(token, to, amount);
    }

    function _use(bytes32 digest) internal {
        if (_used[digest]) revert IHubErrors.AlreadyUsed();
        _used[digest] = true;
    }

    function _concluded(bytes32 id) internal view returns (bool) {
        return _records[id].phase() == Records.CONCLUDED;
    }
}
