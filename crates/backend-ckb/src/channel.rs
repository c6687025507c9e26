//! One channel as the chain side knows it: what was agreed, and the live cells that hold it.
//!
//! A [`Contract`] is what a house must keep to leave a channel without its peer; a [`LiveChannel`]
//! is what the chain holds now, and is read anew whenever it is needed. The invariant: a contract's
//! payout scripts are the ones whose hashes the channel's id binds.

use crate::Error;
use crate::deployment::Deployment;
use crate::money::{capacity_of, script_hash, token_in};
use crate::rpc::{Cell, Rpc, SearchKey};
use ckb_types::{
    bytes::Bytes,
    core::ScriptHashType,
    packed::{OutPoint, Script},
    prelude::*,
};
use perun_channel::adjudicator::{ChannelCell, Row, Setup};
use perun_channel::codec::{self, Decode, DecodeError, Encode, Reader};
use perun_channel::{ChannelId, MAX_PARTICIPANTS};

/// Most bytes of a script's arguments that are taken from others. The largest in use have 65.
pub const SCRIPT_ARGS_MAX: usize = 1_024;

/// What the parties of a channel agreed on, with the scripts that payouts go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    setup: Setup,
    payouts: Vec<Script>,
}

impl Contract {
    /// A contract, if the scripts are those that the setup names by hash, in order.
    pub fn new(setup: Setup, payouts: Vec<Script>) -> Result<Self, Error> {
        let named = setup.identities().iter().map(|identity| identity.payout_lock);
        for (position, hash) in named.enumerate() {
            if payouts.get(position).map(script_hash) != Some(hash) {
                return Err(Error::ScriptUnknown(hash));
            }
        }
        if payouts.len() != setup.identities().len() {
            return Err(Error::Malformed("list of payout scripts"));
        }
        Ok(Self { setup, payouts })
    }

    /// The setup.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The scripts that payouts go to, one per participant.
    #[must_use]
    pub fn payouts(&self) -> &[Script] {
        &self.payouts
    }

    /// The channel's id.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.setup.id()
    }

    /// The token rows: position, type script hash, row.
    pub(crate) fn token_rows(&self) -> impl Iterator<Item = (usize, [u8; 32], &Row)> {
        let rows = self.setup.rows().iter().enumerate();
        rows.filter_map(|(position, row)| Some((position, row.token()?, row)))
    }

    /// The capacity of all vaults together.
    pub(crate) fn vault_capacities(&self) -> Result<u64, Error> {
        crate::money::sum(self.setup.rows().iter().map(|row| row.vault_capacity))
    }
}

impl Encode for Contract {
    fn encode(&self, out: &mut Vec<u8>) {
        self.setup.encode(out);
        self.payouts.iter().for_each(|script| put_script(out, script));
    }
}

impl Decode for Contract {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let setup = Setup::decode(reader)?;
        let count = setup.identities().len().min(MAX_PARTICIPANTS);
        let payouts = (0..count).map(|_| read_script(reader)).collect::<Result<_, _>>()?;
        Self::new(setup, payouts).map_err(|_| DecodeError::UnknownTag)
    }
}

/// The live cells of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveChannel {
    cell: Cell,
    contents: ChannelCell,
    vaults: Vec<(usize, Cell)>,
}

impl LiveChannel {
    /// The channel with this cell and these vaults, by asset row.
    pub fn new(
        deployment: &Deployment,
        id: &ChannelId,
        cell: Cell,
        vaults: Vec<(usize, Cell)>,
    ) -> Result<Self, Error> {
        let lock = deployment.vault_lock_script(id);
        let contents = contents(deployment, &cell).filter(|contents| contents.id == *id);
        let contents = contents.ok_or(Error::WrongCells(*id))?;
        let locked = |cell: &Cell| cell.output.lock().as_slice() == lock.as_slice();
        if !locked(&cell) || !vaults.iter().all(|(_, vault)| locked(vault)) {
            return Err(Error::WrongCells(*id));
        }
        Ok(Self { cell, contents, vaults })
    }

