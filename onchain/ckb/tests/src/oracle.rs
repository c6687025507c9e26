//! A second opinion: who was wronged by a transaction, said in other words than the verdict's.
//!
//! It reads cells by their offsets and knows the truth (which channels exist, what was signed, who
//! consented) instead of evidence, so it shares no code with what it checks except the hash
//! functions and the fixture's own scripts. It says nothing about transactions that were refused.

use std::collections::{BTreeMap, BTreeSet};

use perun_channel::State;
use perun_channel::adjudicator::Slot;
use perun_channel::hash::{ckb_hash, sha256};

use crate::vm::scripts;
use crate::{CKB, CellSketch, Channel, Party, Sketch};

/// What one participant is to be paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Its coins.
    pub coins: u64,
    /// The part of its reserve that comes free.
    pub reserve: u64,
    /// Token rows and amounts that are not zero.
    pub tokens: Vec<(usize, u128)>,
}

impl Due {
    /// Coins and reserve.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.coins + self.reserve
    }
}

/// One leg of a pending swap.
struct Leg {
    row: usize,
    from: usize,
    to: usize,
    expiry: u64,
    amount: u128,
}

/// The legs of a state's swap in rows that this ledger pays, read from the app data by their
/// offsets.
fn legs_here(channel: &Channel, state: &State) -> Vec<Leg> {
    let legs = state.data().get(33..).unwrap_or_default().chunks(27).map(|leg| Leg {
        row: leg[0].into(),
        from: leg[1].into(),
        to: leg[2].into(),
        expiry: u64::from_be_bytes(leg[3..11].try_into().expect("8 bytes")),
        amount: u128::from_be_bytes(leg[11..27].try_into().expect("16 bytes")),
    });
    let paid_here = |row| channel.coin_row() == Some(row) || channel.token_rows().contains(&row);
    legs.filter(|leg| paid_here(leg.row)).collect()
}

/// When the legs of a state's swap on this ledger may lapse, if there are any.
#[must_use]
pub fn lapse(channel: &Channel, state: &State) -> Option<u64> {
    legs_here(channel, state).iter().map(|leg| leg.expiry).max()
}

/// What every participant is to be paid of a state, whose swap was claimed here or not, when the
/// rows of `before` were unpaid (none: nothing was paid) and those of `after` stay unpaid.
#[must_use]
pub fn dues(
    channel: &Channel,
    (state, claimed): (&State, bool),
    before: Option<u32>,
    after: u32,
) -> Vec<Due> {
    let legs = if claimed { legs_here(channel, state) } else { Vec::new() };
    let balance = |row: usize, index: usize| {
        let stated = state.outcome().balances()[row][index].get();
        let sum = |side: &dyn Fn(&&Leg) -> bool| -> u128 {
            legs.iter().filter(|leg| leg.row == row).filter(side).map(|leg| leg.amount).sum()
        };
        stated + sum(&|leg| leg.to == index) - sum(&|leg| leg.from == index)
    };
    let withheld = |marks: Option<u32>| -> Vec<u64> {
        match marks {
            None => channel.parties.iter().map(|party| party.reserve).collect(),
            Some(marks) => withheld(channel, marks),
        }
    };
    let (was, stays) = (withheld(before), withheld(Some(after)));
    (0..channel.parties())
        .map(|index| {
            let coin_row = channel.coin_row().filter(|_| before.is_none());
            let coins = coin_row.map_or(0, |row| balance(row, index));
            let pays =
                |row: &usize| before.is_none_or(|marks| bit(marks, *row)) && !bit(after, *row);
            let rows = channel.token_rows().into_iter().filter(pays);
            Due {
                coins: u64::try_from(coins).expect("real coins"),
                reserve: was[index] - stays[index],
                tokens: rows
                    .map(|row| (row, balance(row, index)))
                    .filter(|(_, amount)| *amount != 0)
                    .collect(),
            }
        })
        .collect()
}

/// Shares of the rent of the cells that keep the marked rows, by what the reserves hold above the
/// 61 CKB of a plain cell, rounded down.
fn withheld(channel: &Channel, marks: u32) -> Vec<u64> {
    let spare = |party: &Party| u128::from(party.reserve - 61 * CKB);
    let rows = channel.setup.rows().iter().enumerate().filter(|(row, _)| bit(marks, *row));
    let vaults: u128 = rows.map(|(_, row)| u128::from(row.vault_capacity)).sum();
    let rent = u128::from(222 * CKB) + vaults;
    let all: u128 = channel.parties.iter().map(spare).sum();
    let share = |party| if marks == 0 { 0 } else { rent * spare(party) / all };
    let shares = channel.parties.iter().map(share);
    shares.map(|share| u64::try_from(share).expect("part of the rent")).collect()
}

