//! The scene of a swap whose partner falls silent: one channel for each message after which Bob can
//! do so, all at once on the same two chains.
//!
//! How many messages there are is not written here: swaps that nobody disturbs tell. Every later
//! swap must begin with the same messages up to where its wire is cut. What Alice ends with is read
//! from the chains.

use std::collections::BTreeMap;

use perun_backend_ckb::money::CKB;
use perun_backend_evm::account::Account;
use perun_protocol::{Command, Event, OpeningId, PerLedger, PhaseName, Preimage, Time};

use super::across::{EXPIRIES, legs};
use super::book::{Book, fees};
use super::ether_book::{EtherBook, signed};
use super::ethereum::ETHER;
use super::money::{Kind, Rows};
use super::party::{config, reserves, secret};
use super::scenes::{CHALLENGE_SECS, balance};
use super::stage::{Stage, holdings};
use super::trial::{Plot, Trial};
use super::wire::Passed;
use super::{Failure, words};
use crate::narrate::{CutPoint, Narrator, Quiet, Summary};

/// Whose turn it is in lists of people.
const NAMES: [&str; 2] = ["Alice", "Bob"];
/// What the swaps move: coins of CKB from Alice, ether from Bob.
const SWAPPED: [u128; 2] = [100 * CKB as u128, ETHER / 20];
/// What each side brings into each channel.
pub(super) const DEPOSITS: [u128; 2] = [400 * CKB as u128, ETHER];
/// What everybody has on CKB at first.
const CELLS: [u64; 2] = [1_000 * CKB, 300 * CKB];
/// Longer than any answer may take.
const ANSWER_SECS: u64 = 1_000;
/// How many answers may be waited for one after the other.
const ANSWERS: usize = 3;
/// Blocks until everything is done that can be done without time passing.
const BLOCKS_MAX: usize = 60;
/// In so many blocks nothing happened: nothing will without time. A transaction of CKB takes three.
const BLOCKS_QUIET: usize = 4;

pub(super) fn silence(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let whole: Vec<_> = Plot::ALL.into_iter().map(|plot| (plot, None)).collect();
    let mut round = Round::open(stage, &whole, summary)?;
    round.swap(stage)?;
    let scripts: Vec<Vec<Passed>> =
        round.trials.iter().map(|trial| trial.link.passed.clone()).collect();
    round.close(stage)?;
    for (place, trial) in round.trials.iter().enumerate() {
        let swapped = trial.plot != Plot::AliceTakesBack;
        summary.swaps += u64::from(swapped);
        let gains = round.gains(stage)?[2 * place];
        if gains != if swapped { round.swapped()? } else { [0, 0] } {
            return Err(format!("an undisturbed swap gave Alice {gains:?} of CKB and ETH"));
        }
    }
    round.check_conserved(stage)?;

    let all = Plot::ALL.into_iter().zip(&scripts);
    let cuts = all.flat_map(|(plot, script)| (1..=script.len()).map(move |cut| (plot, Some(cut))));
    let cuts: Vec<_> = cuts.collect();
    let [ckb, ether] = [Kind::Ckb, Kind::Ether];
    narrator.note(&format!(
        "in each channel both put in {} and {}; the swap is {} of Alice's for {} of Bob's",
        ckb.show(DEPOSITS[0]),
        ether.show(DEPOSITS[1]),
        ckb.show(SWAPPED[0]),
        ether.show(SWAPPED[1])
    ));
    narrator.note(&format!(
        "{} undisturbed swaps took {} messages; now a swap for each, the last that Bob sends or reads",
        Plot::ALL.len(),
        cuts.len()
    ));
    let mut round = Round::open(stage, &cuts, summary)?;
    let start = round.swap(stage)?;
    round.check_scripts(&scripts)?;
    round.leave(stage, start)?;
    round.tell(stage, narrator, summary)
}

/// Channels side by side, and the books of all their people: Alices at even places.
struct Round {
    trials: Vec<Trial>,
    book: Book,
    ether_book: EtherBook,
    rows: Rows,
    now: Time,
    shared: BTreeMap<usize, Vec<i128>>,
}

