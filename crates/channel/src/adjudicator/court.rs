//! The order of the trial: match the channel cells on both sides of the transaction, judge each
//! action, then judge the payouts of all channels together.

use alloc::vec::Vec;

use super::payout::{self, Dues};
use super::{
    Action, Cell, ChannelCell, Code, MAX_CELLS, Phase, Setup, View, WitnessArgs, WitnessField,
};
use super::{consent, funding, register, settle};
use crate::hash::ckb_hash;
use crate::swap::EXPIRY_END;
use crate::{Address, ChannelId, MAX_CHALLENGE_SECS};

/// What the verdict must know of its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Env {
    /// The hash of the channel type script.
    pub channel_type: [u8; 32],
    /// The data hash of the vault lock's program.
    pub vault_code: [u8; 32],
}

/// Whether the transaction may do to its channels what it does. One run judges every channel of the
/// transaction; the first broken rule refuses the whole of it.
pub fn judge(view: &View, env: &Env) -> Result<(), Code> {
    if view.inputs.len() > MAX_CELLS || view.outputs.len() > MAX_CELLS {
        return Err(Code::TooManyCells);
    }
    let mut court = Court { view, env, dues: Dues::default(), consenting: Vec::new() };
    let spent = court.channels(view.inputs.iter().map(|input| &input.cell))?;
    let mut made = court.channels(view.outputs.iter())?;
    if spent.is_empty() && made.is_empty() {
        return Err(Code::NoChannel);
    }
    // In the order of the inputs: a shared consent refers to an earlier channel.
    for (input, cell) in &spent {
        let twin = made.iter().position(|(_, next)| next.id == cell.id);
        let continued = twin.map(|position| made.swap_remove(position));
        court.judge_spent(*input, cell, continued)?;
    }
    for (output, cell) in &made {
        court.judge_made(*output, cell)?;
    }
    if !court.dues.is_empty() {
        court.no_other_contracts(&spent)?;
    }
    payout::check(view, &court.dues)
}

/// The hash of the vault lock of one channel: the lock of its channel cell and of its vaults.
#[must_use]
pub fn vault_lock_hash(env: &Env, id: &ChannelId) -> [u8; 32] {
    /// A Molecule table of three fields: 85 bytes in all, fields at 16, 48 and 49.
    const HEADER: [u8; 16] = [85, 0, 0, 0, 16, 0, 0, 0, 48, 0, 0, 0, 49, 0, 0, 0];
    /// Found by data hash, run by the newest machine; nobody can replace it.
    const HASH_TYPE_DATA2: u8 = 4;
    const ARGS_LENGTH: [u8; 4] = [32, 0, 0, 0];
    let args = vault_args(&env.channel_type, id.as_bytes());
    ckb_hash(&[&HEADER, &env.vault_code, &[HASH_TYPE_DATA2], &ARGS_LENGTH, &args])
}

/// The whole rule of the vault lock: `group` are the spent cells under this lock, and one of them
/// must be the channel cell that the arguments commit to. Whatever else decides is the channel
/// type's matter.
pub fn vault_opens<D: AsRef<[u8]>>(
    args: &[u8],
    group: impl IntoIterator<Item = (Option<[u8; 32]>, D)>,
) -> Result<(), Code> {
    let args: &[u8; 32] = args.try_into().map_err(|_| Code::VaultArgs)?;
    let is_channel = |(kind, data): (Option<[u8; 32]>, D)| {
        let (Some(kind), Some(id)) = (kind, ChannelCell::id_in(data.as_ref())) else {
            return false;
        };
        vault_args(&kind, id) == *args
    };
    if group.into_iter().any(is_channel) { Ok(()) } else { Err(Code::VaultClosed) }
}

fn vault_args(channel_type: &[u8; 32], id: &[u8; 32]) -> [u8; 32] {
    ckb_hash(&[channel_type, id])
}

/// One trial: the transaction, and what its actions have established so far.
pub(super) struct Court<'a> {
    pub(super) view: &'a View,
    pub(super) env: &'a Env,
    /// What the channels paid by rule owe, all together.
    pub(super) dues: Dues,
    /// Who has signed this whole transaction already.
    pub(super) consenting: Vec<Address>,
}

/// A spent channel cell and what becomes of it.
pub(super) struct Spent<'a> {
    pub(super) input: usize,
    pub(super) since: u64,
    pub(super) cell: &'a Cell,
    pub(super) channel: &'a ChannelCell,
    pub(super) continued: Option<(usize, &'a Cell, ChannelCell)>,
}

