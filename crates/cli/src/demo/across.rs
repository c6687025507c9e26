//! The scenes of two people with one channel on CKB and Ethereum.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use perun_channel::swap::Leg;
use perun_channel::{Amount, LedgerId, State, Version};
use perun_node::OpenRequest;
use perun_protocol::{Command, Event, OpeningId, PerLedger, PhaseName, Preimage, Standing};

use super::book::fees;
use super::cheater::Instead;
use super::ether_book::signed;
use super::ethereum::ETHER;
use super::money::{KINDS, Kind, Rows, Sums};
use super::party::{Pair, Party, reserves, secret};
use super::scenes::{CELLS, CHALLENGE_SECS, balance};
use super::stage::{Stage, holdings};
use super::{Failure, words};
use crate::narrate::{Narrator, Summary};
use perun_backend_ckb::money::CKB;

/// What each side brings of each kind.
const DEPOSITS: [u128; KINDS] = [1_000 * CKB as u128, 100_000, 2 * ETHER, 100_000];
/// What each has of the tokens at first.
const TOKENS: u128 = 1_000_000;
/// How many payments there are in all: as many in each row, half of them Alice's.
const PAYMENTS: usize = 1_000;
/// What Alice, and what Bob pays each time.
const PRICES: [[u128; 2]; KINDS] =
    [[12_500_000, 7_500_000], [25, 10], [ETHER / 10_000, ETHER / 4_000], [7, 30]];
/// From now to the expiry of what the proposer of a swap takes, and of what it gives, in seconds.
pub(super) const EXPIRIES: [u64; 2] = [8_000, 20_000];

pub(super) fn pay_and_swap(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, None)?;
    act.pay(narrator, summary)?;
    let coins = [(Kind::Ckb, 250 * u128::from(CKB)), (Kind::Ether, ETHER / 20)];
    act.swap(stage, narrator, summary, 0, coins)?;
    act.swap(stage, narrator, summary, 1, [(Kind::Udt, 4_000), (Kind::Erc20, 6_500)])?;
    act.pair.alice.node()?.command(act.opening, Command::Close).map_err(words)?;
    act.until(stage, narrator, "close", PhaseName::Settled)?;
    act.settle_accounts(stage, narrator, summary)
}

pub(super) fn cheat(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let instead = Instead::default();
    let mut act = Act::open(stage, narrator, summary, Some(instead.clone()))?;
    act.pays(1, Kind::Ether, ETHER / 4, summary)?;
    let old = act.pair.bob.agreed(act.opening)?;
    act.pays(1, Kind::Ether, ETHER / 2, summary)?;
    act.pays(0, Kind::Ckb, 300 * u128::from(CKB), summary)?;
    let newest = act.pair.bob.agreed(act.opening)?;
    let (old_version, newest_version) = (old.state.version(), newest.state.version());
    narrator.note(&format!(
        "Bob paid 0.75 ETH and got 300 CKB for it: version {newest_version}. He registers it on CKB,"
    ));
    narrator.note(&format!(
        "and on Ethereum version {old_version}, in which he had paid 0.25 ETH and got nothing"
    ));
    *instead.lock().unwrap_or_else(PoisonError::into_inner) = Some(old);
    act.pair.bob.node()?.command(act.opening, Command::Dispute).map_err(words)?;
    // He does not wait for the answers.
    act.pair.bob.node = None;
    // The old state stands on Ethereum before anybody looks: what goes to CKB is seen on its way.
    stage.ethereum.mine()?;
    act.pair.read(stage, narrator, "register the old state")?;
    let ethereum = stage.ethereum.coin().ledger();
    let ckb = stage.deployment.coin().ledger();
    let both = [(ckb, newest_version), (ethereum, newest_version)];
    act.wait_registered(stage, narrator, "register the newest", &both)?;
    act.pair.alice.expect("the old state on Ethereum", |event| {
        let old = |ledger: LedgerId, version| ledger == ethereum && version == old_version;
        matches!(event, Event::Registered { ledger, version, .. } if old(*ledger, *version))
            .then_some(())
    })?;
    narrator.note(&format!("Alice's node answered with version {newest_version} on Ethereum"));
    narrator.note("the challenge passes on both chains");
    stage.advance_both(CHALLENGE_SECS + 60)?;
    act.until(stage, narrator, "conclude", PhaseName::Settled)?;
    let outcomes = act.outcomes()?;
    let won = outcomes.len() == 2 && outcomes.iter().all(|state| *state == newest.state);
    summary.disputes_won += u64::from(won);
    act.settle_accounts(stage, narrator, summary)
}

