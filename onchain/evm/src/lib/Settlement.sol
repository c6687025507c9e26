// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Who gets what of one asset.
library Settlement {
    /// @notice Turns the outcome of one asset, `outcome` from `first` on, into payments out of the
    /// deposits. Enough is held: the outcome, and a surplus back to the depositors in proportion.
    /// Not enough: everybody's deposit back. Either way exactly what is held is paid.
    function pay(uint256[] memory deposits, uint256[] memory outcome, uint256 first)
        internal
        pure
    {
        uint256 held = total(deposits);
        uint256 owed;
        for (uint256 i = 0; i < deposits.length; ++i) {
            owed += outcome[first + i];
        }
        if (held > owed) addInProportion(outcome, first, deposits, held, held - owed);
        if (held >= owed) return;
        for (uint256 i = 0; i < deposits.length; ++i) {
            outcome[first + i] = deposits[i];
        }
    }

    /// @notice Adds `amount` to the shares from `first` on, in proportion to `weights`, whose sum
    /// is not zero; what does not divide goes to the last who has any weight. Weights and amount
    /// are below 2^128.
    function addInProportion(
        uint256[] memory shares,
        uint256 first,
        uint256[] memory weights,
        uint256 sum,
        uint256 amount
    ) internal pure {
        uint256 left = amount;
        uint256 last;
        for (uint256 i = 0; i < weights.length; ++i) {
            if (weights[i] == 0) continue;
            uint256 part = amount * weights[i] / sum;
            shares[first + i] += part;
            left -= part;
            last = i;
        }
        shares[first + last] += left;
    }

    /// @notice The sum.
    function total(uint256[] memory amounts) internal pure returns (uint256 sum) {
        for (uint256 i = 0; i < amounts.length; ++i) {
            sum += amounts[i];
        }
    }
}