impl<'a> Court<'a> {
    /// The channel cells among `cells`, in order, with their positions. Each id stands once.
    fn channels(
        &self,
        cells: impl Iterator<Item = &'a Cell>,
    ) -> Result<Vec<(usize, ChannelCell)>, Code> {
        let mut channels: Vec<(usize, ChannelCell)> = Vec::new();
        for (position, cell) in cells.enumerate() {
            if cell.kind != Some(self.env.channel_type) {
                continue;
            }
            if usize::try_from(cell.data_length) != Ok(cell.data.len()) {
                return Err(Code::CellData);
            }
            let channel = ChannelCell::from_data(&cell.data)?;
            if channels.iter().any(|(_, other)| other.id == channel.id) {
                return Err(Code::DuplicateChannel);
            }
            channels.push((position, channel));
        }
        Ok(channels)
    }

    /// Refuses contracts beside channels that are paid by rule: one of them, another version of
    /// this script among them, could claim the same output for the same payee. Every typed cell
    /// must be a channel cell, or hold a token of a row that is paid; spent tokens come from vaults
    /// of channels, go to payees that are owed them, and none is made or burnt. A row of a puppet's
    /// channel can name any contract as its token, so its cells must be what a token's are.
    fn no_other_contracts(&self, spent: &[(usize, ChannelCell)]) -> Result<(), Code> {
        let View { inputs, outputs, .. } = self.view;
        let vault_lock = |lock: &[u8; 32]| {
            let mut channels = spent.iter().filter_map(|(input, _)| inputs.get(*input));
            channels.any(|channel| channel.cell.lock == *lock)
        };
        let mut balance: Vec<([u8; 32], u128, u128)> =
            self.dues.tokens().iter().map(|token| (*token, 0, 0)).collect();
        let made = outputs.iter().map(|cell| (cell, false));
        for (cell, is_input) in inputs.iter().map(|input| (&input.cell, true)).chain(made) {
            let Some(kind) = cell.kind.filter(|kind| *kind != self.env.channel_type) else {
                continue;
            };
            let entry = balance.iter_mut().find(|(token, ..)| *token == kind);
            let (Some((_, taken, given)), Some(amount)) = (entry, cell.token_amount()) else {
                return Err(Code::OtherContract);
            };
            let belongs = match is_input {
                true => vault_lock(&cell.lock),
                false => amount != 0 && cell.data_length == 16 && self.dues.owes(&cell.lock, &kind),
            };
            if !belongs {
                return Err(Code::OtherContract);
            }
            let side = if is_input { taken } else { given };
            *side = side.checked_add(amount).ok_or(Code::Overflow)?;
        }
        if balance.iter().all(|(_, taken, given)| taken == given) {
            Ok(())
        } else {
            Err(Code::OtherContract)
        }
    }

    fn action(&self, index: usize, field: WitnessField, id: ChannelId) -> Result<Action, Code> {
        let witness = self.view.witnesses.get(index).ok_or(Code::Witness)?;
        let bytes = WitnessArgs::field(witness, field).ok_or(Code::Witness)?;
        let action = Action::read(bytes)?;
        if action.setup().id() == id { Ok(action) } else { Err(Code::ChannelId) }
    }

    fn judge_spent(
        &mut self,
        input: usize,
        channel: &ChannelCell,
        continued: Option<(usize, ChannelCell)>,
    ) -> Result<(), Code> {
        let view = self.view;
        let source = view.inputs.get(input).ok_or(Code::NoChannel)?;
        let action = self.action(input, WitnessField::InputType, channel.id)?;
        let continued = match continued {
            Some((output, next)) => {
                let cell = view.outputs.get(output).ok_or(Code::NoChannel)?;
                if cell.lock != source.cell.lock {
                    return Err(Code::ChannelLock);
                }
                Some((output, cell, next))
            }
            None => None,
        };
        let spent = Spent { input, since: source.since, cell: &source.cell, channel, continued };
        match (action, channel.phase) {
            (Action::CoopSpend { setup, consents }, _) => {
                consent::check(self, &spent, &setup, &consents)
            }
            (Action::Fund { setup, body }, Phase::Funding) => {
                funding::fund(self, &spent, &setup, body)
            }
            (Action::AbortFunding { setup, body }, Phase::Funding) => {
                funding::abort(self, &spent, &setup, body)
            }
            (Action::Register { setup, body, slot, signatures }, Phase::Open | Phase::Disputed) => {
                register::check(self, &spent, &setup, body, slot, &signatures)
            }
            (Action::Conclude { setup, body, decision }, Phase::Disputed) => {
                settle::conclude(self, &spent, &setup, body, decision.as_ref())
            }
            (Action::Withdraw { setup, body }, Phase::Concluded) => {
                settle::withdraw(self, &spent, &setup, body)
            }
            (Action::CloseFinal { setup, body, signatures }, Phase::Open | Phase::Disputed) => {
                settle::close_final(self, &spent, &setup, body, &signatures)
            }
            _ => Err(Code::WrongAction),
        }
    }