/// A scene under way: two people, one channel on two chains, and what Alice should gain.
struct Act {
    pair: Pair,
    opening: OpeningId,
    rows: Rows,
    /// What Alice should have gained at the end, before fees. Bob loses as much.
    expected: Sums,
    /// What each should have gained in the opening, by its place in the book of CKB.
    shared: BTreeMap<usize, Vec<i128>>,
    started: [(u64, u128); 2],
}

impl Act {
    fn open(
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
        bob_cheats: Option<Instead>,
    ) -> Result<Self, Failure> {
        let mut pair = Pair::across(stage, &CELLS, TOKENS, bob_cheats)?;
        let started = [holdings(stage, &pair.alice.lock)?, holdings(stage, &pair.bob.lock)?];
        let rows = Rows::of(stage, &Kind::ALL);
        let outcome = rows.deposits(stage, |kind| [DEPOSITS[kind.place()]; 2])?;
        narrator.note(&opening(&pair, started[0])?);
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        let peer = pair.bob.node()?.peer_id();
        let opening = pair.alice.node()?.open(peer, request).map_err(words)?;
        pair.wait_phase(opening, &[PhaseName::Depositing])?;
        pair.mine_until(stage, narrator, "open", |pair| {
            let phases = [pair.alice.status(opening)?.phase, pair.bob.status(opening)?.phase];
            Ok(phases == [PhaseName::Open; 2])
        })?;
        summary.channels_opened += 1;
        let deposit = signed(DEPOSITS[Kind::Ckb.place()])?;
        let reserves = reserves(&pair.alice.status(opening)?)?;
        let gains = reserves.map(|reserve| -deposit - i128::from(reserve)).to_vec();
        // What they did together on CKB is the opening, and nothing else.
        let shared = BTreeMap::from([(pair.book.entries.len().saturating_sub(1), gains)]);
        Ok(Self { pair, opening, rows, expected: [0; KINDS], shared, started })
    }

    fn people(&self) -> [&Party; 2] {
        [&self.pair.alice, &self.pair.bob]
    }

    /// Everybody pays in every kind of money, all at once.
    fn pay(&mut self, narrator: &mut dyn Narrator, summary: &mut Summary) -> Result<(), Failure> {
        let mut payments = [Vec::new(), Vec::new()];
        for _ in 0..PAYMENTS / (2 * KINDS) {
            for kind in Kind::ALL {
                let (row, prices) = (self.rows.of_kind(kind)?, PRICES[kind.place()]);
                for (side, price) in prices.into_iter().enumerate() {
                    payments[side].push((row, price));
                }
                self.expected[kind.place()] += signed(prices[1])? - signed(prices[0])?;
            }
        }
        let times = PAYMENTS / (2 * KINDS);
        let sums = |side: usize| list(|kind| PRICES[kind.place()][side]);
        narrator.note(&format!("{times} times Alice pays {},", sums(0)));
        narrator.note(&format!("and Bob {}", sums(1)));
        let payers = [&payments[0][..], &payments[1][..]];
        let total = self.pair.pay_many(narrator, self.opening, payers, summary)?;
        let version = self.pair.alice.agreed(self.opening)?.state.version();
        narrator.note(&format!(
            "{total} payments in CKB, ETH and a token on each chain took {version} signed states \
             and no transaction"
        ));
        Ok(())
    }

