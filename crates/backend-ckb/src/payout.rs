//! What payees get: one lock's dues of all channels of a transaction, as few cells.
//!
//! Owed capacity first makes token cells what they must hold, as far as the rules let it count
//! there; what is left becomes a plain cell, or fills a token cell where it is too little for one
//! and may. The invariant: no due is cut; cells that the dues cannot fill are made full, at the
//! submitter's expense.

use crate::Error;
use crate::deployment::Deployment;
use crate::money::{Made, TOKEN_DATA, add, occupied, script_hash, sum_amounts};
use ckb_types::packed::Script;
use perun_channel::adjudicator::{Due, TokenDue};
use std::collections::BTreeMap;

/// Dues by payout lock.
#[derive(Clone, Debug, Default)]
pub struct Payouts {
    accounts: BTreeMap<[u8; 32], Account>,
}

#[derive(Clone, Debug)]
struct Account {
    lock: Script,
    capacity: u64,
    tokens: BTreeMap<[u8; 32], Owed>,
}

/// What a lock is owed of one token, and how much of its owed capacity may come in cells of it.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    amount: u128,
    room: u64,
}

impl Payouts {
    /// Adds what one participant of one channel is owed.
    pub fn add(&mut self, lock: &Script, due: &Due) -> Result<(), Error> {
        let fresh = Account { lock: lock.clone(), capacity: 0, tokens: BTreeMap::new() };
        let account = self.accounts.entry(script_hash(lock)).or_insert(fresh);
        account.capacity = add(account.capacity, due.capacity)?;
        for TokenDue { token, amount, room } in &due.tokens {
            let owed = account.tokens.entry(*token).or_default();
            owed.amount = sum_amounts([owed.amount, *amount])?;
            owed.room = add(owed.room, *room)?;
        }
        Ok(())
    }

    /// The cells to make, in the order of the locks' hashes.
    pub fn cells(&self, deployment: &Deployment) -> Result<Vec<Made>, Error> {
        let cells = self.accounts.values().map(|account| account.cells(deployment));
        Ok(cells.collect::<Result<Vec<_>, Error>>()?.concat())
    }
}

impl Account {
    fn cells(&self, deployment: &Deployment) -> Result<Vec<Made>, Error> {
        let plain = occupied(&self.lock, None, 0);
        let mut rest = self.capacity;
        let mut cells = Vec::new();
        for (token, owed) in &self.tokens {
            let kind = &deployment.token(token)?.script;
            let least = occupied(&self.lock, Some(kind), TOKEN_DATA);
            rest = rest.saturating_sub(least.min(owed.room));
            cells.push(Made::token(self.lock.clone(), kind.clone(), least, owed.amount));
        }
        // Too little for a cell of its own: whatever fits goes where it counts.
        let mut rooms = cells.iter_mut().zip(self.tokens.values());
        while rest > 0 && rest < plain {
            let Some((cell, owed)) = rooms.next() else { break };
            let more = owed.room.saturating_sub(cell.capacity()).min(rest);
            *cell = cell.clone().with_capacity(add(cell.capacity(), more)?);
            rest = rest.saturating_sub(more);
        }
        if rest > 0 {
            cells.push(Made::plain(self.lock.clone(), rest.max(plain)));
        }
        Ok(cells)
    }
}
