//! Pairs that swap: coins of the one ledger against ether of the other.

use perun_channel::swap::Leg;
use perun_channel::{Amount, LedgerId, State};
use perun_protocol::{
    Agreed, Command, Config, Decision, Effect, LedgerTime, PerLedger, PhaseName, Preimage, Slot,
    SwapConfig, Timing, WaitingFor,
};

use crate::keys::Keys;
use crate::ledger::JOINT;
use crate::pair::{Pair, index};
use crate::span::{COIN, ETHER};
use crate::vault::VAULT;

/// What both ledgers' clocks show when a story begins.
pub(crate) const START: u64 = 1_000_000;
/// The secret of whoever asks for a swap.
pub(crate) const SECRET: Preimage = Preimage::new([0x5e; 32]);
/// What whoever asks for a swap takes, and what it gives.
pub(crate) const TAKEN: u128 = 20;
pub(crate) const GIVEN: u128 = 30;
/// When the two sides expire, from the start.
pub(crate) const EXPIRIES: [u64; 2] = [12_000, 24_000];

/// How fast the ledgers are: a cell, and a contract.
pub(crate) const fn timing(slots: u64) -> Timing {
    Timing {
        see_secs: 60,
        react_secs: 60,
        include_secs: 600,
        early_secs: 100,
        late_secs: 100,
        slots,
    }
}

pub(crate) fn config() -> Config {
    let timings = [Some((JOINT, timing(2))), Some((VAULT, timing(0))), None, None];
    let swaps =
        SwapConfig { timings, online_secs: 50_000, longest_secs: 100_000, ..SwapConfig::OFF };
    Config { swaps, ..Config::default() }
}

/// The legs by which `p` takes on the first ledger and gives on the second.
pub(crate) fn legs(p: usize, ledgers: [LedgerId; 2], start: u64) -> Vec<Leg> {
    let number = |place: usize| index(place).number();
    let asset = |ledger| if ledger == JOINT { COIN } else { ETHER };
    let leg = |ledger, from, to, expiry, amount| Leg {
        asset: asset(ledger),
        from: number(from),
        to: number(to),
        expiry: start + expiry,
        amount: Amount::new(amount),
    };
    let mut legs = vec![
        leg(ledgers[0], 1 - p, p, EXPIRIES[0], TAKEN),
        leg(ledgers[1], p, 1 - p, EXPIRIES[1], GIVEN),
    ];
    legs.sort_by_key(|leg| leg.asset);
    legs
}

pub(crate) const fn other(ledger: LedgerId) -> LedgerId {
    if ledger.chain() == JOINT.chain() { VAULT } else { JOINT }
}

/// Who asks, and on which ledger it takes: every swap that there is between the two.
pub(crate) const ALL: [(usize, LedgerId); 4] = [(0, JOINT), (0, VAULT), (1, JOINT), (1, VAULT)];

impl Pair {
    /// A channel on both ledgers whose clocks agree. Version 1 is complete: both can prove it.
    pub(crate) fn swapping() -> Self {
        Self::swapping_with(config())
    }

    pub(crate) fn swapping_with(config: Config) -> Self {
        let mut pair = Self::with(Keys::Symbolic, [config; 2]);
        pair.ledger.now = LedgerTime::new(START);
        pair.vault.now = LedgerTime::new(START);
        pair.propose_span([50, 50], [90, 90]).settle();
        pair.pay_in(0, COIN, 1).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        pair
    }

    /// The same, and `p` has asked for a swap when the line dies after so many messages of it.
    pub(crate) fn cut_at(p: usize, x: LedgerId, messages: usize) -> Self {
        let mut pair = Self::swapping();
        pair.give_turn(p);
        pair.net.left = Some(messages);
        pair.swap(p, x).settle();
        pair
    }

    /// `p` has the turn from here on.
    pub(crate) fn give_turn(&mut self, p: usize) {
        self.pay_in(p, COIN, 1).settle();
    }

