//! A random dispute: what was agreed on, what was signed, and who does what when.
//!
//! Nothing here is checked: a paper may be of another channel, sum up to more than there is, or be
//! signed by nobody. Times are seconds since 1970, the same on both ledgers.

use std::fmt;

use perun_channel::swap::EXPIRY_END;
use perun_onchain_tests::CKB;

use crate::ledgers::Kind;
use crate::tape::Tape;

/// When the channel opens on both ledgers.
pub const OPENING: u64 = 2_000_000_000;
/// No step is later: ten years.
const LATEST: u64 = OPENING + 10 * 31_536_000;

/// One row of the channel's balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is of.
    pub kind: Kind,
    /// What everybody deposits.
    pub opening: Vec<u128>,
}

/// How one participant's signature was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As it should be.
    Good,
    /// By a key that is nobody's here.
    Stranger,
    /// For the same state of another channel.
    OtherChannel,
    /// With the larger of the two possible `s`.
    HighS,
    /// With this number added to `v`.
    V(u8),
    /// Without its last byte.
    Short,
    /// With one more byte.
    Long,
    /// 64 zeros and a 27.
    Zeros,
}

/// What happened to the list of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Nothing.
    Whole,
    /// Last first.
    Reversed,
    /// The last one is missing.
    Less,
    /// The last one stands twice.
    More,
}

/// One leg, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its row.
    pub row: u8,
    /// Who pays.
    pub from: u8,
    /// Who is paid.
    pub to: u8,
    /// When it lapses.
    pub expiry: u64,
    /// How much.
    pub amount: u128,
}

/// A state's app data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// None.
    Nothing,
    /// A swap with these legs, sound or not.
    Swap(Vec<Leg>),
    /// These bytes.
    Junk(Vec<u8>),
}

/// Amounts locked for a channel inside this one: its balances, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The balances of the inner channel.
    pub shares: Vec<Vec<u128>>,
    /// Whether whoever shows the state shows the inner channel's too.
    pub is_shown: bool,
}

/// A state with signatures, as somebody may have kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// The version.
    pub version: u64,
    /// Whether it says that it is the last.
    pub is_final: bool,
    /// Whether it names another channel.
    pub is_elsewhere: bool,
    /// Balances, row by row.
    pub balances: Vec<Vec<u128>>,
    /// App data.
    pub data: Data,
    /// What is locked.
    pub locked: Option<Locked>,
    /// The signatures.
    pub inks: Vec<Ink>,
    /// What became of their list.
    pub list: List,
}

/// How somebody wants a registered state to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Without its swap, if it has one here.
    Lapse,
    /// With the preimage.
    Claim,
    /// With something else in the place of the preimage.
    Guess,
}

/// What somebody submits. Papers are named by their position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Registers a state. On CKB by the right of this participant, or of its delegate.
    Register {
        /// The state.
        paper: usize,
        /// Whose right is used.
        by: u8,
        /// Whether it is the delegate's.
        delegate: bool,
    },
    /// Concludes with a state that should be registered.
    Conclude {
        /// The state.
        paper: usize,
        /// How.
        end: End,
    },
    /// Closes at once with a state that should be final.
    Close {
        /// The state.
        paper: usize,
    },
}

/// An act and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: u64,
    /// What.
    pub act: Act,
}

/// A channel and its history in court.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Bytes that tell this channel from others.
    pub name: Vec<u8>,
    /// How many participants.
    pub parties: usize,
    /// The challenge duration.
    pub challenge: u64,
    /// The rows, in the order of their assets.
    pub rows: Vec<Row>,
    /// What was signed. The first is the state that the channel was opened with.
    pub papers: Vec<Paper>,
    /// What is done.
    pub steps: Vec<Step>,
    /// Drawn for the judges' own questions.
    pub whim: u8,
}

