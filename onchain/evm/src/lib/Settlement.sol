// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Who gets what of one asset.
library Settlement {
    /// @notice Turns an outcome into payments out of what is held. Enough is held: the outcome, and
    /// a surplus back to the depositors in proportion. Not enough: everybody's deposit back.
    /// Either way exactly what is held is paid.
    function payments(uint256[] memory deposits, uint256[] memory outcome)
        internal
        pure
        returns (uint256[] memory)
    {
        uint256 sum = total(deposits);
        uint256 owed = total(outcome);
        if (sum < owed) return deposits;
        if (sum > owed) addInProportion(outcome, deposits, sum, sum - owed);
        return outcome;
    }

    /// @notice Adds `amount` to `shares` in proportion to `weights`, whose sum is not zero; what
    /// does not divide goes to the last who has any weight. Weights are below 2^128.
    function addInProportion(
        uint256[] memory shares,
        uint256[] memory weights,
        uint256 sum,
        uint256 amount
    ) internal pure {
        uint256 left = amount;
        uint256 last;
        for (uint256 i = 0; i < weights.length; ++i) {
            if (weights[i] == 0) continue;
            uint256 part = amount * weights[i] / sum;
            shares[i] += part;
            left -= part;
            last = i;
        }
        shares[last] += left;
    }

    /// @notice The sum.
    function total(uint256[] memory amounts) internal pure returns (uint256 sum) {
        for (uint256 i = 0; i < amounts.length; ++i) {
            sum += amounts[i];
        }
    }
}