    pub(crate) fn swap_command(&self, p: usize, x: LedgerId) -> Command {
        Command::Swap { legs: legs(p, [x, other(x)], START), preimage: SECRET }
    }

    pub(crate) fn swap(&mut self, p: usize, x: LedgerId) -> &mut Self {
        let command = self.swap_command(p, x);
        self.user(p, command)
    }

    /// The clocks of the channel's ledgers.
    pub(crate) fn clocks(&self) -> PerLedger<LedgerTime> {
        PerLedger::new(vec![self.ledger.now, self.vault.now]).unwrap()
    }

    /// How long it is until a clock sends somebody to the ledgers.
    pub(crate) fn until_swap(&self) -> Option<u64> {
        let alive = self.nodes.iter().filter(|node| !node.is_silent);
        let due = alive.filter_map(|node| match node.machine.waiting_for() {
            WaitingFor::Swap(ledger, at) => {
                let now = if ledger == VAULT { self.vault.now } else { self.ledger.now };
                Some(at.get().saturating_sub(now.get()))
            }
            _ => None,
        });
        due.min()
    }

    /// Everything is settled: who still lives in the channel leaves.
    pub(crate) fn leave(&mut self) -> &mut Self {
        self.wait();
        for place in 0..2 {
            if !self.nodes[place].is_silent && self.phases()[place] != PhaseName::Settled {
                let _ = self.user(place, Command::Dispute).settle();
                self.wait();
            }
        }
        self
    }

    /// The clocks of both ledgers move, and nobody notices yet.
    pub(crate) fn clocks_pass(&mut self, secs: u64) {
        self.ledger.now = LedgerTime::new(self.ledger.now.get() + secs);
        self.vault.now = LedgerTime::new(self.vault.now.get() + secs);
    }

    /// Node `place` registers an old state on a ledger.
    pub(crate) fn registers(&mut self, place: usize, ledger: LedgerId, agreed: &Agreed) {
        let id = *agreed.state.id();
        if ledger == VAULT {
            let own = self.sign(place, &agreed.proof.as_ref().unwrap().digest);
            self.vault.register(place, id, agreed, own);
        } else {
            let slot = Slot { participant: index(place), delegate: false };
            self.ledger.register(&id, agreed, &slot);
        }
        self.report();
        self.settle();
    }

    pub(crate) fn agreed(&self, place: usize) -> Agreed {
        self.nodes[place].machine.agreed().unwrap().clone()
    }

    /// The decisions that a node has ordered on a ledger.
    pub(crate) fn decisions(&self, place: usize, on: LedgerId) -> Vec<Decision> {
        let effects = self.nodes[place].effects.iter();
        let decisions = effects.filter_map(|effect| match effect {
            Effect::Conclude { target, decision, .. } if target.ledger == on => *decision,
            _ => None,
        });
        decisions.collect()
    }

    /// What both sides gain, coins and ether, since version `since` of a story.
    pub(crate) fn gained(&self, since: &State) -> [[i128; 2]; 2] {
        let row = |side: usize, row: usize, began: i128| {
            let then = since.outcome().balance(row, side).unwrap().get();
            self.gains(side)[row] - (i128::try_from(then).unwrap() - began)
        };
        [0, 1].map(|side| [row(side, 0, 50), row(side, 1, 90)])
    }
}

/// What a swap moves: coins and ether, for both sides.
pub(crate) fn moved(p: usize, x: LedgerId) -> [[i128; 2]; 2] {
    let (taken, given) = (i128::try_from(TAKEN).unwrap(), i128::try_from(GIVEN).unwrap());
    let own = if x == JOINT { [taken, -given] } else { [-given, taken] };
    let peer = own.map(|gain| -gain);
    if p == 0 { [own, peer] } else { [peer, own] }
}

pub(crate) const NOTHING: [[i128; 2]; 2] = [[0; 2]; 2];
