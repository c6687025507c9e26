// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Allocation, Asset, Params, State, SubAlloc} from "../../src/interfaces/Types.sol";

/// @title Which channels and states there may be, said once more, in plain Solidity.
/// @notice Of channels that lock nothing or whose locked channels are given separately.
library Shape {
    function good(Params memory p) internal pure returns (bool) {
        uint256 n = p.participants.length;
        if (n < 2 || n > 16) return false;
        if (p.challengeDuration < 1800 || p.challengeDuration > 365 days) return false;
        for (uint256 i = 0; i < n; ++i) {
            if (p.participants[i].ethAddress == address(0)) return false;
            if (p.participants[i].ccAddress.length > 128) return false;
            for (uint256 j = 0; j < i; ++j) {
                if (p.participants[i].ethAddress == p.participants[j].ethAddress) return false;
            }
        }
        return true;
    }

    function good(Params memory p, State memory s, uint256 chain) internal pure returns (bool) {
        if (!good(p) || s.channelID != keccak256(abi.encode(p))) return false;
        if (s.version >= 2 ** 48 || s.appData.length > 1024) return false;
        if (s.isFinal && s.outcome.locked.length != 0) return false;
        if (p.virtualChannel && (p.app != address(0) || s.outcome.locked.length != 0)) {
            return false;
        }
        return goodAssets(s.outcome, chain) && goodSums(s.outcome, p.participants.length)
            && goodLocked(s.outcome, p.participants.length) && goodData(p, s);
    }

    function goodAssets(Allocation memory o, uint256 chain) private pure returns (bool) {
        uint256 n = o.assets.length;
        if (n == 0 || n > 16 || o.backends.length != n || o.balances.length != n) return false;
        for (uint256 i = 0; i < n; ++i) {
            if (o.assets[i].ccHolder.length > 128) return false;
            for (uint256 j = 0; j < i; ++j) {
                if (same(o, i, j, chain)) return false;
            }
        }
        return true;
    }

    function same(Allocation memory o, uint256 i, uint256 j, uint256 chain)
        private
        pure
        returns (bool)
    {
        Asset memory a = o.assets[i];
        Asset memory b = o.assets[j];
        if (a.chainID != b.chainID || a.ethHolder != b.ethHolder) return false;
        if (a.chainID == chain && a.ethHolder != address(0)) return true;
        return o.backends[i] == o.backends[j] && keccak256(a.ccHolder) == keccak256(b.ccHolder);
    }

    function goodSums(Allocation memory o, uint256 n) private pure returns (bool) {
        for (uint256 row = 0; row < o.assets.length; ++row) {
            if (o.balances[row].length != n) return false;
            uint256 sum;
            for (uint256 i = 0; i < n; ++i) {
                if (o.balances[row][i] >= 2 ** 128) return false;
                sum += o.balances[row][i];
            }
            for (uint256 k = 0; k < o.locked.length; ++k) {
                if (o.locked[k].balances.length != o.assets.length) return false;
                if (o.locked[k].balances[row] >= 2 ** 128) return false;
                sum += o.locked[k].balances[row];
            }
            if (sum >= 2 ** 128) return false;
        }
        return true;
    }

    function goodLocked(Allocation memory o, uint256 n) private pure returns (bool) {
        if (o.locked.length > 32) return false;
        for (uint256 k = 0; k < o.locked.length; ++k) {
            SubAlloc memory entry = o.locked[k];
            if (entry.indexMap.length > n) return false;
            for (uint256 i = 0; i < entry.indexMap.length; ++i) {
                if (entry.indexMap[i] >= n) return false;
            }
            for (uint256 j = 0; j < k; ++j) {
                if (o.locked[j].ID == entry.ID) return false;
            }
        }
        return true;
    }

    function goodData(Params memory p, State memory s) private pure returns (bool) {
        bytes memory d = s.appData;
        if (p.app != address(0) || d.length == 0) return true;
        if (!p.ledgerChannel || s.isFinal || s.version == 0) return false;
        if (d.length < 60 || (d.length - 33) % 27 != 0 || d[0] != 0x01) return false;
        int256 before = -1;
        for (uint256 at = 33; at < d.length; at += 27) {
            uint256 asset = number(d, at, 1);
            if (int256(asset) <= before || asset >= s.outcome.assets.length) return false;
            before = int256(asset);
            if (!goodLeg(p.participants.length, s.outcome.balances[asset], d, at)) return false;
        }
        return true;
    }

    function goodLeg(uint256 n, uint256[] memory row, bytes memory d, uint256 at)
        private
        pure
        returns (bool)
    {
        uint256 from = number(d, at + 1, 1);
        uint256 to = number(d, at + 2, 1);
        uint256 expiry = number(d, at + 3, 8);
        uint256 amount = number(d, at + 11, 16);
        return from < n && to < n && from != to && expiry != 0 && expiry < 2 ** 38 && amount != 0
            && amount <= row[from];
    }

    function number(bytes memory d, uint256 at, uint256 size) internal pure returns (uint256 x) {
        for (uint256 i = 0; i < size; ++i) {
            x = x << 8 | uint8(d[at + i]);
        }
    }
}