impl Dispute {
    /// The dispute on this tape.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let tape = &mut Tape::new(bytes);
        let parties = if tape.one_in(8) { 3 } else { 2 };
        let challenge = tape.pick(&[86_400, 1_800, 3_600, 31_536_000]);
        let whim = tape.byte();
        let rows = rows(tape, parties);
        let mut dispute = Self {
            name: bytes.to_vec(),
            parties,
            challenge,
            rows,
            papers: Vec::new(),
            steps: Vec::new(),
            whim,
        };
        let opening = dispute.opening(tape);
        dispute.papers.push(opening);
        for _ in 0..=tape.below(3) {
            let paper = dispute.paper(tape);
            dispute.papers.push(paper);
        }
        dispute.act(tape);
        dispute
    }

    fn opening(&self, tape: &mut Tape<'_>) -> Paper {
        let (inks, list) = self.signatures(tape, 12);
        Paper {
            version: 0,
            is_final: false,
            is_elsewhere: false,
            balances: self.rows.iter().map(|row| row.opening.clone()).collect(),
            data: Data::Nothing,
            locked: None,
            inks,
            list,
        }
    }

    fn paper(&self, tape: &mut Tape<'_>) -> Paper {
        let small = u64::try_from(tape.number(1)).unwrap_or(0);
        let edges = [0, 1 << 48, (1 << 48) - 1, u64::MAX, 256, 1 << 32];
        let edge = tape.pick(&edges);
        let version = tape.pick(&[1, 2, 3, 4, 5, 2, 3, small, small, edge]);
        let is_final = tape.one_in(4);
        let mut balances: Vec<Vec<u128>> =
            self.rows.iter().map(|row| moved(tape, &row.opening)).collect();
        let locked = tape.one_in(12).then(|| self.lock(tape, &mut balances));
        let data = match tape.below(16) {
            15 => Data::Junk((0..tape.below(70)).map(|_| tape.byte()).collect()),
            // A final state can carry none; once in a while it does.
            7..15 if !is_final || tape.one_in(8) => Data::Swap(self.legs(tape, &balances)),
            _ => Data::Nothing,
        };
        let is_elsewhere = tape.one_in(32);
        if tape.one_in(24) && locked.is_none() {
            self.misshape(tape, &mut balances);
        }
        let (inks, list) = self.signatures(tape, 8);
        Paper { version, is_final, is_elsewhere, balances, data, locked, inks, list }
    }

    /// Sums that are not the channel's, or one column more or less.
    fn misshape(&self, tape: &mut Tape<'_>, balances: &mut [Vec<u128>]) {
        match tape.below(3) {
            0 => {
                let row = tape.below(balances.len());
                let sum: u128 = balances[row].iter().sum();
                balances[row][0] += tape.number(2).min(u128::MAX - sum);
            }
            1 => balances.iter_mut().for_each(|row| row.push(0)),
            _ => balances.iter_mut().for_each(|row| row.truncate(self.parties - 1)),
        }
    }

    /// Locks some of what the first participant has.
    fn lock(&self, tape: &mut Tape<'_>, balances: &mut [Vec<u128>]) -> Locked {
        let shares = balances.iter_mut().map(|row| {
            let amount = part(tape, row[0]);
            row[0] -= amount;
            split(tape, amount, self.parties)
        });
        let shares = shares.collect();
        Locked { shares, is_shown: !tape.one_in(4) }
    }

    fn legs(&self, tape: &mut Tape<'_>, balances: &[Vec<u128>]) -> Vec<Leg> {
        let mut legs = Vec::new();
        for (row, amounts) in (0u8..).zip(balances) {
            if tape.one_in(3) {
                continue;
            }
            let count = u8::try_from(self.parties).unwrap_or(2);
            let from = tape.byte() % count;
            let to = (from + 1 + tape.byte() % (count - 1)) % count;
            let has = amounts.get(usize::from(from)).copied().unwrap_or(0);
            if has == 0 && !tape.one_in(16) {
                continue;
            }
            let amount = part(tape, has).max(1);
            // Where the first window ends, and later.
            let window = OPENING + 10 + self.challenge;
            let expiry = tape.pick(&[window, window + 1, window + self.challenge, window + 500]);
            let expiry = tape.pick(&[expiry, expiry, expiry, expiry, expiry, 1, EXPIRY_END - 1]);
            legs.push(Leg { row, from, to, expiry, amount });
        }
        if tape.one_in(12) && !legs.is_empty() {
            self.spoil_legs(tape, &mut legs);
        }
        legs
    }

    fn spoil_legs(&self, tape: &mut Tape<'_>, legs: &mut Vec<Leg>) {
        let place = tape.below(legs.len());
        let leg = &mut legs[place];
        match tape.below(9) {
            0 => leg.amount = 0,
            1 => leg.amount = u128::MAX,
            2 => leg.to = leg.from,
            3 => leg.expiry = 0,
            4 => leg.expiry = EXPIRY_END,
            5 => leg.row = u8::try_from(self.rows.len()).unwrap_or(u8::MAX),
            6 => leg.to = u8::try_from(self.parties).unwrap_or(u8::MAX),
            7 => leg.expiry = u64::MAX,
            _ => {
                let twin = legs[place];
                legs.push(twin);
            }
        }
    }

    fn signatures(&self, tape: &mut Tape<'_>, one_in: usize) -> (Vec<Ink>, List) {
        let mut inks = vec![Ink::Good; self.parties];
        if !tape.one_in(one_in) {
            return (inks, List::Whole);
        }
        if tape.one_in(3) {
            let list = tape.pick(&[List::Reversed, List::Less, List::More]);
            return (inks, list);
        }
        let place = tape.below(self.parties);
        let v = tape.byte();
        inks[place] = tape.pick(&[
            Ink::Stranger,
            Ink::OtherChannel,
            Ink::HighS,
            Ink::V(1),
            Ink::V(229),
            Ink::V(v),
            Ink::Short,
            Ink::Long,
            Ink::Zeros,
        ]);
        (inks, List::Whole)
    }

    /// Draws the steps. The times are those at which something begins or ends, or a second beside.
    fn act(&mut self, tape: &mut Tape<'_>) {
        let mut now = OPENING + 10;
        let mut registered: Vec<(usize, u64)> = Vec::new();
        for position in 0..tape.pick(&[2, 1, 2, 3, 2, 3, 4, 2]) {
            let any = tape.below(self.papers.len());
            let usual = match position {
                0 => [0, 0, 0, 0, 0, 0, 0, 0, 2, 1],
                _ => [1, 1, 1, 1, 1, 0, 0, 0, 2, 1],
            };
            let kind = tape.pick(&usual);
            let paper = match (kind, registered.last()) {
                _ if tape.one_in(8) => any,
                (1, Some((last, _))) => *last,
                (2, _) => self.papers.iter().position(|paper| paper.is_final).unwrap_or(any),
                _ => any,
            };
            now = self.moment(tape, now, kind == 1, &registered);
            let act = match kind {
                0 => {
                    registered.push((paper, now));
                    let by = tape.byte() % u8::try_from(self.parties).unwrap_or(2);
                    let delegate = tape.one_in(if registered.len() > 1 { 2 } else { 12 });
                    Act::Register { paper, by, delegate }
                }
                1 => {
                    let has_swap = matches!(self.papers[paper].data, Data::Swap(_));
                    let rarely = [End::Lapse, End::Lapse, End::Lapse, End::Claim];
                    let often = [End::Lapse, End::Claim, End::Claim, End::Lapse, End::Guess];
                    Act::Conclude { paper, end: tape.pick(if has_swap { &often } else { &rarely }) }
                }
                _ => Act::Close { paper },
            };
            self.steps.push(Step { at: now, act });
        }
    }

    fn moment(
        &self,
        tape: &mut Tape<'_>,
        now: u64,
        concludes: bool,
        registered: &[(usize, u64)],
    ) -> u64 {
        let first = registered.first().map_or(now, |(_, at)| *at) + self.challenge;
        let last = registered.last().map_or(now, |(_, at)| *at) + self.challenge;
        let legs = self.papers.iter().filter_map(|paper| match &paper.data {
            Data::Swap(legs) => Some(legs.iter().map(|leg| leg.expiry)),
            _ => None,
        });
        let expiries: Vec<u64> = legs.flatten().filter(|expiry| *expiry < LATEST).collect();
        let expiry = match expiries.is_empty() {
            true => last,
            false => expiries[tape.below(expiries.len())],
        };
        let aims = match concludes {
            true => [last, last, last.max(expiry), last.max(expiry), first, now],
            false => [now, now, now, first, last, expiry],
        };
        let aim = tape.pick(&aims);
        // Before an expiry of 0 nothing is: then it is the latest moment.
        let before = aim.wrapping_sub(1);
        let beside = tape.pick(&[aim, aim, aim, aim + 1, before, aim + 5]);
        beside.clamp(now, LATEST)
    }
}

