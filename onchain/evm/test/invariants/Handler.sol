// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Attacks} from "./Attacks.sol";

/// @title One step of anybody, at random.
/// @notice Every other step is the next action in turn, so that none is left out of a run.
contract Handler is Attacks {
    uint256 public constant ACTIONS = 32;
    uint256 public steps;

    function act(uint256 seed) external {
        rng = uint256(keccak256(abi.encode(rng, seed)));
        uint256 action = steps % 2 == 0 ? (steps / 2) % ACTIONS : draw(ACTIONS);
        ++steps;
        bool good = action < 8
            ? talk(action)
            : action < 20 ? dispute(action) : action < 28 ? move(action) : attack(action);
        if (good) ++count[action];
        observe(true);
    }

    function talk(uint256 action) private returns (bool) {
        uint256 ch;
        if (action == 0) {
            funded(false);
        } else if (action == 1) {
            funded(true);
        } else if (action == 2) {
            ch = pick(canPay);
            if (ch == NONE) ch = funded(false);
            pay(ch);
        } else if (action == 3) {
            ch = pick(canLock);
            openSub(ch == NONE ? funded(false) : ch, chance(3));
        } else if (action == 4) {
            ch = pick(canUnlock);
            if (ch == NONE) openSub(ch = funded(false), false);
            closeSub(ch);
        } else if (action == 5) {
            newVirtual();
        } else if (action == 6) {
            ch = pick(canSwap);
            offerSwap(ch == NONE ? funded(false) : ch);
        } else {
            ch = pick(hasSwap);
            if (ch == NONE) offerSwap(ch = funded(false));
            endSwap(ch);
        }
        return true;
    }

    /// Two ledger channels with the same assets and a party in common, and one between the others.
    function newVirtual() private {
        uint256[] memory keys = new uint256[](2);
        uint256 from = draw(KEYS);
        (keys[0], keys[1]) = (from, (from + 1) % KEYS);
        uint256 one = makeChannel(keys, true, false, false);
        keys[0] = (from + 2) % KEYS;
        uint256 two = makeChannel(keys, true, false, false);
        uint256 mask = draw(16);
        agree(one, firstState(one, mask, false));
        agree(two, firstState(two, mask, false));
        fundAll(one);
        fundAll(two);
        uint256 virt = openVirtual(one, two);
        pay(virt);
    }

    function dispute(uint256 action) private returns (bool) {
        if (action == 8) return registerNewest();
        if (action == 9) return registerOld();
        if (action == 10) return registerOldSub();
        if (action == 11) return step();
        if (action == 12) return concludeSome();
        if (action == 13) return concludeSwap();
        if (action == 14) return concludeChild();
        if (action == 15) return concludeEarly();
        if (action == 16) return close();
        if (action == 17) return closeUnfinished();
        if (action == 18) return spend();
        advance(block.timestamp + draw(1200));
        return true;
    }

    function move(uint256 action) private returns (bool) {
        if (action == 20) return withdrawAsPerun();
        if (action == 21) return withdrawTyped();
        if (action == 22) return takeCredit();
        if (action == 23) return takeCreditSigned();
        if (action == 24) return creditIntoChannel();
        if (action == 25) return depositSigned();
        if (action == 26) return depositLate();
        return bindSome();
    }

    function attack(uint256 action) private returns (bool) {
        if (action == 28) return replay();
        if (action == 29) return freeze() && doubled();
        if (action == 30) return bentShapes() && bentSignatures();
        return chance(3) ? changePayee() : changeChaos();
    }

    // What the invariants look at.

    function size() external view returns (uint256) {
        return chans.length;
    }

    function solvent() external view returns (bool) {
        for (uint256 h = 0; h < HOLDERS; ++h) {
            if (h == CHAOS && tainted) continue;
            if (balance(h, address(hub)) < allHeld(h) + credits(h)) return false;
        }
        return true;
    }

    function withinDeposits() external view returns (bool) {
        for (uint256 ch = 0; ch < chans.length; ++ch) {
            for (uint256 h = 0; h < HOLDERS; ++h) {
                if (paidOut[ch][h] > paidIn[ch][h]) return false;
            }
        }
        return true;
    }

    function somebodyGotIn() external view returns (bool) {
        return gotIn();
    }
}
