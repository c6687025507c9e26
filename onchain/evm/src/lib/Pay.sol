// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IHubErrors} from "../interfaces/IHubErrors.sol";

/// @title Payments that cannot harm whoever makes them.
/// @notice What the payee answers is not copied beyond one word; how long it may run is bounded;
/// and whoever submits cannot starve it: with too little gas the whole transaction reverts.
library Pay {
    uint256 internal constant COIN_GAS = 100_000;
    uint256 internal constant TOKEN_GAS = 300_000;
    /// What a call costs besides the gas it hands over.
    uint256 private constant CALL_GAS = 40_000;

    /// @notice Whether the payee took the coins.
    function coin(address to, uint256 amount) internal returns (bool ok) {
        _demand(COIN_GAS);
        uint256 limit = COIN_GAS;
        assembly ("memory-safe") {
            ok := call(limit, to, amount, 0, 0, 0, 0)
        }
    }

    /// @notice Whether the token says that it moved: with `true`, or, as some do, with nothing.
    function token(address asset, address to, uint256 amount) internal returns (bool ok) {
        _demand(TOKEN_GAS);
        uint256 limit = TOKEN_GAS;
        bytes32 selector = IERC20.transfer.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, selector)
            mstore(add(free, 0x04), shr(96, shl(96, to)))
            mstore(add(free, 0x24), amount)
            mstore(0x00, 0)
            ok := call(limit, asset, 0, free, 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { ok := and(ok, gt(extcodesize(asset), 0)) }
            default { ok := and(ok, and(eq(mload(0x00), 1), gt(returndatasize(), 0x1f))) }
        }
    }

    function _demand(uint256 limit) private view {
        if (gasleft() < limit + limit / 63 + CALL_GAS) revert IHubErrors.GasForPayment();
    }
}