fn rows(tape: &mut Tape<'_>, parties: usize) -> Vec<Row> {
    let plain = [Kind::CkbCoin, Kind::EvmCoin];
    let mut kinds: Vec<Kind> = match tape.below(4) {
        0 | 1 => plain.to_vec(),
        _ => {
            let rare = if tape.one_in(6) { 0 } else { 1 << 7 };
            let mask = tape.byte() & !rare;
            let kinds = Kind::ALL.iter().enumerate();
            kinds.filter(|(place, _)| mask >> place & 1 == 1).map(|(_, kind)| *kind).collect()
        }
    };
    if kinds.is_empty() {
        kinds = plain.to_vec();
    }
    kinds.sort_by_key(|kind| kind.asset());
    let row = |kind: Kind| {
        let most =
            if kind == Kind::CkbCoin { u128::from(u64::MAX - 2_000 * CKB) } else { u128::MAX };
        let random = tape.number(16) % (most / 2);
        let total = tape.pick(&[100, 100, 1_000_000, 0, 1, most, most - 1, random]);
        Row { kind, opening: split(tape, total, parties) }
    };
    kinds.into_iter().map(row).collect()
}

/// A part of an amount, often all or nothing of it.
fn part(tape: &mut Tape<'_>, whole: u128) -> u128 {
    match tape.below(6) {
        0 => whole / 2,
        1 => whole,
        2 => 0,
        3 => whole.min(1),
        4 => whole.saturating_sub(1),
        _ => tape.number(8) % whole.max(1),
    }
}

