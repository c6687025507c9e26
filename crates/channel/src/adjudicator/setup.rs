//! What a channel on a cell ledger is made of: its participants' locks and reserves, its assets and
//! their totals. Everything here is bound into the channel's id, through the participants and the
//! nonce.

use alloc::vec::Vec;

use super::Code;
use super::MIN_CHANNEL_CAPACITY;
use crate::allocation::read_matrix;
use crate::codec::{self, Decode, DecodeError, Encode, Reader};
use crate::hash::ckb_hash;
use crate::transition::TransitionRefusal;
use crate::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, MAX_ASSETS, MAX_CHALLENGE_SECS,
    MAX_DATA, MAX_LOCKED, MAX_PARTICIPANTS, MIN_CHALLENGE_SECS, Params, Participant, State,
    SubAlloc, Swap, Version, transition,
};

/// The smallest reserve of a participant, in shannons: what a plain payout cell occupies, so that
/// any share, however small, can be paid out and none is forfeited.
pub const MIN_RESERVE: u64 = 61 * 100_000_000;

const IDENTITY_FORMAT: u8 = 1;
/// Signatures are ECDSA over secp256k1 in Ethereum's form. Other kinds will get other numbers.
const AUTH_ETHEREUM: u8 = 0;

/// A participant's identity on CKB: where it is paid, who owns the share, and what it keeps in
/// reserve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CkbParticipant {
    /// Whether an input under `owner_lock` counts as consent of this participant to whatever the
    /// transaction does with the channel. For owners that cannot sign with a session key; off
    /// otherwise, and wrong for locks that do not sign the whole transaction.
    pub consents_by_presence: bool,
    /// Whether inputs under `payout_lock` may pay the network fee of a settlement. Right for locks
    /// that sign the whole transaction, wrong for anyone-can-pay locks and their like.
    pub lends_fee: bool,
    /// The hash of the lock script that payouts go to.
    pub payout_lock: [u8; 32],
    /// The hash of the lock script that owns the share.
    pub owner_lock: [u8; 32],
    /// Capacity in shannons that this participant adds for the cells, returned by every exit.
    pub reserve: u64,
}

impl CkbParticipant {
    /// The identity as it stands in the channel's parameters.
    #[must_use]
    pub fn to_foreign(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(75);
        let flags = u8::from(self.consents_by_presence) | (u8::from(self.lends_fee) << 1);
        out.extend_from_slice(&[IDENTITY_FORMAT, AUTH_ETHEREUM, flags]);
        out.extend_from_slice(&self.payout_lock);
        out.extend_from_slice(&self.owner_lock);
        out.extend_from_slice(&self.reserve.to_le_bytes());
        out
    }

    /// Reads an identity.
    pub fn from_foreign(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != [IDENTITY_FORMAT, AUTH_ETHEREUM] {
            return Err(DecodeError::UnknownTag);
        }
        let flags = reader.u8()?;
        if flags > 0b11 {
            return Err(DecodeError::UnknownTag);
        }
        let payout_lock = reader.array()?;
        let owner_lock = reader.array()?;
        let reserve = reader.u64()?;
        reader.finish()?;
        Ok(Self {
            consents_by_presence: flags & 0b01 != 0,
            lends_fee: flags & 0b10 != 0,
            payout_lock,
            owner_lock,
            reserve,
        })
    }
}

/// One asset of a channel and how much of it the channel holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The asset.
    pub asset: Asset,
    /// All participants' shares together.
    pub total: Amount,
    /// For a token on this ledger: the capacity of its vault cell, in shannons. Else zero.
    pub vault_capacity: u64,
}

impl Row {
    const COIN: u8 = 0;
    const TOKEN: u8 = 1;
    const FOREIGN: u8 = 2;

    /// The token's type script hash, if the row is a token of this ledger.
    #[must_use]
    pub fn token(&self) -> Option<[u8; 32]> {
        self.asset.ckb_type_hash()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if self.asset.is_ckb_coin() {
            out.push(Self::COIN);
        } else if let Some(type_hash) = self.token() {
            out.push(Self::TOKEN);
            out.extend_from_slice(&type_hash);
            out.extend_from_slice(&self.vault_capacity.to_le_bytes());
        } else {
            out.push(Self::FOREIGN);
            self.asset.encode(out);
        }
        self.total.encode(out);
    }

    fn decode(reader: &mut Reader<'_>, chain: u64) -> Result<Self, DecodeError> {
        let (asset, vault_capacity) = match reader.u8()? {
            Self::COIN => (Asset::ckb(chain), 0),
            Self::TOKEN => (Asset::ckb_token(chain, &reader.array()?), reader.u64()?),
            Self::FOREIGN => {
                let asset = Asset::decode(reader)?;
                if asset.backend() == BackendId::CKB {
                    // Assets of CKB have a tag of their own; this would be a second spelling.
                    return Err(DecodeError::UnknownTag);
                }
                (asset, 0)
            }
            _ => return Err(DecodeError::UnknownTag),
        };
        Ok(Self { asset, total: Amount::decode(reader)?, vault_capacity })
    }
}