const fn bit(marks: u32, position: usize) -> bool {
    marks >> position & 1 == 1
}

/// Who was wronged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

/// The truth about the channels of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// The channels that exist, or are about to.
    pub channels: Vec<Channel>,
    /// The states that all participants of their channel signed.
    pub signed: Vec<State>,
    /// Registrations that somebody authorised: state hash and slot.
    pub registrations: Vec<([u8; 32], Slot)>,
    /// The transactions that everybody in the cooperative spends of them consented to.
    pub agreed: BTreeSet<[u8; 32]>,
}

struct Seen<'a> {
    cell: &'a CellSketch,
    phase: u8,
    claimed: u8,
    marks: u32,
    id: [u8; 32],
    digest: [u8; 32],
    version: u64,
}

#[derive(Default)]
struct Owed {
    capacity: u128,
    tokens: BTreeMap<[u8; 32], u128>,
    /// How much of the capacity may lie in cells of a token.
    in_tokens: BTreeMap<[u8; 32], u128>,
    lends: bool,
}

type Book = BTreeMap<[u8; 32], Owed>;

fn wrong<T>(text: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(text.into()))
}

fn ensure(holds: bool, text: &str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { wrong(text) }
}

fn seen(cell: &CellSketch) -> Option<Seen<'_>> {
    (cell.kind.as_ref() == Some(&scripts().kind)).then(|| {
        let data = &cell.data;
        Seen {
            cell,
            phase: data[2],
            claimed: data[3],
            marks: u32::from_le_bytes(data[4..8].try_into().unwrap()),
            id: data[8..40].try_into().unwrap(),
            digest: data[40..72].try_into().unwrap(),
            version: u64::from_le_bytes(data[72..80].try_into().unwrap()),
        }
    })
}

