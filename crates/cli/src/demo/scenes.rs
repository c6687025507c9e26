//! The scenes of two people.

use std::collections::BTreeMap;

use perun_backend_ckb::money::CKB;
use perun_channel::{Allocation, Amount, State, Version};
use perun_node::{Ledger, OpenRequest, SessionKey};
use perun_protocol::{
    Agreed, Change, Changes, Command, Event, Index, OpeningId, PhaseName, Sighting, Slot, Standing,
};

use super::book::fees;
use super::money::Kind;
use super::party::{Pair, reserves};
use super::stage::{Stage, holdings};
use super::{Failure, words};
use crate::narrate::{Balance, Narrator, Summary};

/// How long a registered state can be refuted in the demo.
pub(super) const CHALLENGE_SECS: u64 = 3_600;
/// What everybody starts with: a few cells, so that fees need no waiting.
pub(super) const CELLS: [u64; 3] = [5_000 * CKB, 500 * CKB, 500 * CKB];
/// What each side brings into a channel.
const DEPOSIT: u128 = 1_000 * CKB as u128;
const TOKENS: u128 = 1_000_000;
/// How often each side pays.
const PAYMENTS: u64 = 1_000;

pub(super) fn pay_and_close(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, &[])?;
    act.pay_both_ways(narrator, summary, &[(0, 12_500_000, 7_500_000)])?;
    act.close(stage, narrator)?;
    act.settle_accounts(stage, narrator, summary)
}

pub(super) fn pay_two_assets(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, &[TOKENS])?;
    let payments = [(0, 12_500_000, 7_500_000), (1, 250, 100)];
    act.pay_both_ways(narrator, summary, &payments)?;
    act.close(stage, narrator)?;
    act.settle_accounts(stage, narrator, summary)
}

pub(super) fn cheat(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, &[])?;
    act.bob_pays(300 * u128::from(CKB), summary)?;
    let old = act.pair.bob.agreed(act.opening)?;
    act.bob_pays(400 * u128::from(CKB), summary)?;
    let newest = act.pair.alice.agreed(act.opening)?;
    let (old_version, newest_version) = (old.state.version(), newest.state.version());
    narrator.note(&format!(
        "Bob paid 700 CKB and registers version {old_version}, in which he had paid only 300"
    ));
    act.register_as_bob(stage, &old)?;
    // Bob's node would tell the truth; he switched it off.
    act.pair.bob.node = None;
    act.wait_registered(stage, narrator, "register", old_version)?;
    act.wait_registered(stage, narrator, "refute", newest_version)?;
    narrator.note(&format!("Alice's node answered with version {newest_version}"));
    act.conclude(stage, narrator)?;
    summary.disputes_won += u64::from(act.outcome()? == newest.state);
    act.settle_accounts(stage, narrator, summary)
}

pub(super) fn vanish(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, &[])?;
    act.bob_pays(250 * u128::from(CKB), summary)?;
    act.pair.bob.node = None;
    narrator.note("Bob paid 250 CKB, and then his node is gone; Alice leaves through the ledger");
    act.pair.alice.node()?.command(act.opening, Command::Dispute).map_err(words)?;
    let newest = act.pair.alice.agreed(act.opening)?.state.version();
    act.wait_registered(stage, narrator, "register", newest)?;
    act.conclude(stage, narrator)?;
    act.settle_accounts(stage, narrator, summary)
}

pub(super) fn resize(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut act = Act::open(stage, narrator, summary, &[])?;
    narrator
        .note("Bob pays 100 CKB; then Alice puts in 500 more, Bob pays 50, Alice takes 800 out,");
    narrator.note("Bob pays 25, and they close");
    act.bob_pays(100 * u128::from(CKB), summary)?;
    let deposit = 500 * u128::from(CKB);
    act.resize(stage, narrator, "top up", &Change::Deposit { amount: Amount::new(deposit) })?;
    act.bob_pays(50 * u128::from(CKB), summary)?;
    let taken = 800 * u128::from(CKB);
    act.resize(stage, narrator, "take out", &Change::Withdraw { amount: Amount::new(taken) })?;
    act.bob_pays(25 * u128::from(CKB), summary)?;
    act.close(stage, narrator)?;
    act.settle_accounts(stage, narrator, summary)
}

/// A scene under way: two people, one channel, and what they should end up with.
struct Act {
    pair: Pair,
    opening: OpeningId,
    /// What each side should have gained at the end, before fees: capacity and tokens.
    expected: [(i128, i128); 2],
    /// What each side should have gained in each transaction of both, by its place in the book.
    shared: BTreeMap<usize, Vec<i128>>,
    /// The capacity that each side keeps in reserve while the channel lives.
    reserves: [u64; 2],
    started: [(u64, u128); 2],
}

