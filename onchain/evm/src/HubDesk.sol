// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Deposits} from "./Deposits.sol";
import {IApp} from "./interfaces/IApp.sol";
import {IHubErrors} from "./interfaces/IHubErrors.sol";
import {IPerunHub} from "./interfaces/IPerunHub.sol";
import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Move,
    Params,
    State,
    WithdrawalV2
} from "./interfaces/Types.sol";
import {ChannelView, Encoding, StateView} from "./lib/Encoding.sol";
import {Record, Records} from "./lib/Records.sol";
import {Settlement} from "./lib/Settlement.sol";
import {Sig} from "./lib/Sig.sol";
import {Typed} from "./lib/Typed.sol";

/// @title The other half of the hub's code: what is not on the paths whose gas counts most.
/// @notice It runs in the hub's storage, at the hub's address. Called on its own it has no money
/// and no records.
contract HubDesk is Deposits {
    using Encoding for ChannelView;
    using Encoding for Params;
    using Encoding for State;
    using Encoding for StateView;
    using Records for Record;

    address private immutable FACADE;

    constructor(address facade) {
        FACADE = facade;
    }

    // Opening.

    function open(bytes32 id, Deposit[] calldata deposits, Binding[] calldata payees)
        external
        payable
        nonReentrant
    {
        _open(id, deposits, payees);
    }

    function bindPayee(bytes32 id, Binding calldata binding) external nonReentrant {
        _bind(id, binding);
    }

    function depositVia(address payer, bytes32 fundingID, uint256 amount) external nonReentrant {
        _takeVia(payer, fundingID, amount);
    }

    // Forced steps.

    function progress(
        Params calldata params,
        State calldata stateOld,
        State calldata state,
        uint256 actorIdx,
        bytes calldata sig
    ) external nonReentrant {
        ChannelView memory channel = params.read();
        StateView memory from = stateOld.read();
        StateView memory to = state.read();
        if (channel.app == address(0)) revert IHubErrors.NoApp();
        if (actorIdx >= channel.count) revert IHubErrors.Index();
        if (from.id != channel.id) revert IHubErrors.ChannelId();
        _checkState(channel, to);
        bytes32 key = channel.isLedger ? channel.id : from.childKey();
        Record record = _records[key];
        _checkStepTime(record, from);
        Sig.checkKey(Sig.eip191(to.hash), sig, channel.party(actorIdx));
        _checkStep(from, to);
        IApp(channel.app).validTransition(params, stateOld, state, actorIdx);
        uint256 timeout = block.timestamp + (to.isFinal ? 0 : channel.duration);
        _write(key, to.id, record.next(to.hash, to.version, timeout, Records.FORCED));
        if (!channel.isLedger && _childKeys[to.id] != key) _childKeys[to.id] = key;
        emit IPerunHub.StateProgressed(to.id, actorIdx, to.packed(), sig);
    }

    // The end by consent.

    function spendByConsent(
        Params calldata params,
        Move[] calldata moves,
        uint256 deadline,
        bytes[] calldata sigs
    ) external nonReentrant {
        _spend(params, moves, deadline, sigs);
    }

    function resize(
        Params calldata params,
        Move[] calldata moves,
        uint256 deadline,
        bytes[] calldata sigs,
        bytes32 nextId,
        Deposit[] calldata deposits,
        Binding[] calldata payees
    ) external payable nonReentrant {
        _spend(params, moves, deadline, sigs);
        _open(nextId, deposits, payees);
    }

    // Withdrawing.

    function withdrawV2(WithdrawalV2 calldata authorization, bytes calldata sig)
        external
        nonReentrant
    {
        _withdraw(authorization, sig, false);
    }

    function withdrawMany(WithdrawalV2[] calldata authorizations, bytes[] calldata sigs)
        external
        nonReentrant
    {
        if (authorizations.length != sigs.length) revert IHubErrors.ListLength();
        for (uint256 i = 0; i < sigs.length; ++i) {
            _withdraw(authorizations[i], sigs[i], true);
        }
    }

    function withdrawCredit(address holder, address receiver, uint256 amount)
        external
        nonReentrant
    {
        _payCredit(msg.sender, holder, receiver, amount);
    }

    function withdrawCreditFor(CreditWithdrawal calldata c, bytes calldata sig)
        external
        nonReentrant
    {
        _inTime(c.deadline);
        bytes32 digest = Typed.creditWithdrawal(c);
        Sig.checkAccount(digest, sig, c.account);
        _use(digest);
        _payCredit(c.account, c.holder, c.receiver, c.amount);
    }

    // Facades.

    function createFacade(address token) external returns (address facade) {
        facade = facadeOf(token);
        if (_tokens[facade] != address(0)) return facade;
        if (token.code.length == 0) revert IHubErrors.UnknownHolder();
        _tokens[facade] = token;
        Clones.cloneDeterministicWithImmutableArgs(FACADE, _facadeArgs(token), 0);
        emit IPerunHub.FacadeCreated(token, facade);
    }

    function facadeOf(address token) public view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(
            FACADE, _facadeArgs(token), 0, address(this)
        );
    }

    function tokenOf(address facade) external view returns (address) {
        return _tokens[facade];
    }

    // Reading.

    function channelID(Params calldata params) external pure returns (bytes32) {
        return keccak256(abi.encode(params));
    }

    function hashState(State calldata state) external pure returns (bytes32) {
        return keccak256(abi.encode(state));
    }

    function credit(address account, address holder) external view returns (uint256) {
        return _credit[account][holder];
    }

    function payeeOf(bytes32 fundingID) external view returns (address) {
        return _payees[fundingID];
    }

    function used(bytes32 digest) external view returns (bool) {
        return _used[digest];
    }

    function domainSeparator() external view returns (bytes32) {
        return Typed.domain();
    }

    receive() external payable {
        revert IHubErrors.NoFunction();
    }

    fallback() external payable {
        revert IHubErrors.NoFunction();
    }

    function _facadeArgs(address token) private view returns (bytes memory) {
        return abi.encode(address(this), token);
    }

    function _checkStepTime(Record record, StateView memory from) private view {
        if (!record.exists()) revert IHubErrors.NotRegistered();
        uint256 phase = record.phase();
        if (phase == Records.DISPUTE) {
            if (block.timestamp < record.timeout()) revert IHubErrors.WindowOpen();
        } else if (phase == Records.FORCED) {
            if (block.timestamp >= record.timeout()) revert IHubErrors.WindowOver();
        } else {
            revert IHubErrors.WrongPhase();
        }
        if (!record.isOf(from.hash)) revert IHubErrors.WrongState();
    }

    /// What holds for every step before the app is asked: the next version, the same assets, sums
    /// and locked amounts.
    function _checkStep(StateView memory from, StateView memory to) private pure {
        if (to.version != from.version + 1) revert IHubErrors.Version();
        if (from.isFinal) revert IHubErrors.Final();
        if (from.assetsHash() != to.assetsHash()) revert IHubErrors.Assets();
        if (from.lockedHash() != to.lockedHash()) revert IHubErrors.Locked();
        for (uint256 row = 0; row < from.assetCount; ++row) {
            if (from.totals[row] != to.totals[row]) revert IHubErrors.Sum();
        }
    }

    function _spend(
        Params calldata params,
        Move[] calldata moves,
        uint256 deadline,
        bytes[] calldata sigs
    ) private {
        _inTime(deadline);
        ChannelView memory channel = params.read();
        if (!channel.isLedger) revert IHubErrors.NotLedger();
        Record record = _records[channel.id];
        if (record.phase() == Records.CONCLUDED) revert IHubErrors.AlreadyConcluded();
        bytes32 digest = Typed.spend(channel.id, moves, deadline);
        _checkAll(channel, digest, sigs);
        record = record.next(
            record.fingerprint(), record.version(), block.timestamp, Records.CONCLUDED
        );
        _write(channel.id, channel.id, record);
        emit IPerunHub.SpentByConsent(channel.id, digest);
        for (uint256 i = 0; i < moves.length;) {
            i = _moveHolder(channel, moves, i);
        }
    }

    /// All moves of one holder, which stand together, out of all that is held of it.
    function _moveHolder(ChannelView memory channel, Move[] calldata moves, uint256 i)
        private
        returns (uint256)
    {
        address holder = moves[i].holder;
        uint256[] memory taken = _takeAll(channel, holder);
        uint256 sum = Settlement.total(taken);
        uint256 left = sum;
        uint256 first = i;
        for (; i < moves.length && moves[i].holder == holder; ++i) {
            if (moves[i].amount > left) revert IHubErrors.Insufficient();
            left -= moves[i].amount;
            if ((moves[i].fundingID == 0) == (moves[i].to == address(0))) {
                revert IHubErrors.MoveTarget();
            }
            if (moves[i].to == address(this)) revert IHubErrors.HubAsPayee();
            if (moves[i].fundingID != 0) {
                _deposited(holder, moves[i].fundingID, moves[i].amount);
            }
        }
        if (left != 0) _giveBack(channel, holder, taken, sum, left);
        for (; first < i; ++first) {
            Move calldata m = moves[first];
            if (m.fundingID != 0) continue;
            _withdrawn(holder, _fundingID(channel.id, m.to), m.amount, m.to);
            _push(holder, m.to, m.amount);
        }
        return i;
    }

    function _takeAll(ChannelView memory channel, address holder)
        private
        returns (uint256[] memory taken)
    {
        taken = new uint256[](channel.count);
        for (uint256 k = 0; k < channel.count; ++k) {
            bytes32 fundingID = _fundingID(channel.id, channel.party(k));
            taken[k] = _held[holder][fundingID];
            if (taken[k] != 0) _held[holder][fundingID] = 0;
        }
    }

    /// What the moves leave can be withdrawn by those who deposited.
    function _giveBack(
        ChannelView memory channel,
        address holder,
        uint256[] memory taken,
        uint256 sum,
        uint256 left
    ) private {
        uint256[] memory back = new uint256[](channel.count);
        Settlement.addInProportion(back, 0, taken, sum, left);
        for (uint256 k = 0; k < channel.count; ++k) {
            if (back[k] != 0) _held[holder][_fundingID(channel.id, channel.party(k))] += back[k];
        }
    }

    function _withdraw(WithdrawalV2 calldata w, bytes calldata sig, bool skip) private {
        bytes32 digest = Typed.withdrawal(w);
        if (skip && _used[digest]) return;
        _inTime(w.deadline);
        if (!_concluded(w.channelID)) revert IHubErrors.NotConcluded();
        Sig.checkAccount(digest, sig, w.participant);
        _use(digest);
        bytes32 fundingID = _fundingID(w.channelID, w.participant);
        uint256 there = _held[w.holder][fundingID];
        uint256 amount = w.amount == type(uint256).max ? there : w.amount;
        if (amount > there) revert IHubErrors.Insufficient();
        if (w.fee > amount) revert IHubErrors.Fee();
        _held[w.holder][fundingID] = there - amount;
        _withdrawn(w.holder, fundingID, amount, w.receiver);
        _pay(w.holder, w.receiver, amount - w.fee);
        _pay(w.holder, msg.sender, w.fee);
    }

    function _payCredit(address account, address holder, address receiver, uint256 amount)
        private
    {
        uint256 waiting = _credit[account][holder];
        if (waiting < amount) revert IHubErrors.Insufficient();
        _credit[account][holder] = waiting - amount;
        emit IPerunHub.CreditWithdrawn(account, holder, amount, receiver);
        _pay(holder, receiver, amount);
    }
}