impl Round {
    /// Opens a channel for each, on both chains.
    fn open(
        stage: &Stage,
        plots: &[(Plot, Option<usize>)],
        summary: &mut Summary,
    ) -> Result<Self, Failure> {
        let rows = Rows::of(stage, &[Kind::Ckb, Kind::Ether]);
        let mut trials = Vec::new();
        for (plot, cut) in plots {
            trials.push(Trial::new(stage, config(stage), *plot, *cut)?);
        }
        let locks: Vec<_> = trials.iter().flat_map(|trial| trial.locks.clone()).collect();
        stage.give_all(&locks, &CELLS)?;
        let wallets = trials.iter().flat_map(|trial| &trial.wallets);
        let wallets = wallets.map(|wallet| wallet.address());
        let names = NAMES.iter().copied().cycle();
        let ether_book = EtherBook::open(&stage.ethereum, names.clone().zip(wallets))?;
        let book = Book::open(stage, names.zip(&locks))?;
        let (now, shared) = (Time::new(1_000_000), BTreeMap::new());
        let mut round = Self { trials, book, ether_book, rows, now, shared };
        for trial in &mut round.trials {
            let outcome = round.rows.deposits(stage, |kind| match kind {
                Kind::Ckb => [DEPOSITS[0]; 2],
                _ => [DEPOSITS[1]; 2],
            })?;
            trial.ask(round.now, outcome)?;
        }
        round.until(stage, "open", |trial| trial.both(PhaseName::Open))?;
        summary.channels_opened += u64::try_from(plots.len()).map_err(words)?;
        round.note_openings()?;
        Ok(round)
    }

    /// The transactions that two people made are the openings.
    fn note_openings(&mut self) -> Result<(), Failure> {
        for (place, entry) in self.book.entries.iter().enumerate() {
            let spenders = (0..entry.gains.len()).filter(|who| entry.gains[*who].spends);
            let &[alice, bob] = spenders.collect::<Vec<_>>().as_slice() else { continue };
            let trial = &self.trials[alice / 2];
            let mut gains = vec![0; entry.gains.len()];
            for (who, reserve) in [alice, bob].into_iter().zip(reserves(&trial.status(0)?)?) {
                gains[who] = -signed(DEPOSITS[0])? - i128::from(reserve);
            }
            self.shared.insert(place, gains);
        }
        if self.shared.len() == self.trials.len() {
            return Ok(());
        }
        Err("not every channel was opened by one transaction of two people".into())
    }

    /// Begins all swaps, and lets them go as far as their wires do. Returns what the clocks showed.
    fn swap(&mut self, stage: &Stage) -> Result<u64, Failure> {
        let start = stage.align_clocks()?;
        for trial in &mut self.trials {
            trial.look(self.now)?;
            trial.link.cut_after(trial.cut);
            let [ckb, ether] = [(Kind::Ckb, SWAPPED[0]), (Kind::Ether, SWAPPED[1])];
            let legs = match trial.plot.proposer() {
                0 => legs(&self.rows, start, 0, [ckb, ether])?,
                proposer => legs(&self.rows, start, proposer, [ether, ckb])?,
            };
            trial.swap(self.now, Command::Swap { legs, preimage: Preimage::new(secret()?) })?;
        }
        Ok(start)
    }

    /// What passed before each cut must be what passes in a swap that nobody disturbs.
    fn check_scripts(&self, scripts: &[Vec<Passed>]) -> Result<(), Failure> {
        let scripts: BTreeMap<_, _> = Plot::ALL.into_iter().zip(scripts).collect();
        for trial in &self.trials {
            let cut = trial.cut.unwrap_or_default();
            let script = scripts.get(&trial.plot).and_then(|script| script.get(..cut));
            if script != Some(&trial.link.passed[..]) {
                return Err(format!(
                    "a swap to be cut after {cut} messages had {:?}",
                    trial.link.passed
                ));
            }
        }
        Ok(())
    }

    /// Both close what they agree on.
    fn close(&mut self, stage: &Stage) -> Result<(), Failure> {
        for trial in &mut self.trials {
            trial.command(0, self.now, Command::Close)?;
        }
        self.until(stage, "closed", |trial| trial.both(PhaseName::Settled))
    }

