// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IApp} from "../../src/interfaces/IApp.sol";
import {Params, State} from "../../src/interfaces/Types.sol";

/// @title An app whose data is one byte: it must grow by one, and whose turn it is alternates.
contract TestApp is IApp {
    error Refused();

    function validTransition(
        Params calldata params,
        State calldata from,
        State calldata to,
        uint256 actorIdx
    ) external pure {
        bool good = uint8(to.appData[0]) == uint8(from.appData[0]) + 1
            && actorIdx == uint8(from.appData[0]) % params.participants.length;
        if (!good) revert Refused();
    }
}