    /// One pays the other once.
    fn pays(
        &mut self,
        payer: usize,
        kind: Kind,
        amount: u128,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let payment = (self.rows.of_kind(kind)?, amount);
        self.pair.pay(self.opening, payer, payment, summary)?;
        self.moves(payer, kind, amount)
    }

    /// So much went from one to the other.
    fn moves(&mut self, from: usize, kind: Kind, amount: u128) -> Result<(), Failure> {
        let sign = if from == 0 { -1 } else { 1 };
        self.expected[kind.place()] += sign * signed(amount)?;
        Ok(())
    }

    /// One gives on CKB, and takes on Ethereum; neither chain hears of it.
    fn swap(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
        proposer: usize,
        [(gives, given), (takes, taken)]: [(Kind, u128); 2],
    ) -> Result<(), Failure> {
        let now = stage.align_clocks()?;
        let legs = legs(&self.rows, now, proposer, [(gives, given), (takes, taken)])?;
        let command = Command::Swap { legs, preimage: Preimage::new(secret()?) };
        let before = self.pair.alice.agreed(self.opening)?.state.version();
        self.people()[proposer].node()?.command(self.opening, command).map_err(words)?;
        let asked = |event: &Event| matches!(event, Event::SwapRequested { .. }).then_some(());
        let opening = self.opening;
        let (alice, bob) = (&mut self.pair.alice, &mut self.pair.bob);
        let (asks, answers) = if proposer == 0 { (alice, bob) } else { (bob, alice) };
        answers.expect("a swap", asked)?;
        let accept = Command::AcceptSwap { clocks: PerLedger::default() };
        answers.node()?.command(opening, accept).map_err(words)?;
        let swapped = |event: &Event| match event {
            Event::Swapped { version } => Some(*version),
            _ => None,
        };
        let after = asks.expect("a swap", swapped)?;
        answers.expect("a swap", swapped)?;
        let (asks, answers) = (asks.name, answers.name);
        narrator.note(&format!(
            "{asks} gave {} for {} of {answers}'s: versions {before} to {after}, no transaction",
            gives.show(given),
            takes.show(taken)
        ));
        summary.swaps += 1;
        self.moves(proposer, gives, given)?;
        self.moves(1 - proposer, takes, taken)
    }

    /// The states that the two chains settled.
    fn outcomes(&self) -> Result<Vec<State>, Failure> {
        let sightings = self.pair.alice.status(self.opening)?.sightings.into_iter();
        let settled = sightings.filter_map(|sighting| match sighting.standing {
            Standing::Concluded { state, .. } | Standing::Closed { state } => Some(state),
            _ => None,
        });
        Ok(settled.collect())
    }

    /// Makes blocks until Alice's machine is there.
    fn until(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        phase: PhaseName,
    ) -> Result<(), Failure> {
        let opening = self.opening;
        self.pair.mine_until(stage, narrator, what, |pair| {
            let there = |party: &Party| -> Result<bool, Failure> {
                Ok(party.node.is_none() || party.status(opening)?.phase == phase)
            };
            Ok(there(&pair.alice)? && there(&pair.bob)?)
        })
    }

    /// Waits until these versions stand registered on these chains.
    fn wait_registered(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        wanted: &[(LedgerId, Version)],
    ) -> Result<(), Failure> {
        let opening = self.opening;
        self.pair.mine_until(stage, narrator, what, |pair| {
            let sightings = pair.alice.status(opening)?.sightings;
            Ok(wanted.iter().all(|(ledger, version)| {
                sightings.iter().filter(|one| one.ledger == *ledger && one.confirmed).any(|one| {
                    matches!(&one.standing, Standing::Registered { state, .. }
                        if state.version() == *version)
                })
            }))
        })
    }

