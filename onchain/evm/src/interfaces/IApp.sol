// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Params, State} from "./Types.sol";

/// @title A channel app: reverts to refuse a step.
/// @notice Already checked by the hub: parameters, shape, sums, version, the actor's signature.
interface IApp {
    /// @notice Whether `actorIdx` may go from one state to the other.
    function validTransition(
        Params calldata params,
        State calldata from,
        State calldata to,
        uint256 actorIdx
    ) external pure;
}