    /// Alice's nodes wait for answers, then go to the ledgers, and time passes on both.
    fn leave(&mut self, stage: &Stage, start: u64) -> Result<(), Failure> {
        for _ in 0..ANSWERS {
            self.now = Time::new(self.now.get() + ANSWER_SECS);
            for trial in &mut self.trials {
                trial.tick(self.now)?;
            }
        }
        for trial in &mut self.trials {
            // Her node holds all that it can hold; a user who hears nothing more leaves.
            if trial.status(0)?.phase == PhaseName::Open {
                trial.command(0, self.now, Command::Dispute)?;
            }
        }
        self.settle_down(stage)?;
        let mut clock = start;
        for until in self.moments(start)? {
            stage.advance_both(until.saturating_sub(clock))?;
            self.now = Time::new(self.now.get() + until.saturating_sub(clock));
            clock = until.max(clock);
            self.settle_down(stage)?;
        }
        self.until(stage, "settled", |trial| Ok(trial.status(0)?.phase == PhaseName::Settled))
    }

    /// The moments at which there is something to do: when a node that holds the swap must go to
    /// the ledgers, the end of the challenge that begins then, and the two expiries.
    fn moments(&self, start: u64) -> Result<Vec<u64>, Failure> {
        let mut go = start;
        for trial in &self.trials {
            if let perun_protocol::WaitingFor::Swap(_, at) = trial.status(0)?.waiting_for {
                go = go.max(at.get());
            }
        }
        let challenge = go + CHALLENGE_SECS + 60;
        let mut moments = vec![start + CHALLENGE_SECS + 60, go + 1, challenge];
        moments.extend(EXPIRIES.map(|expiry| start + expiry + 60));
        moments.sort_unstable();
        Ok(moments)
    }

    /// Blocks on both chains until nothing changes any more by blocks alone.
    fn settle_down(&mut self, stage: &Stage) -> Result<(), Failure> {
        let (mut before, mut quiet) = (Vec::new(), 0);
        for _ in 0..BLOCKS_MAX {
            let phases = self.look(stage)?;
            quiet = if phases == before { quiet + 1 } else { 0 };
            if quiet >= BLOCKS_QUIET {
                return Ok(());
            }
            before = phases;
        }
        Err(format!("something still happens after {BLOCKS_MAX} blocks without time"))
    }

    /// Blocks on both chains until it is so for every channel.
    fn until(
        &mut self,
        stage: &Stage,
        what: &str,
        done: impl Fn(&Trial) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for _ in 0..BLOCKS_MAX {
            self.look(stage)?;
            let mut all = true;
            for trial in &self.trials {
                all &= done(trial)?;
            }
            if all {
                return Ok(());
            }
        }
        let phases: Vec<_> = self.trials.iter().map(|trial| trial.status(0)).collect();
        let phases = phases.into_iter().flatten().map(|status| status.phase);
        let phases: Vec<_> = phases.collect();
        Err(format!("after {BLOCKS_MAX} blocks not all are {what}: {phases:?}"))
    }

    /// Everybody looks at both chains, and there is one more block on each. Returns where Alice's
    /// machines stand.
    fn look(&mut self, stage: &Stage) -> Result<Vec<(PhaseName, usize)>, Failure> {
        let mut phases = Vec::new();
        for trial in &mut self.trials {
            trial.look(self.now)?;
            phases.push(trial.status(0)?.phase);
        }
        stage.ethereum.mine()?;
        stage.mine()?;
        self.book.read(stage, &mut Quiet, "")?;
        self.ether_book.read(&stage.ethereum, &mut Quiet, "")?;
        let entries = self.book.entries.len() + self.ether_book.entries();
        Ok(phases.into_iter().map(|phase| (phase, entries)).collect())
    }

    /// What everybody gained on CKB and on Ethereum, beside the fees that each paid.
    fn gains(&self, stage: &Stage) -> Result<Vec<[i128; 2]>, Failure> {
        let fees = fees(&self.book.entries, &self.shared)?;
        let on_ethereum = self.ether_book.gains(&stage.ethereum)?;
        let on_ckb = self.book.totals().into_iter().enumerate();
        let gains = on_ckb.zip(on_ethereum).map(|((who, gain), [ether, _])| {
            let fee = i128::from(fees.get(&who).copied().unwrap_or(0));
            [gain.capacity + fee, ether]
        });
        Ok(gains.collect())
    }

    /// What Alice gains if the swap happens.
    fn swapped(&self) -> Result<[i128; 2], Failure> {
        Ok([-signed(SWAPPED[0])?, signed(SWAPPED[1])?])
    }