/// The setup of one channel on a cell ledger. It exists only checked, with its parameters and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    origin: [u8; 32],
    chain: u64,
    rows: Vec<Row>,
    identities: Vec<CkbParticipant>,
    params: Params,
}

impl Setup {
    /// Checks a setup. `origin` is [`origin`] of the creating transaction, `chain` the number of
    /// this ledger in signed assets.
    pub fn new(
        origin: [u8; 32],
        chain: u64,
        challenge_secs: u64,
        participants: Vec<Participant>,
        rows: Vec<Row>,
    ) -> Result<Self, Code> {
        if !(MIN_CHALLENGE_SECS..=MAX_CHALLENGE_SECS).contains(&challenge_secs) {
            return Err(Code::Challenge);
        }
        let identities = participants
            .iter()
            .map(|participant| CkbParticipant::from_foreign(participant.foreign()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Code::ForeignIdentity)?;
        check_rows(&rows, chain)?;
        check_rent(&identities, &rows)?;
        let nonce = nonce(&origin, chain, &rows);
        let params =
            Params::new(challenge_secs, nonce, participants).map_err(|_| Code::Participants)?;
        Ok(Self { origin, chain, rows, identities, params })
    }

    /// What makes this channel unique: a hash of the creating transaction's first input.
    #[must_use]
    pub const fn origin(&self) -> &[u8; 32] {
        &self.origin
    }

    /// The number of this ledger in signed assets.
    #[must_use]
    pub const fn chain(&self) -> u64 {
        self.chain
    }

    /// The assets in order, with their totals.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The participants' identities on this ledger, in order.
    #[must_use]
    pub fn identities(&self) -> &[CkbParticipant] {
        &self.identities
    }

    /// The channel's parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The channel's id.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.params.id()
    }

    /// The signing addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.params.participants().iter().map(Participant::address)
    }

    /// The bitmap of token rows: the rows that can be left unpaid.
    #[must_use]
    pub fn token_mask(&self) -> u32 {
        self.token_rows().fold(0, |mask, (row, _, _)| mask | row_mark(row))
    }

    /// The token rows: position, type script hash, row.
    pub(super) fn token_rows(&self) -> impl Iterator<Item = (usize, [u8; 32], &Row)> + Clone {
        let positioned = self.rows.iter().enumerate();
        positioned.filter_map(|(position, row)| row.token().map(|token| (position, token, row)))
    }

    /// The position of the native coin's row, if the channel has one.
    pub(super) fn coin_row(&self) -> Option<usize> {
        self.rows.iter().position(|row| row.asset.is_ckb_coin())
    }

    /// The whole state that a witness's body stands for, if it can be a state of this channel.
    pub fn state(&self, body: StateBody) -> Result<State, Code> {
        let assets = self.rows.iter().map(|row| row.asset.clone()).collect();
        let outcome =
            Allocation::new(assets, body.balances, body.locked).map_err(|_| Code::StateShape)?;
        if !outcome.locked().is_empty() {
            return Err(Code::LockedUnsupported);
        }
        let totals = outcome.totals().map_err(|_| Code::Overflow)?;
        if !totals.iter().eq(self.rows.iter().map(|row| &row.total)) {
            return Err(Code::StateTotals);
        }
        let state = State::new(self.id(), body.version, outcome, body.data, body.is_final)
            .map_err(|_| Code::StateShape)?;
        transition::check_state(&self.params, &state).map_err(|refusal| match refusal {
            TransitionRefusal::Swap(_) => Code::Swap,
            _ => Code::StateShape,
        })?;
        Ok(state)
    }

    /// From when on the legs of the state's swap on this ledger may lapse, in seconds since 1970;
    /// none if no leg is on this ledger, so that there is nothing to decide.
    pub fn expiry(&self, state: &State) -> Result<Option<u64>, Code> {
        let swap = Swap::pending(state).map_err(|_| Code::Swap)?;
        Ok(swap.and_then(|swap| swap.expiry(state.outcome(), is_native)))
    }

    /// What the state pays on this ledger: its balances, with the legs of its swap on this ledger
    /// moved if they are `claimed`. Rows of other ledgers stay as they are.
    pub fn outcome(&self, state: &State, claimed: bool) -> Result<Allocation, Code> {
        let swap = Swap::pending(state).map_err(|_| Code::Swap)?;
        match swap.filter(|_| claimed) {
            Some(swap) => swap.applied(state.outcome(), is_native).map_err(|_| Code::Swap),
            None => Ok(state.outcome().clone()),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Code> {
        let malformed = |_| Code::Witness;
        let origin = reader.array().map_err(malformed)?;
        let chain = reader.u64().map_err(malformed)?;
        let challenge_secs = reader.u64().map_err(malformed)?;
        let participants = reader.list(MAX_PARTICIPANTS).map_err(malformed)?;
        let count = reader.length(MAX_ASSETS).map_err(malformed)?;
        let rows = (0..count)
            .map(|_| Row::decode(reader, chain))
            .collect::<Result<_, _>>()
            .map_err(malformed)?;
        Self::new(origin, chain, challenge_secs, participants, rows)
    }
}

impl Encode for Setup {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.origin);
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.params.challenge_secs().to_le_bytes());
        codec::put_list(out, self.params.participants());
        codec::put_length(out, self.rows.len());
        self.rows.iter().for_each(|row| row.encode(out));
    }
}

