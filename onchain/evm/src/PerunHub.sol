// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AssetFacade} from "./AssetFacade.sol";
import {Disputes} from "./Disputes.sol";
import {HubDesk} from "./HubDesk.sol";
import {IAssetHolder} from "./interfaces/IAssetHolder.sol";
import {IHubErrors} from "./interfaces/IHubErrors.sol";
import {Params, SignedState, State, WithdrawalAuth} from "./interfaces/Types.sol";
import {ChannelView, Encoding, StateView} from "./lib/Encoding.sol";
import {Record, Records} from "./lib/Records.sol";
import {Settlement} from "./lib/Settlement.sol";
import {Sig} from "./lib/Sig.sol";
import {Words} from "./lib/Words.sol";

/// @title The hub: adjudicator and vault. `IPerunHub` is its whole interface.
/// @notice Nobody owns it and nothing of it can change. Its code is larger than one contract may
/// be: the other half, `HubDesk`, is made by the constructor and runs in the hub's place for every
/// function that is not here.
contract PerunHub is Disputes {
    using Encoding for ChannelView;
    using Encoding for StateView;
    using Records for Record;
    using Words for uint256[];

    address private immutable DESK;

    constructor() {
        DESK = address(new HubDesk(address(new AssetFacade())));
    }

    // Disputes. What calls nobody need not keep others out while it runs: it only may not be
    // called from within a function that does (`nonReentrantView`).

    function register(SignedState calldata channel, SignedState[] calldata subChannels)
        external
        nonReentrantView
    {
        _register(channel, subChannels, true);
    }

    function registerSub(SignedState calldata channel, SignedState[] calldata subChannels)
        external
        nonReentrantView
    {
        _register(channel, subChannels, false);
    }

    function conclude(Params calldata params, State calldata state, State[] calldata subStates)
        external
        nonReentrantView
    {
        _conclude(params, state, subStates, false);
    }

    function concludeAndPay(
        Params calldata params,
        State calldata state,
        State[] calldata subStates
    ) external nonReentrant {
        _conclude(params, state, subStates, true);
    }

    function concludeWithPreimage(
        Params calldata params,
        State calldata state,
        State[] calldata subStates,
        bytes32 preimage
    ) external nonReentrantView {
        _concludeClaiming(params, state, subStates, preimage, false);
    }

    function concludeAndPayWithPreimage(
        Params calldata params,
        State calldata state,
        State[] calldata subStates,
        bytes32 preimage
    ) external nonReentrant {
        _concludeClaiming(params, state, subStates, preimage, true);
    }

    function concludeSub(State calldata state, State[] calldata subStates)
        external
        nonReentrantView
    {
        _concludeSub(state, subStates);
    }

    function concludeFinal(Params calldata params, State calldata state, bytes[] calldata sigs)
        external
        nonReentrantView
    {
        _close(params, state, sigs, false, false);
    }

    function closeAndPay(Params calldata params, State calldata state, bytes[] calldata sigs)
        external
        nonReentrant
    {
        _close(params, state, sigs, false, true);
    }

    function closeBatch(SignedState[] calldata channels) external nonReentrant {
        for (uint256 i = 0; i < channels.length; ++i) {
            SignedState calldata c = channels[i];
            _close(c.params, c.state, c.sigs, true, true);
        }
    }

    // The coin's asset holder.

    function deposit(bytes32 fundingID, uint256 amount) external payable nonReentrantView {
        if (msg.value != amount) revert IHubErrors.CoinAmount();
        _add(address(this), fundingID, amount);
        emit IAssetHolder.Deposited(fundingID, amount);
    }

    function withdraw(WithdrawalAuth calldata authorization, bytes calldata signature)
        external
        nonReentrant
    {
        _withdraw(address(this), authorization, signature);
    }

    function withdrawVia(WithdrawalAuth calldata authorization, bytes calldata sig)
        external
        nonReentrant
    {
        if (_tokens[msg.sender] == address(0)) revert IHubErrors.UnknownHolder();
        _withdraw(msg.sender, authorization, sig);
    }

    /// Coins that nobody could claim.
    receive() external payable {
        revert IHubErrors.NoFunction();
    }

    /// The other half of the code. What it does not know either, it refuses.
    fallback() external payable {
        address desk = DESK;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), desk, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch ok
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }

    function _conclude(
        Params calldata params,
        State calldata state,
        State[] calldata subs,
        bool pays
    ) private {
        ChannelView memory channel;
        StateView memory root;
        uint256[] memory rows = _concludeRoot(params, state, subs, channel, root);
        _refund(root, channel);
        _settle(channel, root, rows, pays);
    }

    function _concludeClaiming(
        Params calldata params,
        State calldata state,
        State[] calldata subs,
        bytes32 preimage,
        bool pays
    ) private {
        ChannelView memory channel;
        StateView memory root;
        uint256[] memory rows = _concludeRoot(params, state, subs, channel, root);
        _claim(root, channel, rows, preimage);
        _settle(channel, root, rows, pays);
    }

    function _close(
        Params calldata params,
        State calldata state,
        bytes[] calldata sigs,
        bool skip,
        bool pays
    ) private {
        ChannelView memory channel;
        StateView memory last;
        if (_concludeFinal(params, state, sigs, skip, channel, last)) {
            _settle(channel, last, last.balances(), pays);
        }
    }

    /// Gives every asset of this chain to whom it belongs: `rows` become what is paid. All of it is
    /// in storage before the first payment leaves.
    function _settle(
        ChannelView memory channel,
        StateView memory state,
        uint256[] memory rows,
        bool pays
    ) private {
        uint256 count = channel.count;
        uint256[] memory ids = Words.make(count);
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                ids.set(i, uint256(_fundingID(channel.id, channel.party(i))));
            }
            uint256 assets = state.assetCount;
            for (uint256 row = 0; row < assets; ++row) {
                address holder = state.native(row);
                if (holder == address(0)) continue;
                _settleAsset(_held[holder], ids, rows, row * count, pays);
            }
        }
        if (pays) _payAll(channel, state, ids, rows);
    }

    function _payAll(
        ChannelView memory channel,
        StateView memory state,
        uint256[] memory ids,
        uint256[] memory rows
    ) private {
        uint256 count = ids.length;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 fundingID = bytes32(ids.get(i));
            address payee = channel.hasPayees ? _payees[fundingID] : address(0);
            if (payee == address(0)) payee = channel.party(i);
            uint256 next = i;
            for (uint256 row = 0; next < rows.length; ++row) {
                uint256 amount = rows.get(next);
                unchecked {
                    next += count;
                }
                if (amount == 0) continue;
                address holder = state.native(row);
                if (holder == address(0)) continue;
                _withdrawn(holder, fundingID, amount, payee);
                _push(holder, payee, amount);
            }
        }
    }

    /// Sums cannot overflow: every amount is below 2^128, and there are at most 16.
    function _settleAsset(
        mapping(bytes32 => uint256) storage book,
        uint256[] memory ids,
        uint256[] memory rows,
        uint256 first,
        bool pays
    ) private {
        uint256 count = ids.length;
        uint256[] memory deposits = Words.make(count);
        unchecked {
            uint256 difference;
            for (uint256 i = 0; i < count; ++i) {
                uint256 deposited = book[bytes32(ids.get(i))];
                deposits.set(i, deposited);
                difference += deposited - rows.get(first + i);
            }
            if (difference != 0) Settlement.pay(deposits, rows, first);
            for (uint256 i = 0; i < count; ++i) {
                uint256 rest = pays ? 0 : rows.get(first + i);
                if (rest != deposits.get(i)) book[bytes32(ids.get(i))] = rest;
            }
        }
    }

    /// Perun's authorisation names no asset, chain or contract: so it is good once per holder, and
    /// only for everything that is held.
    function _withdraw(address holder, WithdrawalAuth calldata auth, bytes calldata sig) private {
        if (!_concluded(auth.channelID)) revert IHubErrors.NotConcluded();
        bytes32 digest = Sig.eip191(keccak256(abi.encode(auth)));
        Sig.checkKey(digest, sig, _nonZero(auth.participant.ethAddress));
        bytes32 fundingID = _fundingID(auth.channelID, auth.participant.ethAddress);
        uint256 amount = _held[holder][fundingID];
        if (amount != auth.amount) revert IHubErrors.NotFullHolding();
        if (amount != 0) {
            _use(keccak256(abi.encode(holder, digest)));
            _held[holder][fundingID] = 0;
        }
        _withdrawn(holder, fundingID, amount, auth.receiver);
        _pay(holder, auth.receiver, amount);
    }

    function _nonZero(address account) private pure returns (address) {
        if (account == address(0)) revert IHubErrors.ZeroParticipant();
        return account;
    }
}