/// The bytes of a field of the witness.
fn field(witness: &[u8], field: usize) -> Option<&[u8]> {
    let number = |at: usize| -> Option<usize> {
        let bytes = witness.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let start = number(4 + 4 * field)?;
    witness.get(start + 4..)?.get(..number(start)?)
}

/// The first byte of a field of the witness: which action it claims to be.
fn tag(witness: &[u8], number: usize) -> Option<u8> {
    field(witness, number)?.first().copied()
}

/// Whether the legs of a state's swap on this ledger move: whoever shows the secret moves them, who
/// does not must have waited until they lapsed. Where there are none, nothing moves.
fn decided(sketch: &Sketch, input: usize, channel: &Channel, state: &State) -> Result<bool, Wrong> {
    let Some(lapse) = lapse(channel, state) else { return Ok(false) };
    let witness = sketch.witnesses.get(input).map_or(&[][..], Vec::as_slice);
    let shown = field(witness, 1).and_then(|action| action.last_chunk::<32>());
    if shown.is_some_and(|secret| sha256(secret) == state.data()[1..33]) {
        return Ok(true);
    }
    let late = |since: u64| since >> 56 == 0x40 && since << 8 >> 8 >= lapse;
    let sane = |since: u64| since << 8 >> 8 < 1 << 38;
    let mut sinces = sketch.inputs.iter().map(|input| input.since);
    ensure(sinces.any(|since| late(since) && sane(since)), "S1: a swap lapsed before its time")?;
    Ok(false)
}

impl Oracle {
    /// Whether an accepted transaction wrongs nobody. Its inputs must be cells that can exist.
    pub fn review(&self, sketch: &Sketch) -> Result<(), Wrong> {
        let made: Vec<(usize, Seen<'_>)> = enumerate_seen(sketch.outputs.iter());
        let spent = enumerate_seen(sketch.inputs.iter().map(|input| &input.cell));
        let ids: BTreeSet<[u8; 32]> = made.iter().map(|(_, cell)| cell.id).collect();
        ensure(ids.len() == made.len(), "I1: one id lives twice")?;
        self.vaults_stay_shut(sketch, &spent)?;
        let mut book = Book::new();
        for (input, cell) in &spent {
            let next = made.iter().find(|(_, other)| other.id == cell.id);
            self.step(sketch, *input, cell, next, &mut book)?;
        }
        for (output, cell) in &made {
            if !spent.iter().any(|(_, before)| before.id == cell.id) {
                self.birth(sketch, *output, cell)?;
            }
        }
        settle(sketch, &book)
    }

    fn channel(&self, id: &[u8; 32]) -> Result<&Channel, Wrong> {
        let known = self.channels.iter().find(|channel| channel.id().as_bytes() == id);
        known.ok_or_else(|| Wrong("A1: nobody agreed to this channel".into()))
    }

    fn vaults_stay_shut(&self, sketch: &Sketch, spent: &[(usize, Seen<'_>)]) -> Result<(), Wrong> {
        for channel in &self.channels {
            let opened = spent.iter().any(|(_, cell)| cell.id == *channel.id().as_bytes());
            let touched = sketch.inputs.iter().any(|input| input.cell.lock == channel.lock());
            ensure(opened || !touched, "a vault was opened without its channel")?;
        }
        Ok(())
    }

    fn step(
        &self,
        sketch: &Sketch,
        input: usize,
        old: &Seen<'_>,
        next: Option<&(usize, Seen<'_>)>,
        book: &mut Book,
    ) -> Result<(), Wrong> {
        let channel = self.channel(&old.id)?;
        let since = sketch.inputs[input].since;
        let wait = since & (u64::MAX >> 8);
        let waited = since >> 56 == 0xc0
            && wait >= channel.setup.params().challenge_secs()
            && wait <= 365 * 86_400;
        let stored = || -> Result<&State, Wrong> {
            let known = self.signed.iter().find(|state| state.hash() == old.digest);
            known.ok_or_else(|| Wrong("I3: a state nobody signed is paid".into()))
        };
        let action = tag(sketch.witnesses.get(input).map_or(&[], Vec::as_slice), 1);
        match (action, old.phase, next) {
            (Some(1), 0, Some((output, new))) => {
                let (before, after) = (old.marks, self.deposits(channel, new));
                ensure(before & !after == 0 && before != after, "deposits vanished")?;
                ensure(old.digest == new.digest, "I5: funding changed the state")?;
                self.vaults_spent(sketch, channel, input, &channel.vaults(before))?;
                self.holds(sketch, channel, *output, new)
            }
            (Some(2), 0, None) => {
                ensure(waited, "I7: deposits went back before the time")?;
                self.vaults_spent(sketch, channel, input, &channel.vaults(old.marks))?;
                self.refund(channel, old.marks, book);
                Ok(())
            }
            (Some(3), 1 | 2, Some((_, new))) => self.registered(sketch, channel, old, new),
            (Some(4), 2, _) => {
                ensure(waited, "I7: a dispute ended before its time")?;
                let claimed = decided(sketch, input, channel, stored()?)?;
                self.paid(sketch, channel, input, (None, stored()?, claimed), next, book)
            }
            (Some(5), 4, _) => {
                let before = (Some(old.marks), stored()?, old.claimed == 1);
                self.paid(sketch, channel, input, before, next, book)
            }
            (Some(6), 1 | 2, _) => {
                let last = self.signed.iter().find(|state| {
                    state.is_final()
                        && state.id().as_bytes() == &old.id
                        && (state.version().get() > old.version || state.hash() == old.digest)
                });
                let Some(last) = last else { return wrong("I3: no final state was signed") };
                self.paid(sketch, channel, input, (None, last, false), next, book)
            }
            (Some(7), _, None) => {
                let agreed = self.agreed.contains(&sketch.hash());
                ensure(agreed, "I13: somebody did not consent to this transaction")
            }
            _ => wrong(format!("no action {action:?} leads from phase {}", old.phase)),
        }
    }

    fn registered(
        &self,
        sketch: &Sketch,
        channel: &Channel,
        old: &Seen<'_>,
        new: &Seen<'_>,
    ) -> Result<(), Wrong> {
        let state = self.signed.iter().find(|state| state.hash() == new.digest);
        let Some(state) = state else { return wrong("I3: nobody signed the registered state") };
        ensure(state.id() == &channel.id(), "I9: a state of another channel was registered")?;
        ensure(state.version().get() == new.version, "I3: the cell lies about the version")?;
        let same = old.phase == 1 && old.digest == new.digest;
        ensure(same || new.version > old.version, "I4: the version did not rise")?;
        ensure(new.phase == 2, "I5: a registration leads to a dispute")?;
        ensure(new.claimed == 0, "S2: a dispute knows the end of its swap")?;
        let used = if old.phase == 2 { old.marks } else { 0 };
        let fresh = new.marks ^ used;
        ensure(new.marks & used == used && fresh.count_ones() == 1, "L3: not one new slot used")?;
        ensure(old.phase == 2 || fresh & 0x5555_5555 != 0, "a delegate started a dispute")?;
        let number = u8::try_from(fresh.trailing_zeros()).expect("below 32");
        let authorised = self.registrations.contains(&(new.digest, Slot::from_number(number)));
        ensure(authorised, "L3: nobody authorised this slot")?;
        ensure(new.cell.capacity == old.cell.capacity, "I5: capacity changed")?;
        ensure(new.cell.lock == old.cell.lock, "I5: the lock changed")?;
        let ours = |cell: &&CellSketch| cell.lock == channel.lock();
        let spent = sketch.inputs.iter().map(|input| &input.cell).filter(ours).count();
        let made = sketch.outputs.iter().filter(ours).count();
        ensure(spent == 1 && made == 1, "I5: a registration touched the vaults")
    }

    fn paid(
        &self,
        sketch: &Sketch,
        channel: &Channel,
        input: usize,
        (before, state, claimed): (Option<u32>, &State, bool),
        next: Option<&(usize, Seen<'_>)>,
        book: &mut Book,
    ) -> Result<(), Wrong> {
        let unpaid = next.map_or(0, |(_, new)| new.marks);
        if let Some((_, new)) = next {
            ensure(new.phase == 4 && new.digest == state.hash(), "I5: another outcome remains")?;
            ensure(new.cell.capacity == 222 * CKB, "I2: the rest has not its rent")?;
            ensure(new.cell.lock == channel.lock(), "I5: the rest has another lock")?;
            ensure(new.claimed == u8::from(claimed), "S2: the rest forgets how the swap ended")?;
            ensure(unpaid != 0, "a settled channel lives on without rows")?;
        }
        let rows = channel.token_rows();
        let payable = |row: &usize| before.is_none_or(|marks| bit(marks, *row));
        let could: u32 = rows.iter().filter(|row| payable(row)).map(|row| 1 << row).sum();
        ensure(unpaid & !could == 0 && before != Some(unpaid), "paid rows came back")?;
        let vaults = rows.iter().zip(channel.vaults(u32::MAX));
        let paid: Vec<CellSketch> =
            vaults.filter(|(row, _)| bit(could & !unpaid, **row)).map(|(_, cell)| cell).collect();
        self.vaults_spent(sketch, channel, input, &paid)?;
        enter(channel, &dues(channel, (state, claimed), before, unpaid), book);
        Ok(())
    }

    fn refund(&self, channel: &Channel, deposited: u32, book: &mut Book) {
        let full = dues(channel, (&channel.initial(), false), None, 0);
        let mut back: Vec<Due> = full;
        for (index, due) in back.iter_mut().enumerate() {
            if !bit(deposited, index) {
                *due = Due::default();
            }
        }
        enter(channel, &back, book);
    }

    fn deposits(&self, channel: &Channel, cell: &Seen<'_>) -> u32 {
        if cell.phase == 0 { cell.marks } else { u32::MAX >> (32 - channel.parties()) }
    }

    fn birth(&self, sketch: &Sketch, output: usize, cell: &Seen<'_>) -> Result<(), Wrong> {
        let channel = self.channel(&cell.id)?;
        let index = u64::try_from(output).expect("few").to_le_bytes();
        let first = sketch.inputs.first().expect("transactions spend something").bytes();
        let origin = ckb_hash(&[&first, &index]);
        ensure(*channel.setup.origin() == origin, "I1: the id is another transaction's")?;
        let action = tag(sketch.witnesses.get(output).map_or(&[], Vec::as_slice), 2);
        ensure(action == Some(0), "a channel appeared without being created")?;
        self.holds(sketch, channel, output, cell)
    }

    /// I2 for a channel that is being funded or was just opened.
    fn holds(
        &self,
        sketch: &Sketch,
        channel: &Channel,
        output: usize,
        cell: &Seen<'_>,
    ) -> Result<(), Wrong> {
        let deposited = self.deposits(channel, cell);
        let everybody = u32::MAX >> (32 - channel.parties());
        ensure(deposited & !everybody == 0 && deposited != 0, "strangers deposited")?;
        ensure((cell.phase == 1) == (deposited == everybody), "the phase lies about deposits")?;
        ensure(cell.phase != 1 || cell.marks == 0, "an open channel has marks")?;
        ensure(cell.claimed == 0, "S2: an open channel knows the end of its swap")?;
        ensure(cell.digest == channel.initial().hash(), "A1: another first state")?;
        ensure(cell.version == 0, "A1: another first version")?;
        ensure(cell.cell.lock == channel.lock(), "the channel is under another lock")?;
        let mut expected = channel.vaults(deposited);
        let coins: u64 = dues(channel, (&channel.initial(), false), None, 0)
            .iter()
            .enumerate()
            .filter(|(index, _)| bit(deposited, *index))
            .map(|(_, due)| due.capacity())
            .sum();
        let in_vaults: u64 = expected.iter().map(|cell| cell.capacity).sum();
        ensure(cell.cell.capacity + in_vaults == coins, "I2: deposits and cells differ")?;
        let made = sketch.outputs.iter().enumerate();
        for (_, vault) in made.filter(|(at, made)| *at != output && made.lock == channel.lock()) {
            let known = expected.iter().position(|cell| cell == vault);
            let Some(known) = known else { return wrong("I2: a vault is not what it should be") };
            expected.remove(known);
        }
        ensure(expected.is_empty(), "I2: a vault is missing")
    }

    fn vaults_spent(
        &self,
        sketch: &Sketch,
        channel: &Channel,
        input: usize,
        expected: &[CellSketch],
    ) -> Result<(), Wrong> {
        let spent = sketch.inputs.iter().enumerate();
        let mut spent: Vec<&CellSketch> = spent
            .filter(|(at, input_)| *at != input && input_.cell.lock == channel.lock())
            .map(|(_, input)| &input.cell)
            .collect();
        for vault in expected {
            let known = spent.iter().position(|cell| *cell == vault);
            let Some(known) = known else { return wrong("M1: a vault was left behind") };
            spent.remove(known);
        }
        ensure(spent.is_empty(), "a vault was spent that is not paid out")
    }
}

fn enumerate_seen<'a>(cells: impl Iterator<Item = &'a CellSketch>) -> Vec<(usize, Seen<'a>)> {
    cells.enumerate().filter_map(|(at, cell)| Some((at, seen(cell)?))).collect()
}

fn enter(channel: &Channel, dues: &[Due], book: &mut Book) {
    let rows = channel.token_rows();
    let owed = channel.parties.iter().zip(dues).filter(|(_, due)| **due != Due::default());
    for (party, due) in owed {
        let lock = party.payout.calc_script_hash().into();
        let fresh = || Owed { lends: true, ..Owed::default() };
        let account = book.entry(lock).or_insert_with(fresh);
        account.lends &= party.lends_fee;
        account.capacity += u128::from(due.capacity());
        let count = u128::try_from(due.tokens.len()).expect("few");
        for (place, (row, amount)) in (0u128..).zip(&due.tokens) {
            let token = &channel.tokens[rows.iter().position(|at| at == row).expect("a token row")];
            let token: [u8; 32] = token.calc_script_hash().into();
            *account.tokens.entry(token).or_default() += amount;
            // Equal parts; what does not divide goes to the first ones, a shannon each.
            let reserve = u128::from(due.reserve);
            let room = reserve / count + u128::from(place < reserve % count);
            *account.in_tokens.entry(token).or_default() += room;
        }
    }
}

/// I6: every lock gains what it is owed, in cells that it can use.
fn settle(sketch: &Sketch, book: &Book) -> Result<(), Wrong> {
    let fee = u128::try_from(sketch.fee().max(0)).expect("not negative");
    let mut lent = 0;
    for (lock, owed) in book {
        let outputs = || sketch.outputs.iter().filter(|cell| cell.lock_hash() == *lock);
        let inputs: Vec<&CellSketch> = sketch.inputs.iter().map(|input| &input.cell).collect();
        let inputs = || inputs.iter().filter(|cell| cell.lock_hash() == *lock);
        let plain = outputs().filter(|cell| cell.kind.is_none() && cell.data.is_empty());
        let mut received: u128 = plain.map(|cell| u128::from(cell.capacity)).sum();
        for (token, amount) in &owed.tokens {
            let cells = || {
                outputs().filter(|cell| cell.kind_hash() == Some(*token) && cell.data.len() == 16)
            };
            let units = |cell: &CellSketch| {
                u128::from_le_bytes(cell.data[..16].try_into().expect("16 bytes"))
            };
            let spent = inputs().filter(|cell| cell.kind_hash() == Some(*token));
            let spent: u128 = spent.map(|cell| units(cell)).sum();
            let gained: u128 = cells().map(units).sum();
            ensure(gained >= spent + amount, "I6: a payee is short of a token")?;
            let capacity: u128 = cells().map(|cell| u128::from(cell.capacity)).sum();
            received += capacity.min(owed.in_tokens[token]);
        }
        let spent: u128 = inputs().map(|cell| u128::from(cell.capacity)).sum();
        let missing = (spent + owed.capacity).saturating_sub(received);
        ensure(missing == 0 || (owed.lends && spent != 0), "I6: a payee is short")?;
        lent += missing;
    }
    ensure(lent <= fee.min(1_000_000), "I6: payees lent more than the network fee")
}