impl Decode for Setup {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(reader).map_err(|_| DecodeError::UnknownTag)
    }
}

/// The part of a state that the setup does not already say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBody {
    /// The state's number.
    pub version: Version,
    /// Whether it is the last.
    pub is_final: bool,
    /// `[asset][participant]`.
    pub balances: Vec<Vec<Amount>>,
    /// Locked entries.
    pub locked: Vec<SubAlloc>,
    /// App data.
    pub data: Vec<u8>,
}

impl StateBody {
    /// The body of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self {
            version: state.version(),
            is_final: state.is_final(),
            balances: state.outcome().balances().to_vec(),
            locked: state.outcome().locked().to_vec(),
            data: state.data().to_vec(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.get().to_le_bytes());
        out.push(u8::from(self.is_final));
        self.balances.iter().flatten().for_each(|amount| amount.encode(out));
        codec::put_list(out, &self.locked);
        codec::put_bytes(out, &self.data);
    }

    /// Reads a body; the matrix has the setup's rows and columns.
    pub(super) fn decode(reader: &mut Reader<'_>, setup: &Setup) -> Result<Self, DecodeError> {
        let version = Version::new(reader.u64()?);
        let is_final = reader.flag()?;
        let columns = setup.params.participants().len();
        let balances = read_matrix(reader, setup.rows.len(), columns)?;
        let locked = reader.list(MAX_LOCKED)?;
        let data = reader.bytes(MAX_DATA)?;
        Ok(Self { version, is_final, balances, locked, data })
    }
}

/// The origin of the channel whose cell is output `output` of the transaction with this first
/// input. An out point is spent once on one chain, so no two channels share an origin.
#[must_use]
pub fn origin(first_input: &[u8; 44], output: usize) -> [u8; 32] {
    let index = u64::try_from(output).unwrap_or(u64::MAX);
    ckb_hash(&[first_input, &index.to_le_bytes()])
}

/// The nonce binds the origin and the rows into the channel's parameters, hence into every
/// signature.
fn nonce(origin: &[u8; 32], chain: u64, rows: &[Row]) -> [u8; 32] {
    let mut terms = Vec::new();
    codec::put_length(&mut terms, rows.len());
    rows.iter().for_each(|row| row.encode(&mut terms));
    ckb_hash(&[b"perun channel nonce 1", origin, &chain.to_le_bytes(), &terms])
}

/// The mark of an asset row in a bitmap; rows are at most [`MAX_ASSETS`].
pub(super) fn row_mark(row: usize) -> u32 {
    u32::try_from(row).ok().and_then(|row| 1u32.checked_shl(row)).unwrap_or(0)
}

/// Whether this ledger pays the asset. A setup has no assets of another chain of its kind.
fn is_native(asset: &Asset) -> bool {
    asset.backend() == BackendId::CKB
}

fn check_rows(rows: &[Row], chain: u64) -> Result<(), Code> {
    let ascending = rows.iter().zip(rows.iter().skip(1)).all(|(one, next)| one.asset < next.asset);
    let known = rows.iter().all(|row| {
        let on_ckb = row.asset.backend() == BackendId::CKB;
        let named = row.asset.is_ckb_coin() || row.token().is_some();
        let vault_fits = (row.vault_capacity != 0) == row.token().is_some();
        vault_fits && (!on_ckb || (named && row.asset.chain() == chain))
    });
    if rows.is_empty() || !ascending || !known { Err(Code::Rows) } else { Ok(()) }
}

fn check_rent(identities: &[CkbParticipant], rows: &[Row]) -> Result<(), Code> {
    if identities.iter().any(|identity| identity.reserve < MIN_RESERVE) {
        return Err(Code::Reserve);
    }
    let sum = |total: u64, capacity: u64| total.checked_add(capacity).ok_or(Code::Overflow);
    let reserves = identities.iter().try_fold(0, |total, owner| sum(total, owner.reserve))?;
    let vaults = rows.iter().try_fold(0, |total, row| sum(total, row.vault_capacity))?;
    let rent = vaults.checked_add(MIN_CHANNEL_CAPACITY).ok_or(Code::Overflow)?;
    // With tokens, a settlement may leave cells behind; what every payee needs for a plain cell is
    // then not touched.
    let untouched = if vaults == 0 { 0 } else { MIN_RESERVE };
    let untouched = identities.iter().try_fold(0, |total, _| sum(total, untouched))?;
    if reserves.saturating_sub(untouched) < rent { Err(Code::Rent) } else { Ok(()) }
}