fn split(tape: &mut Tape<'_>, total: u128, parties: usize) -> Vec<u128> {
    let mut left = total;
    let mut shares: Vec<u128> = (1..parties)
        .map(|_| {
            let share = part(tape, left);
            left -= share;
            share
        })
        .collect();
    shares.push(left);
    shares
}

/// Balances after one payment, or none.
fn moved(tape: &mut Tape<'_>, opening: &[u128]) -> Vec<u128> {
    let mut row = opening.to_vec();
    let from = tape.below(row.len());
    let to = (from + 1) % row.len();
    let amount = part(tape, row[from]);
    row[from] -= amount;
    row[to] += amount;
    row
}

impl fmt::Display for Dispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} participants, challenge {} s", self.parties, self.challenge)?;
        for (place, row) in self.rows.iter().enumerate() {
            writeln!(f, "  row {place}: {:?}, deposits {:?}", row.kind, row.opening)?;
        }
        for (place, paper) in self.papers.iter().enumerate() {
            write!(f, "  paper {place}: version {}, {:?}", paper.version, paper.balances)?;
            if paper.is_final {
                write!(f, ", final")?;
            }
            if paper.is_elsewhere {
                write!(f, ", of another channel")?;
            }
            match &paper.data {
                Data::Nothing => {}
                Data::Swap(legs) => write!(f, ", swap {legs:?}")?,
                Data::Junk(bytes) => write!(f, ", data {bytes:?}")?,
            }
            if let Some(locked) = &paper.locked {
                let shown = if locked.is_shown { "shown" } else { "not shown" };
                write!(f, ", locked {:?} ({shown})", locked.shares)?;
            }
            writeln!(f, ", signatures {:?} {:?}", paper.list, paper.inks)?;
        }
        for step in &self.steps {
            writeln!(f, "  {} s after the opening: {:?}", step.at - OPENING, step.act)?;
        }
        Ok(())
    }
}