    /// Holds both chains against what everybody should have.
    fn settle_accounts(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let fees = fees(&self.pair.book.entries, &self.shared)?;
        let totals = self.pair.book.totals();
        let ether_book = self.pair.ether_book.as_ref().ok_or("no book of Ethereum")?;
        let on_ethereum = ether_book.gains(&stage.ethereum)?;
        let mut told = Vec::new();
        for (side, party) in self.people().into_iter().enumerate() {
            let sign = if side == 0 { 1 } else { -1 };
            let due = self.expected.map(|gain| sign * gain);
            let fee = i128::from(fees.get(&side).copied().unwrap_or(0));
            let (held, units) = holdings(stage, &party.lock)?;
            let (had, had_units) = self.started[side];
            let total = totals.get(side).copied().unwrap_or_default();
            let on_ckb =
                [i128::from(held) - i128::from(had) + fee, signed(units)? - signed(had_units)?];
            let [ckb, udt] = on_ckb;
            let [ether, erc20] = on_ethereum[side];
            let gained = [ckb, udt, ether, erc20];
            let right = gained == due && [total.capacity + fee, total.tokens] == on_ckb;
            summary.balances_ok &= right;
            if !right {
                return Err(format!(
                    "{} should have gained {due:?} of CKB, UDT, ETH and ERC-20 in smallest units \
                     before fees, and gained {gained:?}",
                    party.name
                ));
            }
            let wallet = party.ethereum.as_ref().ok_or("nobody of Ethereum")?;
            let address = perun_backend_evm::account::Account::address(wallet.as_ref());
            let [wei, tokens] = stage.ethereum.holdings(address)?;
            let has = [u128::from(held), units, wei, tokens];
            let [wei_then, tokens_then] = ether_book.started[side];
            let had = [u128::from(had), had_units, wei_then, tokens_then];
            let paid = [u128::try_from(fee).unwrap_or(0), 0, ether_book.fees[side], 0];
            told.extend(Kind::ALL.map(|kind| {
                let place = kind.place();
                balance(party.name, kind, [had[place], has[place], paid[place]])
            }));
        }
        narrator
            .balances("on both chains, before and now, right to the shannon and the wei", &told);
        Ok(())
    }
}

/// What each has and puts in, told before anything happens.
fn opening(pair: &Pair, (capacity, units): (u64, u128)) -> Result<String, Failure> {
    let book = pair.ether_book.as_ref().ok_or("no book of Ethereum")?;
    let [wei, tokens] = book.started.first().copied().ok_or("nobody of Ethereum")?;
    let had = [u128::from(capacity), units, wei, tokens];
    let has = list(|kind| had[kind.place()]);
    let puts_in = list(|kind| DEPOSITS[kind.place()]);
    Ok(format!("Alice and Bob have {has} each, and each puts in {puts_in}"))
}

/// An amount of every kind, in words.
fn list(amount: impl Fn(Kind) -> u128) -> String {
    let [first, second, third, last] = Kind::ALL.map(|kind| kind.show(amount(kind)));
    format!("{first}, {second}, {third} and {last}")
}

/// The legs of a swap: what its proposer gives, and what it takes.
pub(super) fn legs(
    rows: &Rows,
    now: u64,
    proposer: usize,
    [(gives, given), (takes, taken)]: [(Kind, u128); 2],
) -> Result<Vec<Leg>, Failure> {
    let proposer = u8::try_from(proposer).map_err(words)?;
    let leg = |kind: Kind, amount: u128, from: u8, expiry: u64| -> Result<Leg, Failure> {
        let (asset, amount) = (rows.of_kind(kind)?, Amount::new(amount));
        Ok(Leg { asset, from, to: 1 - from, expiry: now + expiry, amount })
    };
    let mut legs = vec![
        leg(takes, taken, 1 - proposer, EXPIRIES[0])?,
        leg(gives, given, proposer, EXPIRIES[1])?,
    ];
    legs.sort_by_key(|leg| leg.asset);
    Ok(legs)
}
