// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Params, SignedState, State} from "./Types.sol";

/// @title Perun's adjudicator interface, selector for selector.
/// @notice Anybody may submit what is validly signed.
interface IAdjudicator {
    /// @notice A channel's record changed. Phases: 0 dispute, 1 forced execution, 2 concluded.
    event ChannelUpdate(bytes32 indexed channelID, uint64 version, uint8 phase, uint64 timeout);

    /// @notice Registers, or refutes with, a signed state of a ledger channel and the states of all
    /// channels locked in it, depth first. A node that is registered with this very state needs no
    /// signatures, and its descendants may be left out.
    function register(SignedState calldata channel, SignedState[] calldata subChannels) external;

    /// @notice Forces one step of an app: `state` follows the registered `stateOld`, signed by the
    /// participant `actorIdx`.
    function progress(
        Params calldata params,
        State calldata stateOld,
        State calldata state,
        uint256 actorIdx,
        bytes calldata sig
    ) external;

    /// @notice Concludes a registered state, once its window and those of all channels locked in it
    /// are over. A state with legs of a pending swap on this chain is refunded, from the largest
    /// expiry of those legs on. Nothing is paid out: see `withdraw`.
    function conclude(Params calldata params, State calldata state, State[] calldata subStates)
        external;

    /// @notice Concludes a fully signed final state at once. Nothing is paid out: see `withdraw`.
    function concludeFinal(Params calldata params, State calldata state, bytes[] calldata sigs)
        external;

    /// @notice `keccak256(abi.encode(params))`.
    function channelID(Params calldata params) external pure returns (bytes32);

    /// @notice `keccak256(abi.encode(state))`.
    function hashState(State calldata state) external pure returns (bytes32);

    /// @notice What is recorded of a channel. All zero: nothing. Other than Perun's: the duration
    /// and whether there is an app are not recorded (0, false), and `stateHash` is the first 21
    /// bytes of the hash, the rest zero. Of a sub- or virtual channel: the record changed last.
    function disputes(bytes32 id)
        external
        view
        returns (
            uint64 timeout,
            uint64 challengeDuration,
            uint64 version,
            uint8 phase,
            bytes32 stateHash,
            bool hasApp
        );
}
