// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPerunHub} from "../../src/interfaces/IPerunHub.sol";
import {Allocation, SignedState, State} from "../../src/interfaces/Types.sol";
import {ChaosToken} from "./Players.sol";
import {World} from "./World.sol";

/// @title Every call to the hub, measured; and the honest party, who watches.
abstract contract Watch is World {
    /// Balances before a call: of the hub, credits, the channel's and the other's holdings, and per
    /// party what is held and what its payee has.
    struct Before {
        uint256 hub;
        uint256 credits;
        uint256 held;
        uint256 next;
        uint256[3] parts;
        uint256[3] got;
    }

    /// What one transaction may use.
    uint256 internal constant CALL_GAS = 1 << 24;

    mapping(bytes32 call => bool) private _paid;
    uint256 public largestGas;

    /// Calls as somebody, measures, and keeps the call for those who replay.
    function doCall(Recorded memory r) internal returns (bool ok) {
        calls.push(r);
        return doAgain(r);
    }

    function doAgain(Recorded memory r) internal returns (bool ok) {
        Before[4] memory b;
        for (uint256 h = 0; h < HOLDERS; ++h) {
            b[h] = before(r, h);
        }
        bool wasOver = r.ch == NONE || isOver(r.ch);
        vm.prank(r.sender);
        uint256 gas_ = gasleft();
        (ok,) = r.target.call{value: r.value, gas: CALL_GAS}(r.data);
        gas_ -= gasleft();
        if (!ok) return false;
        bool moved = false;
        for (uint256 h = 0; h < HOLDERS; ++h) {
            if (account(r, h, b[h])) moved = true;
        }
        bytes32 name = keccak256(abi.encode(r.target, r.data));
        if (r.once && moved) {
            if (_paid[name]) fault(6, "an authorisation paid twice");
            _paid[name] = true;
        }
        if (!wasOver && isOver(r.ch)) {
            if (gas_ > largestGas) largestGas = gas_;
            settled(r, b);
        }
        observe(false);
    }

    function isOver(uint256 ch) private view returns (bool) {
        (,,, uint8 phase,,) = hub.disputes(chans[ch].id);
        return chans[ch].isLedger && phase == 2;
    }

    function before(Recorded memory r, uint256 h) private view returns (Before memory b) {
        b.hub = balance(h, address(hub));
        b.credits = credits(h);
        if (r.next != NONE) b.next = heldOf(r.next, h);
        if (r.ch == NONE) return b;
        for (uint256 i = 0; i < chans[r.ch].keys.length; ++i) {
            b.parts[i] = hub.held(holders[h], fundingOf(r.ch, i));
            b.held += b.parts[i];
            b.got[i] = wealth(payeeFor(r.ch, i), h);
        }
    }

    function payeeFor(uint256 ch, uint256 party) internal view returns (address payee) {
        payee = hub.payeeOf(fundingOf(ch, party));
        if (payee == address(0)) payee = names[chans[ch].keys[party]];
    }

    function wealth(address who_, uint256 h) private view returns (uint256) {
        return balance(h, who_) + hub.credit(who_, holders[h]);
    }

    /// What a call moved of one asset: into or out of the channel it was about, and nothing else.
    function account(Recorded memory r, uint256 h, Before memory b) private returns (bool) {
        if (h == CHAOS && tainted) return false;
        int256 net = int256(balance(h, address(hub))) - int256(b.hub);
        net -= int256(credits(h)) - int256(b.credits);
        int256 forNext = r.next == NONE ? int256(0) : int256(heldOf(r.next, h)) - int256(b.next);
        int256 forThis = r.ch == NONE ? int256(0) : int256(heldOf(r.ch, h)) - int256(b.held);
        if (net != forThis + forNext) fault(1, "what moved is not what was booked");
        if (r.next != NONE) enter(r.next, h, forNext);
        if (r.ch != NONE) enter(r.ch, h, forThis);
        return net != 0 || forNext != 0;
    }

    function enter(uint256 ch, uint256 h, int256 amount) private {
        if (amount > 0) paidIn[ch][h] += uint256(amount);
        else paidOut[ch][h] += uint256(-amount);
    }

    // What comes out.

    function settled(Recorded memory r, Before[4] memory b) private {
        if (chans[r.ch].consented) return settledByConsent(r.ch, b);
        if (!isHonest(r.ch)) return;
        State memory s = newest(r.ch);
        uint256[][] memory due = outcome(s);
        if (isClaim(r.data)) applySwap(s, due, false);
        Allocation memory o = s.outcome;
        for (uint256 row = 0; row < o.assets.length; ++row) {
            uint256 h = holderIndex(o.assets[row].ethHolder);
            if (h == HOLDERS || o.assets[row].chainID != block.chainid) continue;
            if (h == CHAOS && (tainted || chaos.mode() == ChaosToken.Mode.Fee)) continue;
            settledAsset(r.ch, h, due[row], b[h]);
        }
    }

    function settledAsset(uint256 ch, uint256 h, uint256[] memory due, Before memory b) private {
        uint256 owed;
        for (uint256 i = 0; i < due.length; ++i) {
            owed += due[i];
        }
        for (uint256 i = 0; i < due.length; ++i) {
            uint256 got = receipt(ch, h, i, b);
            if (b.held < owed && got != b.parts[i]) fault(11, "not the deposit came back");
            if (b.held < owed) continue;
            if (got < due[i]) fault(5, "less than the newest outcome");
            if (b.held == owed && got != due[i]) fault(5, "not the newest outcome");
        }
    }

    /// By consent the honest one gave itself what the newest state says, if that was there.
    function settledByConsent(uint256 ch, Before[4] memory b) private {
        uint256 me = honestIn(ch);
        if (me == NONE) return;
        State memory s = newest(ch);
        uint256[][] memory due = outcome(s);
        for (uint256 row = 0; row < due.length; ++row) {
            uint256 h = holderIndex(s.outcome.assets[row].ethHolder);
            if (h != 0) continue;
            uint256 owed;
            for (uint256 i = 0; i < due[row].length; ++i) {
                owed += due[row][i];
            }
            uint256 got = b[0].held < owed ? b[0].parts[me] : due[row][me];
            uint256 payeeGot = balance(0, names[0]) + hub.credit(names[0], coin);
            payeeGot += hub.held(coin, fundingOf(ch, me));
            if (payeeFor(ch, me) != names[0]) continue;
            if (payeeGot < b[0].got[me] + got) fault(5, "consent gave less than agreed");
        }
    }

    function receipt(uint256 ch, uint256 h, uint256 i, Before memory b)
        private
        view
        returns (uint256)
    {
        return hub.held(holders[h], fundingOf(ch, i)) + wealth(payeeFor(ch, i), h) - b.got[i];
    }

    function isClaim(bytes memory data) private pure returns (bool) {
        bytes4 selector = bytes4(data);
        return selector == IPerunHub.concludeWithPreimage.selector
            || selector == IPerunHub.concludeAndPayWithPreimage.selector;
    }

    /// Moves the legs on this chain, or all.
    function applySwap(State memory s, uint256[][] memory due, bool all) internal view {
        for (uint256 at = 33; at + 27 <= s.appData.length; at += 27) {
            uint256 asset = uint8(s.appData[at]);
            if (!all && s.outcome.assets[asset].chainID != block.chainid) continue;
            uint256 amount;
            for (uint256 k = 11; k < 27; ++k) {
                amount = amount << 8 | uint8(s.appData[at + k]);
            }
            due[asset][uint8(s.appData[at + 1])] -= amount;
            due[asset][uint8(s.appData[at + 2])] += amount;
        }
    }

    // What is recorded.

    function observe(bool all) internal {
        for (uint256 ch = 0; ch < chans.length; ++ch) {
            if (all || chans[ch].phase != 2) observeOne(ch);
        }
    }

    /// The record of a channel, as the hub shows it.
    struct Shown {
        uint64 end;
        uint64 version;
        uint8 phase;
        bytes32 print;
    }

    function shown(uint256 ch) private view returns (Shown memory r) {
        (r.end,, r.version, r.phase, r.print,) = hub.disputes(chans[ch].id);
    }

    function observeOne(uint256 ch) private {
        Chan storage c = chans[ch];
        Shown memory r = shown(ch);
        if (r.print == 0 && r.phase == 0) return;
        if (c.seen && r.print == c.print && r.phase == c.phase && r.end == c.end) return;
        if (c.seen && c.phase == 2) return fault(6, "a concluded record changed");
        if (c.seen && r.print != c.print && r.version <= c.at && r.phase != 2) {
            fault(3, "an older version replaced a newer");
        }
        if (c.seen && r.phase == 0 && r.end > c.end) fault(3, "a window was prolonged");
        if (!c.consented && stateOf[r.print].length == 0) {
            return fault(9, "a record of a state that nobody signed");
        }
        if (r.phase == 2 && !c.consented) mayEnd(ch, r.print);
        if (!c.seen) c.since = block.timestamp;
        (c.seen, c.at, c.phase) = (true, r.version, r.phase);
        (c.end, c.print) = (r.end, r.print);
    }

    function mayEnd(uint256 ch, bytes32 print) private {
        Chan storage c = chans[ch];
        State memory s = abi.decode(stateOf[print], (State));
        if (s.isFinal) return;
        if (!c.seen) return fault(4, "concluded without a window");
        uint256 duration = paramsOf(ch).challengeDuration;
        uint256 from = c.since + duration;
        if (c.isApp && c.phase == 0) from += duration;
        if (c.phase == 1 && from < c.end) from = c.end;
        if (block.timestamp < from) fault(4, "concluded within the window");
    }

    // The honest party.

    /// Answers whatever is older than what it knows. Nobody can make its answer fail.
    function watch() internal {
        for (uint256 ch = 0; ch < chans.length; ++ch) {
            Chan storage c = chans[ch];
            if (!c.seen || c.phase != 0 || c.at >= c.version || !watched(ch)) continue;
            if (block.timestamp >= c.end) continue;
            if (!submit(ch, address(this))) fault(5, "the newest state was refused");
        }
    }

    function watched(uint256 ch) private view returns (bool) {
        if (isHonest(ch)) return true;
        Chan storage c = chans[ch];
        for (uint256 k = 0; c.isVirtual && k < c.parents.length; ++k) {
            if (isHonest(c.parents[k])) return true;
        }
        return false;
    }

    /// Registers the newest tree of a channel.
    function submit(uint256 ch, address from) internal returns (bool) {
        State memory s = newest(ch);
        return submitState(ch, s, below(s, false), from);
    }

    function submitState(uint256 ch, State memory s, SignedState[] memory subs, address from)
        internal
        returns (bool)
    {
        SignedState memory top = nodeOf(ch, s);
        bytes memory data = chans[ch].isLedger
            ? abi.encodeCall(hub.register, (top, subs))
            : abi.encodeCall(hub.registerSub, (top, subs));
        return doCall(Recorded(from, address(hub), 0, data, NONE, NONE, false));
    }

    /// Time passes; before it does, the honest party has answered.
    function advance(uint256 until) internal {
        watch();
        if (until > block.timestamp) vm.warp(until);
    }
}
