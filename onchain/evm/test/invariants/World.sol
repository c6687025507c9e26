// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    Allocation,
    Params,
    Participant,
    SignedState,
    State
} from "../../src/interfaces/Types.sol";
import {PerunTest} from "../base/PerunTest.sol";
import {SilentToken} from "../tokens/BadTokens.sol";
import {ChaosToken, GiveApp, Payee} from "./Players.sol";

interface IApprove {
    function approve(address spender, uint256 amount) external;
}

interface IBalances {
    function balanceOf(address account) external view returns (uint256);
}

/// @title What everybody signed, what the ledger shows, and what should come out.
/// @notice Key 0 is honest: it signs nothing after what ends a channel, and answers every older
/// state in time. Everybody else, and every stranger, does what they like.
abstract contract World is PerunTest {
    uint256 internal constant KEYS = 4;
    uint256 internal constant HOLDERS = 4;
    uint256 internal constant CHAOS = 2;
    uint256 internal constant FOREIGN_CHAIN = 7;
    uint256 internal constant NONE = type(uint256).max;
    bytes32 internal constant SECRET = keccak256("the preimage");

    struct Chan {
        bytes params;
        bytes32 id;
        uint256[] keys;
        bool isLedger;
        bool isVirtual;
        bool isApp;
        uint256[] parents;
        /// the newest state that counts, and whether nothing newer will be signed
        bytes newest;
        uint64 version;
        bool done;
        /// what the ledger shows
        bool seen;
        uint64 at;
        uint8 phase;
        uint64 end;
        bytes32 print;
        uint256 since;
        /// all signed a spend
        bool consented;
        /// concluded on its own
        bool kept;
    }

    /// A call that was made once; anybody may make it again. `ch` is the channel whose money it may
    /// move, `next` one that it may move it into, `once` whether it may move money only once.
    struct Recorded {
        address sender;
        address target;
        uint256 value;
        bytes data;
        uint256 ch;
        uint256 next;
        bool once;
    }

    Chan[] internal chans;
    mapping(bytes32 id => uint256) internal indexOf;
    /// The fully signed states of each channel, and those that a forced step made.
    mapping(uint256 ch => bytes32[]) internal papers;
    mapping(bytes32 print => bytes) internal stateOf;
    mapping(bytes32 print => bytes) internal sigsOf;
    Recorded[] internal calls;

    address[4] internal holders;
    address[4] internal tokens;
    ChaosToken internal chaos;
    GiveApp internal app;
    Payee[] internal payees;
    address[] internal accounts;
    address[] internal names;
    /// The chaos token lost or lied about money: nothing is promised about it any more.
    bool internal tainted;

    /// Deposits and payments of a channel, per holder.
    mapping(uint256 ch => uint256[4]) internal paidIn;
    mapping(uint256 ch => uint256[4]) internal paidOut;
    /// What was found wrong with an invariant, by its number.
    mapping(uint256 invariant => string) public broken;
    /// How often each action succeeded.
    mapping(uint256 action => uint256) public count;
    uint256 internal rng;

    function setUp() public virtual override {
        super.setUp();
        chaos = new ChaosToken();
        SilentToken silent = new SilentToken();
        app = new GiveApp();
        tokens = [address(0), address(token), address(chaos), address(silent)];
        holders[0] = coin;
        for (uint256 h = 1; h < HOLDERS; ++h) {
            holders[h] = hub.createFacade(tokens[h]);
        }
        chaos.mint(address(this), 1e30);
        silent.mint(address(this), 1e30);
        chaos.approve(address(hub), type(uint256).max);
        silent.approve(address(hub), type(uint256).max);
        for (uint256 h = 1; h < HOLDERS; ++h) {
            // One of them answers nothing.
            IApprove(tokens[h]).approve(holders[h], type(uint256).max);
        }
        for (uint256 k = 0; k < KEYS; ++k) {
            names.push(who(k));
            accounts.push(names[k]);
            token.mint(names[k], 1e27);
            payees.push(new Payee());
            accounts.push(address(payees[k]));
        }
        accounts.push(RELAYER);
        accounts.push(address(this));
    }

    // Chance.

    function draw(uint256 bound) internal returns (uint256) {
        rng = uint256(keccak256(abi.encode(rng)));
        return rng % bound;
    }

    function chance(uint256 oneIn) internal returns (bool) {
        return draw(oneIn) == 0;
    }

    function fault(uint256 invariant, string memory what) internal {
        if (bytes(broken[invariant]).length == 0) broken[invariant] = what;
    }

    // Channels.

    function paramsOf(uint256 ch) internal view returns (Params memory) {
        return abi.decode(chans[ch].params, (Params));
    }

    function newest(uint256 ch) internal view returns (State memory) {
        return abi.decode(chans[ch].newest, (State));
    }

    function printOf(bytes32 hash) internal pure returns (bytes32) {
        return hash >> 88 << 88;
    }

    function makeChannel(uint256[] memory keys, bool ledger, bool virt, bool hasApp)
        internal
        returns (uint256 ch)
    {
        Params memory p = newParams(keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            p.participants[i] = Participant(names[keys[i]], new bytes(32));
        }
        p.challengeDuration = 1800 + draw(2) * 1800;
        p.ledgerChannel = ledger;
        p.virtualChannel = virt;
        if (hasApp) p.app = address(app);
        ch = chans.length;
        Chan storage c = chans.push();
        c.params = abi.encode(p);
        c.id = keccak256(c.params);
        c.keys = keys;
        c.isLedger = ledger;
        c.isVirtual = virt;
        c.isApp = hasApp;
        indexOf[c.id] = ch + 1;
    }

    function sigsFor(uint256 ch, bytes32 digest) internal view returns (bytes[] memory sigs) {
        uint256[] memory keys = chans[ch].keys;
        sigs = new bytes[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            sigs[i] = sign(keys[i], digest);
        }
    }

    /// Everybody signs a newer state.
    function agree(uint256 ch, State memory s) internal {
        bytes memory encoded = abi.encode(s);
        bytes32 hash = keccak256(encoded);
        remember(ch, s, encoded, printOf(hash));
        sigsOf[printOf(hash)] = abi.encode(sigsFor(ch, eip191(hash)));
        if (s.isFinal) chans[ch].done = true;
    }

    function remember(uint256 ch, State memory s, bytes memory encoded, bytes32 print) internal {
        chans[ch].newest = encoded;
        chans[ch].version = s.version;
        papers[ch].push(print);
        stateOf[print] = encoded;
    }

    function isHonest(uint256 ch) internal view returns (bool) {
        return honestIn(ch) != NONE;
    }

    /// The position of the honest key.
    function honestIn(uint256 ch) internal view returns (uint256) {
        uint256[] memory keys = chans[ch].keys;
        for (uint256 i = 0; i < keys.length; ++i) {
            if (keys[i] == 0) return i;
        }
        return NONE;
    }

    /// Whether a newer state of it would be signed.
    function isLive(uint256 ch) internal view returns (bool) {
        Chan storage c = chans[ch];
        if (c.done || c.seen) return false;
        for (uint256 k = 0; k < c.parents.length; ++k) {
            if (chans[c.parents[k]].seen) return false;
        }
        return true;
    }

    /// The state that stands, or would be submitted, for a channel.
    function current(uint256 ch) internal view returns (State memory) {
        Chan storage c = chans[ch];
        bool fixed_ = c.seen && (c.phase != 0 || block.timestamp >= c.end || c.at >= c.version);
        return fixed_ ? abi.decode(stateOf[c.print], (State)) : newest(ch);
    }

    /// The state that is registered.
    function onLedger(uint256 ch) internal view returns (State memory) {
        return abi.decode(stateOf[chans[ch].print], (State));
    }

    function nodeOf(uint256 ch, State memory s) internal view returns (SignedState memory) {
        bytes memory sigs = sigsOf[printOf(keccak256(abi.encode(s)))];
        return SignedState(
            paramsOf(ch), s, sigs.length == 0 ? new bytes[](0) : abi.decode(sigs, (bytes[]))
        );
    }

    /// The signed states of all that is locked in a state, depth first.
    function below(State memory s, bool old) internal returns (SignedState[] memory out) {
        out = new SignedState[](64);
        uint256 size = _below(s, old, out, 0);
        assembly ("memory-safe") {
            mstore(out, size)
        }
    }

    function _below(State memory s, bool old, SignedState[] memory out, uint256 at)
        private
        returns (uint256)
    {
        for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
            uint256 child = indexOf[s.outcome.locked[k].ID] - 1;
            State memory sub = old && chance(2)
                ? abi.decode(stateOf[papers[child][draw(papers[child].length)]], (State))
                : current(child);
            out[at++] = nodeOf(child, sub);
            at = _below(sub, old, out, at);
        }
        return at;
    }

    /// The states that a conclusion names: what stands of every locked channel, without what is
    /// below those that were concluded on their own.
    function standing(State memory s) internal view returns (State[] memory out) {
        out = new State[](64);
        uint256 size = _standing(s, out, 0);
        assembly ("memory-safe") {
            mstore(out, size)
        }
    }

    function _standing(State memory s, State[] memory out, uint256 at)
        private
        view
        returns (uint256)
    {
        for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
            uint256 child = indexOf[s.outcome.locked[k].ID] - 1;
            State memory sub = onLedger(child);
            out[at++] = sub;
            if (!chans[child].kept) at = _standing(sub, out, at);
        }
        return at;
    }

    // The model of what comes out.

    /// Balances with those of all locked channels, per asset; a swap is not applied.
    function outcome(State memory s) internal view returns (uint256[][] memory rows) {
        Allocation memory o = s.outcome;
        rows = new uint256[][](o.assets.length);
        for (uint256 row = 0; row < rows.length; ++row) {
            rows[row] = new uint256[](o.balances[row].length);
            for (uint256 i = 0; i < rows[row].length; ++i) {
                rows[row][i] = o.balances[row][i];
            }
        }
        for (uint256 k = 0; k < o.locked.length; ++k) {
            uint256[][] memory sub = outcome(current(indexOf[o.locked[k].ID] - 1));
            for (uint256 row = 0; row < rows.length; ++row) {
                for (uint256 i = 0; i < sub[row].length; ++i) {
                    rows[row][o.locked[k].indexMap[i]] += sub[row][i];
                }
            }
        }
    }

    /// When the windows of a registered channel and of all that is locked in it are over.
    function overAt(uint256 ch) internal view returns (uint256 end) {
        Chan storage c = chans[ch];
        State memory s = onLedger(ch);
        if (c.phase != 2) {
            end = c.end;
            if (c.isApp && c.phase == 0 && !s.isFinal) end += paramsOf(ch).challengeDuration;
        }
        for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
            uint256 below_ = overAt(indexOf[s.outcome.locked[k].ID] - 1);
            if (below_ > end) end = below_;
        }
    }

    // The ledger.

    function fundingOf(uint256 ch, uint256 party) internal view returns (bytes32) {
        return keccak256(abi.encode(chans[ch].id, names[chans[ch].keys[party]]));
    }

    function holderIndex(address holder) internal view returns (uint256 h) {
        for (; h < HOLDERS; ++h) {
            if (holders[h] == holder) return h;
        }
    }

    function balance(uint256 h, address account) internal view returns (uint256) {
        return h == 0 ? account.balance : IBalances(tokens[h]).balanceOf(account);
    }

    function heldOf(uint256 ch, uint256 h) internal view returns (uint256 sum) {
        for (uint256 i = 0; i < chans[ch].keys.length; ++i) {
            sum += hub.held(holders[h], fundingOf(ch, i));
        }
    }

    function credits(uint256 h) internal view returns (uint256 sum) {
        for (uint256 k = 0; k < accounts.length; ++k) {
            sum += hub.credit(accounts[k], holders[h]);
        }
    }

    function allHeld(uint256 h) internal view returns (uint256 sum) {
        for (uint256 ch = 0; ch < chans.length; ++ch) {
            sum += heldOf(ch, h);
        }
    }
}