    /// What one side gained the other lost, in every channel and on both chains: nothing is left
    /// behind.
    fn check_conserved(&self, stage: &Stage) -> Result<(), Failure> {
        for (place, pair) in self.gains(stage)?.chunks(2).enumerate() {
            if let [[ckb, ether], [his_ckb, his_ether]] = pair
                && (*ckb != -his_ckb || *ether != -his_ether)
            {
                return Err(format!("channel {place}: money is missing or too much: {pair:?}"));
            }
        }
        Ok(())
    }

    /// Tells what Alice ended with, for every cut.
    fn tell(
        &self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        self.check_conserved(stage)?;
        let gains = self.gains(stage)?;
        let swapped = self.swapped()?;
        let mut lost = None;
        for (place, trial) in self.trials.iter().enumerate() {
            let last = trial.link.passed.last().ok_or("a swap without a message")?;
            let gained = gains[2 * place];
            let (ends_with, whole) = verdict(gained, swapped);
            let of = self.trials.iter().filter(|other| other.plot == trial.plot).count();
            narrator.cut_point(&CutPoint {
                plot: trial.plot.told(),
                message: trial.link.passed.len(),
                of,
                from: NAMES[last.from],
                what: last.what,
                ends_with,
                gained_ckb: gained[0],
                gained_eth: gained[1],
                whole,
            });
            summary.swap_cut_points += 1;
            summary.swap_cut_points_survived += u64::from(whole);
            lost = lost.or((!whole).then_some(trial.plot));
        }
        self.tell_balances(stage, narrator)?;
        summary.balances_ok &= lost.is_none();
        match lost {
            None => Ok(()),
            Some(plot) => Err(format!("Alice lost money: {}", plot.told())),
        }
    }

    /// What all Alices have together on both chains, and all Bobs.
    fn tell_balances(&self, stage: &Stage, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        let fees_on_ckb = fees(&self.book.entries, &self.shared)?;
        let mut rows = Vec::new();
        for (side, name) in NAMES.into_iter().enumerate() {
            let (mut ckb, mut ether) = ([0; 3], [0; 3]);
            for (place, trial) in self.trials.iter().enumerate() {
                let who = 2 * place + side;
                let held = u128::from(holdings(stage, &trial.locks[side])?.0);
                let paid = fees_on_ckb.get(&who).copied().unwrap_or(0);
                let had = u128::from(CELLS.iter().sum::<u64>());
                let wei = stage.ethereum.holdings(trial.wallets[side].address())?[0];
                let wei_then = self.ether_book.started[who][0];
                let wei_paid = self.ether_book.fees[who];
                add(&mut ckb, [had, held, paid.into()]);
                add(&mut ether, [wei_then, wei, wei_paid]);
            }
            let who = format!("all {name}s");
            rows.extend([balance(&who, Kind::Ckb, ckb), balance(&who, Kind::Ether, ether)]);
        }
        narrator.balances("all channels together, before and now", &rows);
        Ok(())
    }
}

fn add(sums: &mut [u128; 3], more: [u128; 3]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What Alice's gains on CKB and Ethereum come to, given what the swap would give her; and whether
/// she has at least her own money, or at least what the swap gives.
fn verdict(gained: [i128; 2], swapped: [i128; 2]) -> (&'static str, bool) {
    let at_least = |due: [i128; 2]| gained[0] >= due[0] && gained[1] >= due[1];
    match gained {
        [0, 0] => ("her own money", true),
        gained if gained == swapped => ("the swap", true),
        _ if at_least([0, 0]) || at_least(swapped) => {
            ("the swap, and her own money, which Bob never claimed", true)
        }
        _ => ("LESS than her due", false),
    }
}

/// What a machine asks its user about a swap.
pub(super) fn asked(event: &Event) -> Option<()> {
    matches!(event, Event::SwapRequested { .. }).then_some(())
}

/// The user's yes.
pub(super) fn yes() -> Command {
    Command::AcceptSwap { clocks: PerLedger::default() }
}

/// A name for a channel that nobody else draws.
pub(super) fn fresh_opening() -> Result<OpeningId, Failure> {
    perun_node::entropy().map(OpeningId::new).map_err(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alice_is_whole_with_either_end_of_the_swap_and_with_nothing_less() {
        let swapped = [-100, 5];
        for (gained, whole) in [
            ([0, 0], true),
            ([-100, 5], true),
            ([0, 5], true),
            ([-100, 0], false),
            ([-1, 4], false),
            ([0, -1], false),
            ([-101, 5], false),
        ] {
            assert_eq!(verdict(gained, swapped).1, whole, "{gained:?}");
        }
    }
}