impl Act {
    /// Opens a channel with the usual deposits; `tokens` are what each side brings of the token.
    fn open(
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
        tokens: &[u128],
    ) -> Result<Self, Failure> {
        let mut pair = Pair::new(stage, &CELLS, [tokens, tokens])?;
        let started = [holdings(stage, &pair.alice.lock)?, holdings(stage, &pair.bob.lock)?];
        let mut assets = vec![stage.deployment.coin()];
        let mut balances = vec![vec![Amount::new(DEPOSIT); 2]];
        if let Some(amount) = tokens.first() {
            assets.push(stage.token.clone());
            balances.push(vec![Amount::new(*amount); 2]);
        }
        let outcome = Allocation::new(assets, balances, Vec::new()).map_err(words)?;
        narrator.note(&opening(started[0].0, tokens.first().copied()));
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        let peer = pair.bob.node()?.peer_id();
        let opening = pair.alice.node()?.open(peer, request).map_err(words)?;
        pair.bob.expect("a proposal", |event| {
            matches!(event, Event::ProposalReceived { .. }).then_some(())
        })?;
        pair.wait_released(opening)?;
        pair.mine_until(stage, narrator, "open", |pair| {
            let open = |phase| phase == PhaseName::Open;
            Ok(open(pair.alice.status(opening)?.phase) && open(pair.bob.status(opening)?.phase))
        })?;
        summary.channels_opened += 1;
        let mut act = Self {
            pair,
            opening,
            expected: [(0, 0); 2],
            shared: BTreeMap::new(),
            reserves: [0; 2],
            started,
        };
        act.reserves = reserves(&act.pair.alice.status(opening)?)?;
        let deposit = |reserve: u64| -(DEPOSIT as i128) - i128::from(reserve);
        let gains = act.reserves.iter().map(|reserve| deposit(*reserve)).collect();
        act.note_shared(gains);
        Ok(act)
    }

