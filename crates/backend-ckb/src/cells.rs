//! The wallet's book of cells: what is free, and what is promised to a transaction.
//!
//! [`free_cells`] asks the node, within bounds; [`Reservations`] remembers, and can be stored. The
//! invariant: between two builds that go through one book, no cell is taken twice.

use crate::Error;
use crate::deployment::Deployment;
use crate::money::{is_plain, token_in};
use crate::rpc::{Cell, Rpc, SearchKey};
use ckb_types::{
    packed::{OutPoint, Script},
    prelude::*,
};
use perun_channel::codec::{Decode, DecodeError, Encode, Reader};
use std::collections::BTreeMap;

/// Cells asked for at once.
pub const PAGE: u32 = 200;

/// Most pages that one look at a wallet reads: 20,000 cells.
pub const PAGES_MAX: usize = 100;

/// Most cells that are reserved at one time.
pub const RESERVED_MAX: usize = 65_536;

/// One promise of cells to one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Which cells are promised to which transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    next: u64,
    taken: BTreeMap<[u8; 36], Ticket>,
}

impl Reservations {
    /// Promises these cells; all or none.
    pub fn reserve<'a>(
        &mut self,
        cells: impl IntoIterator<Item = &'a OutPoint>,
    ) -> Result<Ticket, Error> {
        let cells: Vec<(&OutPoint, [u8; 36])> =
            cells.into_iter().map(|cell| (cell, place(cell))).collect();
        for (cell, place) in &cells {
            if self.taken.contains_key(place) {
                return Err(Error::Reserved((*cell).clone()));
            }
        }
        if self.taken.len().saturating_add(cells.len()) > RESERVED_MAX {
            return Err(Error::BookFull { limit: RESERVED_MAX });
        }
        let ticket = Ticket(self.next);
        self.next = self.next.checked_add(1).ok_or(Error::BookFull { limit: RESERVED_MAX })?;
        self.taken.extend(cells.into_iter().map(|(_, place)| (place, ticket)));
        Ok(ticket)
    }

    /// Ends a promise: the transaction was given up, or it is committed and its cells are gone.
    /// Until one of both is certain the promise must stand.
    pub fn release(&mut self, ticket: Ticket) -> Result<(), Error> {
        let before = self.taken.len();
        self.taken.retain(|_, holder| *holder != ticket);
        if self.taken.len() == before { Err(Error::ReservationUnknown) } else { Ok(()) }
    }

    /// Whether a cell is promised.
    #[must_use]
    pub fn holds(&self, cell: &OutPoint) -> bool {
        self.taken.contains_key(&place(cell))
    }

    /// The promises that stand.
    pub fn tickets(&self) -> impl Iterator<Item = Ticket> + '_ {
        let unique: std::collections::BTreeSet<Ticket> = self.taken.values().copied().collect();
        unique.into_iter()
    }
}

impl Encode for Reservations {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
        let count = u32::try_from(self.taken.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for (place, ticket) in &self.taken {
            out.extend_from_slice(place);
            out.extend_from_slice(&ticket.0.to_le_bytes());
        }
    }
}

impl Decode for Reservations {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let next = reader.u64()?;
        let count = reader.u32()?;
        if usize::try_from(count).map_or(true, |count| count > RESERVED_MAX) {
            return Err(DecodeError::TooLong);
        }
        let mut taken = BTreeMap::new();
        for _ in 0..count {
            let place: [u8; 36] = reader.array()?;
            let ticket = Ticket(reader.u64()?);
            let ascending = taken.last_key_value().is_none_or(|(last, _)| *last < place);
            if !ascending || ticket.0 >= next {
                return Err(DecodeError::UnknownTag);
            }
            taken.insert(place, ticket);
        }
        Ok(Self { next, taken })
    }
}

fn place(cell: &OutPoint) -> [u8; 36] {
    // An out point is 36 bytes by its type.
    cell.as_slice().try_into().unwrap_or([0; 36])
}

/// The committed cells under a lock that a transaction may take: plain money and known tokens, not
/// promised to another one. The oldest are first.
pub fn free_cells(
    rpc: &dyn Rpc,
    deployment: &Deployment,
    lock: &Script,
    reserved: &Reservations,
) -> Result<Vec<Cell>, Error> {
    let key = SearchKey::lock(lock.clone());
    let mut cells = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = rpc.cells(&key, after.as_ref(), PAGE)?;
        let usable = page.rows.into_iter().map(|row| row.cell).filter(|cell| {
            let known = |(token, _)| deployment.token(&token).is_ok();
            (is_plain(cell) || token_in(cell).is_some_and(known))
                && !reserved.holds(&cell.out_point)
        });
        cells.extend(usable);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(index: u32) -> OutPoint {
        OutPoint::new(ckb_types::packed::Byte32::default(), index)
    }

    #[test]
    fn a_cell_is_promised_once_until_it_is_released() {
        let mut book = Reservations::default();
        let first = book.reserve([&cell(1), &cell(2)]).unwrap();
        assert_eq!(book.reserve([&cell(3), &cell(2)]), Err(Error::Reserved(cell(2))));
        assert!(!book.holds(&cell(3)), "all or none");
        book.release(first).unwrap();
        assert_eq!(book.release(first), Err(Error::ReservationUnknown));
        assert!(book.reserve([&cell(2)]).is_ok());
    }

    #[test]
    fn a_stored_book_reads_back_and_never_reuses_a_ticket() {
        let mut book = Reservations::default();
        let old = book.reserve([&cell(1)]).unwrap();
        book.reserve([&cell(2)]).unwrap();
        book.release(old).unwrap();
        let mut read = Reservations::from_bytes(&book.to_bytes()).unwrap();
        assert_eq!(read, book);
        assert_ne!(read.reserve([&cell(3)]).unwrap(), old);
        let mut bytes = book.to_bytes();
        bytes[8] = 9;
        assert!(Reservations::from_bytes(&bytes).is_err());
    }
}