    fn judge_made(&self, output: usize, channel: &ChannelCell) -> Result<(), Code> {
        match self.action(output, WitnessField::OutputType, channel.id)? {
            Action::Create { setup, body } => funding::create(self, output, channel, &setup, body),
            _ => Err(Code::WrongAction),
        }
    }

    /// Refuses unless the spent cells under this channel's lock, besides the channel cell itself,
    /// are exactly one vault per expected token with exactly the expected amount.
    pub(super) fn vaults_spent(
        &self,
        spent: &Spent<'_>,
        expected: impl Iterator<Item = ([u8; 32], u128)>,
    ) -> Result<(), Code> {
        let cells = self.view.inputs.iter().enumerate().filter_map(|(index, input)| {
            (index != spent.input && input.cell.lock == spent.cell.lock).then_some(&input.cell)
        });
        let expected = expected.map(|(token, amount)| (token, amount, None));
        exactly(cells, expected.collect(), Code::VaultInputs)
    }

    /// The same for cells made, whose capacities are expected too. `output` is the channel cell.
    pub(super) fn vaults_made(
        &self,
        lock: &[u8; 32],
        output: Option<usize>,
        expected: impl Iterator<Item = ([u8; 32], u128, u64)>,
    ) -> Result<(), Code> {
        let cells = self.view.outputs.iter().enumerate().filter_map(|(index, cell)| {
            (Some(index) != output && cell.lock == *lock).then_some(cell)
        });
        let expected = expected.map(|(token, amount, capacity)| (token, amount, Some(capacity)));
        exactly(cells, expected.collect(), Code::VaultOutputs)
    }
}

impl View {
    /// Whether the chain let this transaction in only because its clock has reached `seconds` since
    /// 1970: some input asks it to wait that long in absolute time, and not so long that nodes,
    /// which multiply the number, could mistake it for a shorter wait.
    pub(super) fn proves_time(&self, seconds: u64) -> bool {
        /// Absolute, measured by median timestamp: the top byte of `since`.
        const ABSOLUTE_TIMESTAMP: u64 = 0x40;
        self.inputs.iter().any(|input| {
            let (metric, value) = split_since(input.since);
            metric == ABSOLUTE_TIMESTAMP && (seconds..EXPIRY_END).contains(&value)
        })
    }
}

/// What a time lock counts, and how much of it.
const fn split_since(since: u64) -> (u64, u64) {
    (since >> 56, since & 0x00ff_ffff_ffff_ffff)
}

impl Spent<'_> {
    /// The continuing cell, for actions that make one.
    pub(super) fn continued(&self) -> Result<(usize, &Cell, &ChannelCell), Code> {
        match &self.continued {
            Some((output, cell, next)) => Ok((*output, cell, next)),
            None => Err(Code::WrongAction),
        }
    }

    /// Refuses unless the input asks the chain to wait at least `seconds` since the cell was made,
    /// and no longer than any channel may ask: nodes multiply the value.
    pub(super) fn waited(&self, seconds: u64) -> Result<(), Code> {
        /// Relative, measured by median timestamp: the top byte of `since`.
        const RELATIVE_TIMESTAMP: u64 = 0xc0;
        let (metric, value) = split_since(self.since);
        let in_range = (seconds..=MAX_CHALLENGE_SECS).contains(&value);
        if metric == RELATIVE_TIMESTAMP && in_range { Ok(()) } else { Err(Code::Since) }
    }

    /// Refuses unless `state_hash` is what the cell stores.
    pub(super) fn stores(&self, state_hash: &[u8; 32]) -> Result<(), Code> {
        if self.channel.state_hash == *state_hash { Ok(()) } else { Err(Code::StateDigest) }
    }
}

/// An expected vault: token, amount and, where it matters, capacity. Tokens of one channel differ.
type Vault = ([u8; 32], u128, Option<u64>);

fn exactly<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    mut expected: Vec<Vault>,
    refusal: Code,
) -> Result<(), Code> {
    for cell in cells {
        let vault = expected.iter().position(|(token, ..)| cell.kind == Some(*token));
        let (_, amount, capacity) = expected.swap_remove(vault.ok_or(refusal)?);
        let exact = cell.data_length == 16
            && cell.token_amount() == Some(amount)
            && capacity.is_none_or(|capacity| capacity == cell.capacity);
        if !exact {
            return Err(refusal);
        }
    }
    if expected.is_empty() { Ok(()) } else { Err(refusal) }
}

/// The vaults of a channel that holds `amount(row)` of each token.
pub(super) fn vaults<'a>(
    setup: &'a Setup,
    amount: impl Fn(usize) -> Option<u128> + Clone + 'a,
) -> impl Iterator<Item = ([u8; 32], u128, u64)> + Clone + 'a {
    // A missing amount cannot match any cell: vaults of 2^128 - 1 units cannot be filled.
    setup.token_rows().map(move |(row, token, terms)| {
        (token, amount(row).unwrap_or(u128::MAX), terms.vault_capacity)
    })
}