    /// Each side pays the other so many times, both at once, in each of these assets:
    /// (row, what Alice pays each time, what Bob pays each time).
    fn pay_both_ways(
        &mut self,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
        payments: &[(u8, u128, u128)],
    ) -> Result<(), Failure> {
        let rounds = PAYMENTS / u64::try_from(payments.len()).unwrap_or(1);
        let (mut from_alice, mut from_bob) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            from_alice.extend(payments.iter().map(|(asset, hers, _)| (*asset, *hers)));
            from_bob.extend(payments.iter().map(|(asset, _, his)| (*asset, *his)));
        }
        let sums = |pick: fn(&(u8, u128, u128)) -> u128| {
            let sums = payments.iter().map(|payment| unit(payment.0).show(pick(payment)));
            sums.collect::<Vec<_>>().join(" and ")
        };
        narrator.note(&format!(
            "{rounds} times Alice pays {}, and Bob {}",
            sums(|payment| payment.1),
            sums(|payment| payment.2)
        ));
        let payers = [&from_alice[..], &from_bob[..]];
        let total = self.pair.pay_many(narrator, self.opening, payers, summary)?;
        let rounds = i128::from(rounds);
        for (asset, hers, his) in payments {
            let net =
                rounds * (i128::try_from(*his).unwrap_or(0) - i128::try_from(*hers).unwrap_or(0));
            self.expect_gain(*asset, net);
        }
        let version = self.pair.alice.agreed(self.opening)?.state.version();
        narrator.note(&format!("{total} payments took {version} signed states"));
        Ok(())
    }

    fn bob_pays(&mut self, amount: u128, summary: &mut Summary) -> Result<(), Failure> {
        self.pair.pay(self.opening, 1, (0, amount), summary)?;
        self.expect_gain(0, i128::try_from(amount).map_err(words)?);
        Ok(())
    }

    /// Alice should end up with so much more, and Bob with so much less.
    fn expect_gain(&mut self, asset: u8, net: i128) {
        for (side, sign) in [(0, 1), (1, -1)] {
            if asset == 0 {
                self.expected[side].0 += sign * net;
            } else {
                self.expected[side].1 += sign * net;
            }
        }
    }

    /// The state that the ledger settled.
    fn outcome(&self) -> Result<State, Failure> {
        let sighting = self.pair.alice.status(self.opening)?.sightings.pop();
        match sighting.map(|sighting| sighting.standing) {
            Some(Standing::Concluded { state, .. } | Standing::Closed { state }) => Ok(state),
            _ => Err("the channel is not settled".into()),
        }
    }

    fn close(&mut self, stage: &Stage, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        self.pair.alice.node()?.command(self.opening, Command::Close).map_err(words)?;
        let opening = self.opening;
        self.pair.wait_phase(opening, &[PhaseName::Closing])?;
        self.wait_for_phase(stage, narrator, "close", PhaseName::Settled)
    }

    /// Waits out the challenge, and until everything is paid.
    fn conclude(&mut self, stage: &Stage, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        narrator.note("the challenge passes");
        stage.advance(CHALLENGE_SECS + 60)?;
        self.wait_for_phase(stage, narrator, "conclude", PhaseName::Settled)
    }

    fn resize(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        change: &Change,
    ) -> Result<(), Failure> {
        let before = self.pair.alice.status(self.opening)?.id;
        let rows = vec![[change.clone(), Change::Keep {}]];
        let changes = Changes::new(rows).map_err(words)?;
        self.pair.alice.node()?.resize(self.opening, changes).map_err(words)?;
        self.pair.wait_released(self.opening)?;
        let opening = self.opening;
        self.pair.mine_until(stage, narrator, what, |pair| {
            let moved =
                |status: perun_node::Status| status.phase == PhaseName::Open && status.id != before;
            Ok(moved(pair.alice.status(opening)?) && moved(pair.bob.status(opening)?))
        })?;
        let gain = match change {
            Change::Deposit { amount } => -(amount.get() as i128),
            Change::Withdraw { amount } => amount.get() as i128,
            Change::Keep {} => 0,
        };
        self.note_shared(vec![gain, 0]);
        Ok(())
    }

    /// The last transaction in the book was one of both.
    fn note_shared(&mut self, gains: Vec<i128>) {
        self.shared.insert(self.pair.book.entries.len().saturating_sub(1), gains);
    }

    /// Bob's registration of a state that is not the newest.
    fn register_as_bob(&self, stage: &Stage, old: &Agreed) -> Result<(), Failure> {
        let key = SessionKey::from_secret(self.pair.bob.session).ok_or("not a key")?;
        let target = self.pair.bob.status(self.opening)?.targets.pop().ok_or("no target")?;
        let slot = Slot { participant: Index::One, delegate: false };
        let sign = |digest: &[u8; 32]| key.sign(digest);
        let mut ledger = self.pair.bob.ledger(stage)?;
        ledger.register(&target, old, slot, 0, &sign).map_err(words)
    }

    fn wait_for_phase(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        phase: PhaseName,
    ) -> Result<(), Failure> {
        let opening = self.opening;
        self.pair.mine_until(stage, narrator, what, |pair| {
            Ok(pair.alice.status(opening)?.phase == phase)
        })
    }

    /// Waits until a block holds the registration of this version.
    fn wait_registered(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        version: Version,
    ) -> Result<(), Failure> {
        let opening = self.opening;
        self.pair.mine_until(stage, narrator, what, |pair| {
            let sighting = pair.alice.status(opening)?.sightings.pop();
            let registered = |sighting: Sighting| match sighting.standing {
                Standing::Registered { state, .. } => {
                    sighting.confirmed && state.version() == version
                }
                _ => false,
            };
            Ok(sighting.is_some_and(registered))
        })
    }

    /// Holds the chain against what everybody should have: what each side gained and paid in fees.
    fn settle_accounts(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let fees = fees(&self.pair.book.entries, &self.shared)?;
        let totals = self.pair.book.totals();
        let mut rows = Vec::new();
        for (side, party) in [&self.pair.alice, &self.pair.bob].into_iter().enumerate() {
            let fee = i128::from(fees.get(&side).copied().unwrap_or(0));
            let (capacity, tokens) = self.expected[side];
            let gained = totals.get(side).copied().unwrap_or_default();
            let (held, token_units) = holdings(stage, &party.lock)?;
            let (had, had_tokens) = self.started[side];
            let right = gained.capacity == capacity - fee
                && gained.tokens == tokens
                && i128::from(held) == i128::from(had) + capacity - fee
                && token_units as i128 == had_tokens as i128 + tokens;
            summary.balances_ok &= right;
            let who = party.name.to_string();
            let fee = u128::try_from(fee).unwrap_or(0);
            rows.push(balance(&who, Kind::Ckb, [had.into(), held.into(), fee]));
            if had_tokens != 0 {
                rows.push(balance(&who, Kind::Udt, [had_tokens, token_units, 0]));
            }
            if !right {
                return Err(format!(
                    "{who} should have gained {capacity} - {fee} shannons and {tokens} tokens, and gained \
                     {} and {}",
                    gained.capacity, gained.tokens
                ));
            }
        }
        narrator.balances("on the chain, before and now, right to the shannon", &rows);
        Ok(())
    }
}

/// What each has and puts in, told before anything happens. `had` is with the cell of its tokens.
fn opening(had: u64, tokens: Option<u128>) -> String {
    let deposit = Kind::Ckb.show(DEPOSIT);
    let has = Kind::Ckb.show(had.into());
    match tokens {
        None => format!("Alice and Bob have {has} each, and each puts in {deposit}"),
        Some(tokens) => {
            let cell = Kind::Ckb.show(u128::from(had.saturating_sub(CELLS.iter().sum())));
            let tokens = Kind::Udt.show(tokens);
            format!(
                "Alice and Bob have {has} each, {cell} of it in the cell that holds {tokens}; each \
                 puts in {deposit} and {tokens}"
            )
        }
    }
}

/// The kind of money in a row of these scenes.
const fn unit(row: u8) -> Kind {
    if row == 0 { Kind::Ckb } else { Kind::Udt }
}

/// What somebody had, has now, and paid in fees.
pub(super) fn balance(who: &str, kind: Kind, [before, units, fees]: [u128; 3]) -> Balance {
    let (who, asset, decimals) = (who.into(), kind.name().into(), kind.decimals());
    Balance { who, asset, before, units, fees, decimals }
}
