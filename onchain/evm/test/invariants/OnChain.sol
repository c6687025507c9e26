// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetHolder} from "../../src/interfaces/IAssetHolder.sol";
import {Binding, Deposit, Move, SignedState, Source, State} from "../../src/interfaces/Types.sol";
import {ChaosToken} from "./Players.sol";
import {OffChain} from "./OffChain.sol";

/// @title Deposits, disputes and conclusions. Each answers whether it succeeded.
abstract contract OnChain is OffChain {
    uint256 internal constant CLAIMED = 100;
    uint256 internal constant REFUNDED = 101;
    uint256 internal constant CONCLUDED = 102;
    uint256 internal constant HURRIED = 107;

    function send(bytes memory data, uint256 ch) internal returns (bool) {
        return doCall(Recorded(RELAYER, address(hub), 0, data, ch, NONE, false));
    }

    function calm() internal {
        chaos.set(ChaosToken.Mode.Plain, address(0), "");
    }

    // Deposits.

    function put(uint256 ch, uint256 h, uint256 party, uint256 amount) internal returns (bool) {
        bytes32 fundingID = fundingOf(ch, party);
        uint256 value = h == 0 ? amount : 0;
        bytes memory data;
        address target = address(hub);
        if (chance(2)) {
            data = abi.encodeCall(IAssetHolder.deposit, (fundingID, amount));
            target = holders[h];
        } else {
            Deposit[] memory d = new Deposit[](1);
            d[0] = Deposit(holders[h], names[chans[ch].keys[party]], amount, Source.Sender, "");
            data = abi.encodeCall(hub.open, (chans[ch].id, d, new Binding[](0)));
        }
        return doCall(Recorded(address(this), target, value, data, ch, NONE, false));
    }

    /// Deposits what the newest state distributes: all of it, or a little less or more.
    function fundAll(uint256 ch) internal returns (bool good) {
        State memory s = newest(ch);
        uint256[] memory sums = totals(s);
        good = true;
        for (uint256 row = 0; row < sums.length; ++row) {
            uint256 h = holderIndex(s.outcome.assets[row].ethHolder);
            if (h == HOLDERS) continue;
            uint256 amount = sums[row];
            if (chance(6)) amount = amount / 2;
            if (chance(6)) amount += 1 + draw(50);
            uint256 first = draw(amount + 1);
            uint256 size = chans[ch].keys.length;
            if (!put(ch, h, draw(size), first)) good = false;
            if (!put(ch, h, draw(size), amount - first)) good = false;
        }
    }

    function funded(bool hasApp) internal returns (uint256 ch) {
        ch = openLedger(hasApp);
        fundAll(ch);
    }

    // Finding, or making, a channel that is far enough.

    function orNew(uint256 ch) internal returns (uint256) {
        return ch == NONE ? funded(false) : ch;
    }

    function isOpenDispute(uint256 ch) internal view returns (bool) {
        return chans[ch].isLedger && chans[ch].seen && chans[ch].phase != 2;
    }

    function isOpenChild(uint256 ch) internal view returns (bool) {
        return !chans[ch].isLedger && chans[ch].seen && chans[ch].phase != 2;
    }

    function isUnseenLedger(uint256 ch) internal view returns (bool) {
        return chans[ch].isLedger && !chans[ch].seen;
    }

    function isFinished(uint256 ch) internal view returns (bool) {
        if (!chans[ch].isLedger || chans[ch].phase == 2) return false;
        State memory s = newest(ch);
        return s.isFinal && sigsOf[printOf(keccak256(abi.encode(s)))].length != 0;
    }

    function isConcluded(uint256 ch) internal view returns (bool) {
        return chans[ch].isLedger && chans[ch].phase == 2;
    }

    function isSteppable(uint256 ch) internal view returns (bool) {
        Chan storage c = chans[ch];
        if (!c.isApp || !c.seen || c.phase == 2) return false;
        if (c.phase == 1 && block.timestamp >= c.end) return false;
        State memory s = onLedger(ch);
        return !s.isFinal && uint8(s.appData[0]) < 200;
    }

    // Disputes.

    function registerNewest() internal returns (bool) {
        uint256 ch = pick(isUnseenLedger);
        if (ch == NONE) ch = funded(chance(4));
        bool good = submit(ch, RELAYER);
        if (!good) fault(7, "a signed tree cannot be registered");
        return good;
    }

    /// An older state, with older states of what is locked in it.
    function registerOld() internal returns (bool) {
        for (uint256 k = 0; k < 3; ++k) {
            if (chans.length == 0) break;
            if (tryOld(draw(chans.length))) return true;
        }
        uint256 ch = funded(chance(3));
        pay(ch);
        pay(ch);
        return tryOld(ch);
    }

    function tryOld(uint256 ch) internal returns (bool) {
        bytes32 print = papers[ch][draw(papers[ch].length)];
        State memory s = abi.decode(stateOf[print], (State));
        return submitState(ch, s, below(s, true), RELAYER);
    }

    /// An older state of a channel inside another.
    function registerOldSub() internal returns (bool) {
        for (uint256 k = 0; k < 4; ++k) {
            if (chans.length == 0) break;
            uint256 ch = draw(chans.length);
            if (!chans[ch].isLedger && tryOld(ch)) return true;
        }
        uint256 root = funded(false);
        uint256 sub = openSub(root, chance(2));
        pay(sub);
        return tryOld(sub);
    }

    /// A forced step by the one whose turn it is.
    function step() internal returns (bool) {
        uint256 ch = pick(isSteppable);
        if (ch == NONE) {
            ch = funded(true);
            submit(ch, RELAYER);
        }
        if (chans[ch].phase == 0) advance(chans[ch].end);
        State memory from = onLedger(ch);
        State memory to = onLedger(ch);
        uint256 size = chans[ch].keys.length;
        uint256 actor = uint8(from.appData[0]) % size;
        to.version += 1;
        to.appData[0] = bytes1(uint8(from.appData[0]) + 1);
        uint256[] memory row = to.outcome.balances[draw(to.outcome.balances.length)];
        uint256 amount = draw(row[actor] + 1);
        row[actor] -= amount;
        row[(actor + 1) % size] += amount;
        to.isFinal = chance(5) && to.outcome.locked.length == 0;
        bytes memory encoded = abi.encode(to);
        bytes32 hash = keccak256(encoded);
        bytes memory sig = sign(chans[ch].keys[actor], eip191(hash));
        stateOf[printOf(hash)] = encoded;
        bool good = send(abi.encodeCall(hub.progress, (paramsOf(ch), from, to, actor, sig)), NONE);
        if (good) {
            remember(ch, to, encoded, printOf(hash));
            chans[ch].done = true;
        }
        return good;
    }

    // The end.

    function concludeSome() internal returns (bool) {
        uint256 ch = pick(isOpenDispute);
        if (ch == NONE) {
            ch = pick(isUnseenLedger);
            if (ch == NONE) ch = funded(chance(4));
            submit(ch, RELAYER);
        }
        return finishDispute(ch, chance(2));
    }

    /// With a swap, which is claimed or refunded.
    function concludeSwap() internal returns (bool) {
        uint256 ch = pick(hasSwap);
        while (ch == NONE) {
            offerSwap(ch = funded(false));
            if (expiryOf(ch, newest(ch)) == 0) ch = NONE;
        }
        submit(ch, RELAYER);
        return finishDispute(ch, count[CLAIMED] <= count[REFUNDED]);
    }

    function finishDispute(uint256 ch, bool claims) private returns (bool good) {
        advance(overAt(ch));
        State memory s = onLedger(ch);
        uint256 expiry = expiryOf(ch, s);
        claims = claims && expiry != 0;
        if (!claims && block.timestamp < expiry) {
            if (concludeOne(ch, s, standing(s), false)) fault(4, "a swap was refunded early");
            advance(expiry);
        }
        good = concludeOne(ch, s, standing(s), claims);
        if (good) ++count[claims ? CLAIMED : expiry != 0 ? REFUNDED : CONCLUDED];
        if (!good) fault(7, "a registered tree cannot be concluded");
        return good;
    }

    function concludeOne(uint256 ch, State memory s, State[] memory subs, bool claims)
        private
        returns (bool)
    {
        bytes memory data;
        if (chance(2)) {
            data = claims
                ? abi.encodeCall(hub.concludeWithPreimage, (paramsOf(ch), s, subs, SECRET))
                : abi.encodeCall(hub.conclude, (paramsOf(ch), s, subs));
        } else {
            data = claims
                ? abi.encodeCall(hub.concludeAndPayWithPreimage, (paramsOf(ch), s, subs, SECRET))
                : abi.encodeCall(hub.concludeAndPay, (paramsOf(ch), s, subs));
        }
        return send(data, ch);
    }

    function concludeChild() internal returns (bool) {
        uint256 ch = count[HURRIED] == 0 ? NONE : pick(isOpenChild);
        if (ch == NONE) {
            uint256 root = funded(false);
            ch = openSub(root, count[HURRIED] == 0 || chance(3));
            submit(chance(2) ? root : ch, RELAYER);
        }
        hurry(ch);
        advance(overAt(ch));
        State memory s = onLedger(ch);
        bool good = send(abi.encodeCall(hub.concludeSub, (s, standing(s))), NONE);
        if (good) chans[ch].kept = true;
        else fault(7, "a registered child cannot be concluded");
        return good;
    }

    /// A child's own window is over, but not the time in which its app's steps can be forced.
    function hurry(uint256 ch) private {
        if (!chans[ch].isApp || chans[ch].phase != 0) return;
        advance(chans[ch].end);
        if (block.timestamp >= overAt(ch)) return;
        State memory s = onLedger(ch);
        if (send(abi.encodeCall(hub.concludeSub, (s, standing(s))), NONE)) {
            fault(4, "a child's app was given no time");
        }
        ++count[HURRIED];
    }

    /// A conclusion before its time. It must fail.
    function concludeEarly() internal returns (bool) {
        uint256 ch = pick(isOpenDispute);
        if (ch == NONE) {
            ch = funded(chance(2));
            submit(ch, RELAYER);
        }
        State memory s = onLedger(ch);
        State[] memory subs = standing(s);
        bool tooEarly = block.timestamp < overAt(ch);
        bool done = concludeOne(ch, s, subs, chance(2));
        if (tooEarly && done) fault(4, "concluded before a window was over");
        return true;
    }

    function close() internal returns (bool) {
        uint256 ch = pick(isFinished);
        if (ch == NONE) {
            ch = pick(canFinish);
            if (ch == NONE || !chans[ch].isLedger) ch = funded(false);
            finish(ch);
        }
        SignedState memory n = nodeOf(ch, newest(ch));
        uint256 kind = draw(3);
        if (kind == 0) {
            return send(abi.encodeCall(hub.closeAndPay, (n.params, n.state, n.sigs)), ch);
        }
        if (kind == 1) {
            return send(abi.encodeCall(hub.concludeFinal, (n.params, n.state, n.sigs)), ch);
        }
        SignedState[] memory all = new SignedState[](2);
        (all[0], all[1]) = (n, n);
        return send(abi.encodeCall(hub.closeBatch, (all)), ch);
    }

    /// All sign what is not final as if it were.
    function closeUnfinished() internal returns (bool) {
        uint256 ch = orNew(pick(isUnseenLedger));
        State memory s = newest(ch);
        if (s.isFinal) return false;
        SignedState memory n = nodeOf(ch, s);
        if (send(abi.encodeCall(hub.closeAndPay, (n.params, n.state, n.sigs)), ch)) {
            fault(4, "closed without a final state");
        }
        return true;
    }

    /// The coins go by consent: to accounts, or some into a successor.
    function spend() internal returns (bool) {
        uint256 ch = pick(canFinish);
        if (ch == NONE || !chans[ch].isLedger) ch = funded(false);
        uint256 successor = openLedger(false);
        uint256[] memory keys = chans[ch].keys;
        uint256[] memory row = newest(ch).outcome.balances[0];
        if (heldOf(ch, 0) < total(row)) put(ch, 0, 0, total(row) - heldOf(ch, 0));
        uint256 rest = heldOf(ch, 0);
        Move[] memory moves = new Move[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            uint256 amount = row[i] <= rest ? row[i] : rest;
            rest -= amount;
            moves[i] = Move(coin, names[keys[i]], 0, amount);
        }
        if (rest == 0 && keys[0] != 0) {
            (moves[0].to, moves[0].fundingID) = (address(0), fundingOf(successor, 0));
        }
        chans[ch].done = true;
        chans[ch].consented = true;
        bytes[] memory sigs = sigsFor(ch, consent(ch, moves, block.timestamp));
        bytes memory data =
            abi.encodeCall(hub.spendByConsent, (paramsOf(ch), moves, block.timestamp, sigs));
        return doCall(Recorded(RELAYER, address(hub), 0, data, ch, successor, true));
    }

    function total(uint256[] memory row) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < row.length; ++i) {
            sum += row[i];
        }
    }

    function consent(uint256 ch, Move[] memory moves, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes memory hashes;
        bytes32 kind =
            keccak256("Move(address holder,address to,bytes32 fundingID,uint256 amount)");
        for (uint256 i = 0; i < moves.length; ++i) {
            hashes = bytes.concat(hashes, keccak256(abi.encode(kind, moves[i])));
        }
        kind = keccak256(
            "ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)Move(address holder,address to,bytes32 fundingID,uint256 amount)"
        );
        return typed(keccak256(abi.encode(kind, chans[ch].id, keccak256(hashes), deadline)));
    }
}