    /// Reads the channel's committed cells from a node's index. Each is asked for by all that is
    /// known of it: whoever fills the channel's lock with cells of other kinds hides none of these.
    pub fn find(
        rpc: &dyn Rpc,
        deployment: &Deployment,
        contract: &Contract,
    ) -> Result<Self, Error> {
        let under_lock = SearchKey::lock(deployment.vault_lock_script(&contract.id()));
        let one = |key: &SearchKey| -> Result<Option<Cell>, Error> {
            Ok(rpc.cells(key, None, 1)?.rows.into_iter().map(|row| row.cell).next())
        };
        let channel = one(&under_lock.clone().and(deployment.channel_type_script()))?;
        let mut cells: Vec<Cell> = channel.into_iter().collect();
        for (_, token, terms) in contract.token_rows() {
            let kind = deployment.token(&token)?.script.clone();
            let amount = Bytes::copy_from_slice(&terms.total.get().to_le_bytes());
            let key = under_lock.clone().and(kind).holding(terms.vault_capacity, amount);
            cells.extend(one(&key)?);
        }
        Self::among(deployment, contract, &cells)
    }

    /// The channel's cells among all those under its lock, of which others may have made some.
    pub fn among(
        deployment: &Deployment,
        contract: &Contract,
        cells: &[Cell],
    ) -> Result<Self, Error> {
        let id = contract.id();
        let channel = cells.iter().find_map(|cell| {
            let contents = contents(deployment, cell)?;
            (contents.id == id).then_some(cell)
        });
        let cell = channel.ok_or(Error::ChannelGone(id))?;
        let mut vaults = Vec::new();
        for (row, token, terms) in contract.token_rows() {
            let holds = |cell: &&Cell| {
                token_in(cell) == Some((token, terms.total.get()))
                    && capacity_of(&cell.output) == terms.vault_capacity
            };
            if let Some(vault) = cells.iter().find(holds) {
                vaults.push((row, vault.clone()));
            }
        }
        Self::new(deployment, &id, cell.clone(), vaults)
    }

    /// The channel cell.
    #[must_use]
    pub const fn cell(&self) -> &Cell {
        &self.cell
    }

    /// What the channel cell says.
    #[must_use]
    pub const fn contents(&self) -> &ChannelCell {
        &self.contents
    }

    /// The vault of an asset row.
    pub fn vault(&self, row: usize) -> Result<&Cell, Error> {
        let vault = self.vaults.iter().find(|(position, _)| *position == row);
        vault.map(|(_, cell)| cell).ok_or(Error::WrongCells(self.contents.id))
    }

    /// The vaults, by asset row.
    #[must_use]
    pub fn vaults(&self) -> &[(usize, Cell)] {
        &self.vaults
    }

    /// The out points of the channel cell and the vaults.
    pub fn out_points(&self) -> impl Iterator<Item = &OutPoint> {
        let vaults = self.vaults.iter().map(|(_, cell)| &cell.out_point);
        std::iter::once(&self.cell.out_point).chain(vaults)
    }
}

/// What a cell says of its channel, if it is a channel cell.
#[must_use]
pub fn contents(deployment: &Deployment, cell: &Cell) -> Option<ChannelCell> {
    let kind = cell.output.type_().to_opt()?;
    if kind.as_slice() != deployment.channel_type_script().as_slice() {
        return None;
    }
    ChannelCell::from_data(&cell.data).ok()
}

/// A participant's or an asset row's bit among the marks.
pub(crate) fn mark(position: usize) -> u32 {
    u32::try_from(position).ok().and_then(|position| 1u32.checked_shl(position)).unwrap_or(0)
}

pub(crate) fn put_script(out: &mut Vec<u8>, script: &Script) {
    out.extend_from_slice(script.code_hash().as_slice());
    out.extend_from_slice(script.hash_type().as_slice());
    codec::put_bytes(out, &script.args().raw_data());
}

pub(crate) fn read_script(reader: &mut Reader<'_>) -> Result<Script, DecodeError> {
    let code_hash: [u8; 32] = reader.array()?;
    let hash_type = ScriptHashType::try_from(reader.u8()?).map_err(|_| DecodeError::UnknownTag)?;
    let args = reader.bytes(SCRIPT_ARGS_MAX)?;
    Ok(Script::new_builder()
        .code_hash(code_hash.pack())
        .hash_type(hash_type)
        .args(Bytes::from(args))
        .build())
}
