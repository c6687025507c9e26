// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Allocation, State, SubAlloc} from "../../src/interfaces/Types.sol";
import {Watch} from "./Watch.sol";

/// @title What the parties agree on among themselves.
abstract contract OffChain is Watch {
    /// A channel that `test` accepts, from a random one on; `NONE` if there is none.
    function pick(function(uint256) internal view returns (bool) test)
        internal
        returns (uint256)
    {
        if (chans.length == 0) return NONE;
        uint256 from = draw(chans.length);
        for (uint256 k = 0; k < chans.length; ++k) {
            uint256 ch = (from + k) % chans.length;
            if (test(ch)) return ch;
        }
        return NONE;
    }

    function isLiveLedger(uint256 ch) internal view returns (bool) {
        return chans[ch].isLedger && isLive(ch) && newest(ch).outcome.assets.length != 0;
    }

    function canPay(uint256 ch) internal view returns (bool) {
        return isLive(ch) && (chans[ch].isApp || newest(ch).appData.length == 0);
    }

    function canSwap(uint256 ch) internal view returns (bool) {
        return isLiveLedger(ch) && !chans[ch].isApp && newest(ch).appData.length == 0;
    }

    function hasSwap(uint256 ch) internal view returns (bool) {
        return isLiveLedger(ch) && !chans[ch].isApp && newest(ch).appData.length != 0;
    }

    function canLock(uint256 ch) internal view returns (bool) {
        if (!canPay(ch) || chans[ch].isVirtual) return false;
        if (chans[ch].parents.length != 0 && chans[chans[ch].parents[0]].parents.length != 0) {
            return false;
        }
        return newest(ch).outcome.locked.length < 2;
    }

    function canUnlock(uint256 ch) internal view returns (bool) {
        if (!canPay(ch)) return false;
        SubAlloc[] memory locked = newest(ch).outcome.locked;
        return locked.length != 0
            && newest(indexOf[locked[locked.length - 1].ID] - 1).outcome.locked.length == 0;
    }

    function canFinish(uint256 ch) internal view returns (bool) {
        return canPay(ch) && newest(ch).outcome.locked.length == 0;
    }

    // Opening.

    function someKeys(uint256 size) internal returns (uint256[] memory keys) {
        keys = new uint256[](size);
        uint256 from = chance(4) ? 1 + draw(KEYS - 1) : 0;
        for (uint256 i = 0; i < size; ++i) {
            keys[i] = (from + i) % KEYS;
        }
        if (chance(2)) (keys[0], keys[size - 1]) = (keys[size - 1], keys[0]);
    }

    function amounts(uint256 size) internal returns (uint256[] memory out) {
        out = new uint256[](size);
        for (uint256 i = 0; i < size; ++i) {
            out[i] = chance(6) ? 0 : 1 + draw(1000);
        }
    }

    function firstState(uint256 ch, uint256 mask, bool foreign)
        internal
        returns (State memory s)
    {
        uint256 size = chans[ch].keys.length;
        s = newState(paramsOf(ch), 0, coin, amounts(size));
        for (uint256 h = 1; h < HOLDERS; ++h) {
            if (mask >> h & 1 == 1) addAsset(s, block.chainid, holders[h], amounts(size));
        }
        if (foreign) addAsset(s, FOREIGN_CHAIN, address(0), amounts(size));
        if (chans[ch].isApp) s.appData = hex"00";
    }

    function openLedger(bool hasApp) internal returns (uint256 ch) {
        ch = makeChannel(someKeys(2 + draw(2)), true, false, hasApp);
        agree(ch, firstState(ch, draw(16), chance(3)));
    }

    function next(uint256 ch) internal returns (State memory s) {
        s = newest(ch);
        s.version += uint64(1 + draw(3));
    }

    /// Moves some of an asset between two parties.
    function shuffle(State memory s) internal {
        uint256[] memory row = s.outcome.balances[draw(s.outcome.balances.length)];
        uint256 from = draw(row.length);
        uint256 to = (from + 1 + draw(row.length - 1)) % row.length;
        uint256 amount = draw(row[from] + 1);
        row[from] -= amount;
        row[to] += amount;
    }

    function pay(uint256 ch) internal {
        State memory s = next(ch);
        shuffle(s);
        agree(ch, s);
    }

    function finish(uint256 ch) internal {
        State memory s = next(ch);
        shuffle(s);
        s.isFinal = true;
        agree(ch, s);
    }

    // Channels inside channels.

    /// Locks part of what two or all parties have for a channel between them.
    function openSub(uint256 ch, bool hasApp) internal returns (uint256 sub) {
        uint256[] memory keys = chans[ch].keys;
        uint256 size = chance(2) ? keys.length : 2;
        uint16[] memory indices = new uint16[](size);
        uint256[] memory own = new uint256[](size);
        uint256 shift = draw(keys.length);
        for (uint256 i = 0; i < size; ++i) {
            indices[i] = uint16((i + shift) % keys.length);
            own[i] = keys[indices[i]];
        }
        sub = makeChannel(own, false, false, hasApp);
        chans[sub].parents.push(ch);
        State memory top = next(ch);
        State memory s = inside(sub, top, indices);
        agree(sub, s);
        lock(top, s, indices);
        agree(ch, top);
    }

    /// The first state of a channel inside another, out of the balances there.
    function inside(uint256 sub, State memory top, uint16[] memory indices)
        internal
        returns (State memory s)
    {
        s.channelID = chans[sub].id;
        s.outcome.assets = top.outcome.assets;
        s.outcome.backends = top.outcome.backends;
        s.outcome.balances = new uint256[][](top.outcome.assets.length);
        if (chans[sub].isApp) s.appData = hex"00";
        for (uint256 row = 0; row < s.outcome.balances.length; ++row) {
            uint256[] memory from = top.outcome.balances[row];
            uint256[] memory to = new uint256[](indices.length);
            for (uint256 i = 0; i < indices.length; ++i) {
                to[i] = draw(from[indices[i]] + 1);
                from[indices[i]] -= to[i];
            }
            s.outcome.balances[row] = to;
        }
    }

    /// A virtual channel between the first parties of two ledger channels whose second one is the
    /// same.
    function openVirtual(uint256 one, uint256 two) internal returns (uint256 virt) {
        uint256[] memory keys = new uint256[](2);
        (keys[0], keys[1]) = (chans[one].keys[0], chans[two].keys[0]);
        virt = makeChannel(keys, false, true, false);
        chans[virt].parents.push(one);
        chans[virt].parents.push(two);
        State memory a = next(one);
        State memory b = next(two);
        State memory s = newState(paramsOf(virt), 0, coin, list(0, 0));
        uint256 rows = a.outcome.assets.length;
        (s.outcome.assets, s.outcome.backends) = (a.outcome.assets, a.outcome.backends);
        s.outcome.balances = new uint256[][](rows);
        for (uint256 row = 0; row < rows; ++row) {
            uint256[] memory inOne = a.outcome.balances[row];
            uint256[] memory inTwo = b.outcome.balances[row];
            uint256 x = draw(least(inOne[0], inTwo[1]) + 1);
            uint256 y = draw(least(inOne[1], inTwo[0]) + 1);
            s.outcome.balances[row] = list(x, y);
            (inOne[0], inOne[1]) = (inOne[0] - x, inOne[1] - y);
            (inTwo[1], inTwo[0]) = (inTwo[1] - x, inTwo[0] - y);
        }
        agree(virt, s);
        lock(a, s, map(0, 1));
        lock(b, s, map(1, 0));
        agree(one, a);
        agree(two, b);
    }

    function least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    /// The last locked channel ends by agreement: what it says is added to the balances.
    function closeSub(uint256 ch) internal {
        State memory s = next(ch);
        Allocation memory o = s.outcome;
        SubAlloc memory entry = o.locked[o.locked.length - 1];
        uint256 sub = indexOf[entry.ID] - 1;
        State memory last = current(sub);
        chans[sub].done = true;
        for (uint256 row = 0; row < o.assets.length; ++row) {
            for (uint256 i = 0; i < last.outcome.balances[row].length; ++i) {
                o.balances[row][entry.indexMap[i]] += last.outcome.balances[row][i];
            }
        }
        SubAlloc[] memory rest = new SubAlloc[](o.locked.length - 1);
        for (uint256 k = 0; k < rest.length; ++k) {
            rest[k] = o.locked[k];
        }
        o.locked = rest;
        agree(ch, s);
    }

    // Swaps.

    function offerSwap(uint256 ch) internal {
        State memory s = next(ch);
        s.appData = abi.encodePacked(uint8(1), sha256(abi.encodePacked(SECRET)));
        for (uint256 row = 0; row < s.outcome.assets.length; ++row) {
            uint256[] memory have = s.outcome.balances[row];
            uint256 from = draw(have.length);
            if (have[from] == 0 || (row != 0 && chance(3))) continue;
            s.appData = bytes.concat(
                s.appData,
                abi.encodePacked(
                    uint8(row),
                    uint8(from),
                    uint8((from + 1) % have.length),
                    uint64(block.timestamp + 2000 + draw(6000)),
                    uint128(1 + draw(have[from]))
                )
            );
        }
        if (s.appData.length == 33) s.appData = "";
        agree(ch, s);
    }

    /// The swap ends by agreement, one way or the other.
    function endSwap(uint256 ch) internal {
        State memory s = next(ch);
        uint256[][] memory rows = s.outcome.balances;
        if (chance(2)) applySwap(s, rows, true);
        s.appData = "";
        agree(ch, s);
    }

    /// When the refund of a swap on this chain may come; zero without one.
    function expiryOf(uint256 ch, State memory s) internal view returns (uint256 end) {
        if (chans[ch].isApp) return 0;
        for (uint256 at = 33; at + 27 <= s.appData.length; at += 27) {
            if (s.outcome.assets[uint8(s.appData[at])].chainID != block.chainid) continue;
            uint256 expiry;
            for (uint256 k = 3; k < 11; ++k) {
                expiry = expiry << 8 | uint8(s.appData[at + k]);
            }
            if (expiry > end) end = expiry;
        }
    }
}
