//! The payout rule, once for the whole transaction.
//!
//! What all channels of a transaction owe to one lock is added up and held against what that lock
//! gains: its outputs less its inputs. So no output pays two channels, no cell that somebody else
//! may move is passed off as payment, and no cell of a foreign type is.

use alloc::vec::Vec;

use super::cell::MIN_CHANNEL_CAPACITY;
use super::setup::{MIN_RESERVE, row_mark};
use super::{CkbParticipant, Code, Setup, View};
use crate::Allocation;

/// The most that payees who sign the transaction may lend it for its network fee: 0.01 CKB.
pub const MAX_FEE_SLACK: u64 = 1_000_000;

/// What one participant is owed by one settlement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Capacity in shannons, coins and reserve together.
    pub capacity: u64,
    /// Tokens, those with an amount above zero.
    pub tokens: Vec<TokenDue>,
}

/// What one participant is owed of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenDue {
    /// The token's type script hash.
    pub token: [u8; 32],
    /// The amount.
    pub amount: u128,
    /// How much of the owed capacity may come inside cells of this token: an equal part of the
    /// reserve. Coins come in plain cells; the issuer of a token could freeze them otherwise.
    pub room: u64,
}

/// What is owed to one lock by all channels together, and what the lock gains in the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    lock: [u8; 32],
    /// Whether every payee of this lock declared that its inputs may pay the network fee.
    lends_fee: bool,
    owed: u128,
    received: u128,
    spent: u128,
    tokens: Vec<TokenAccount>,
}

/// The same for one token. Nobody's token cells are spent beside channels paid by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TokenAccount {
    token: [u8; 32],
    owed: u128,
    received: u128,
    /// Capacity that came in cells of this token, and how much of it counts.
    capacity: u128,
    room: u128,
}

/// What a transaction owes, by payout lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dues {
    accounts: Vec<Account>,
    /// The tokens of all rows paid.
    tokens: Vec<[u8; 32]>,
}

impl Dues {
    /// Notes that a row of this token is paid, whether or not anybody is owed any.
    pub fn pays(&mut self, token: [u8; 32]) {
        if !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
    }

    /// The tokens of all rows paid.
    #[must_use]
    pub fn tokens(&self) -> &[[u8; 32]] {
        &self.tokens
    }

    /// Whether this lock is owed this token.
    #[must_use]
    pub(super) fn owes(&self, lock: &[u8; 32], token: &[u8; 32]) -> bool {
        let account = self.accounts.iter().find(|account| account.lock == *lock);
        account.is_some_and(|account| account.tokens.iter().any(|entry| entry.token == *token))
    }

    /// Whether nothing is owed: no channel of the transaction is paid by rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Adds what one participant is owed.
    pub fn add(&mut self, payee: &CkbParticipant, due: Due) -> Result<(), Code> {
        let known = self.accounts.iter().position(|account| account.lock == payee.payout_lock);
        let position = known.unwrap_or(self.accounts.len());
        if known.is_none() {
            self.accounts.push(Account {
                lock: payee.payout_lock,
                lends_fee: true,
                owed: 0,
                received: 0,
                spent: 0,
                tokens: Vec::new(),
            });
        }
        let account = self.accounts.get_mut(position).ok_or(Code::Overflow)?;
        account.lends_fee &= payee.lends_fee;
        account.owed = add(account.owed, u128::from(due.capacity))?;
        for TokenDue { token, amount, room } in due.tokens {
            self.pays(token);
            let account = self.accounts.get_mut(position).ok_or(Code::Overflow)?;
            let known = account.tokens.iter().position(|entry| entry.token == token);
            let at = known.unwrap_or(account.tokens.len());
            if known.is_none() {
                let (owed, received, capacity, room) = (0, 0, 0, 0);
                account.tokens.push(TokenAccount { token, owed, received, capacity, room });
            }
            let entry = account.tokens.get_mut(at).ok_or(Code::Overflow)?;
            entry.owed = add(entry.owed, amount)?;
            entry.room = add(entry.room, u128::from(room))?;
        }
        Ok(())
    }

    /// Books what the transaction's cells give to and take from the accounts.
    fn book(&mut self, view: &View) -> Result<(), Code> {
        let accounts = &mut self.accounts;
        for cell in &view.outputs {
            let Some(account) = accounts.iter_mut().find(|account| account.lock == cell.lock)
            else {
                continue;
            };
            let capacity = u128::from(cell.capacity);
            // A cell with data, or of a type that the payee is not owed, may be worthless to it.
            // Token cells are just that where anything is owed: the court has looked at them.
            match cell.kind {
                None if cell.data_length == 0 => {
                    account.received = add(account.received, capacity)?;
                }
                Some(kind) => {
                    let entry = account.tokens.iter_mut().find(|entry| entry.token == kind);
                    if let Some(entry) = entry {
                        entry.received = add(entry.received, cell.token_amount().unwrap_or(0))?;
                        entry.capacity = add(entry.capacity, capacity)?;
                    }
                }
                _ => {}
            }
        }
        // Whatever a payee's lock puts in is subtracted: it may be a cell that anybody can move.
        for cell in view.inputs.iter().map(|input| &input.cell) {
            if let Some(account) = accounts.iter_mut().find(|account| account.lock == cell.lock) {
                account.spent = add(account.spent, u128::from(cell.capacity))?;
            }
        }
        Ok(())
    }
}

/// What each participant is owed of this outcome when rows go from `unpaid_before` (none: nothing
/// was paid yet) to `unpaid`. Coins and reserves are paid by the first settlement, less what the
/// unpaid rows' cells hold.
pub fn settlement_dues(
    setup: &Setup,
    outcome: &Allocation,
    unpaid_before: Option<u32>,
    unpaid: u32,
) -> Result<Vec<Due>, Code> {
    let newly_paid = unpaid_before.unwrap_or(setup.token_mask()) & !unpaid;
    let keeps = held(setup, unpaid)?;
    let kept = match unpaid_before {
        Some(marks) => held(setup, marks)?,
        None => setup.identities().iter().map(|identity| identity.reserve).collect(),
    };
    let balance = |row, index| outcome.balance(row, index).map_or(0, crate::Amount::get);
    (0..setup.identities().len())
        .zip(kept.iter().zip(&keeps))
        .map(|(index, (kept, keeps))| {
            let coins = match (unpaid_before, setup.coin_row()) {
                (None, Some(row)) => balance(row, index),
                _ => 0,
            };
            let reserve = kept.checked_sub(*keeps).ok_or(Code::Overflow)?;
            let capacity = coins.checked_add(u128::from(reserve)).ok_or(Code::Overflow)?;
            let capacity = u64::try_from(capacity).map_err(|_| Code::Overflow)?;
            let amounts = setup
                .token_rows()
                .filter(|(row, _, _)| newly_paid & row_mark(*row) != 0)
                .map(|(row, token, _)| (token, balance(row, index)))
                .filter(|(_, amount)| *amount != 0);
            let count = u64::try_from(amounts.clone().count()).map_err(|_| Code::Overflow)?;
            // All of it, to the shannon: what is in no room would need a plain cell of its own.
            let shares = reserve.checked_div(count).zip(reserve.checked_rem(count));
            let (share, rest) = shares.unwrap_or((0, 0));
            let tokens = (0u64..).zip(amounts).map(|(position, (token, amount))| {
                let room = share.saturating_add(u64::from(position < rest));
                TokenDue { token, amount, room }
            });
            let tokens = tokens.collect();
            Ok(Due { capacity, tokens })
        })
        .collect()
}

/// How much of each participant's reserve stays in the cells of the `unpaid` rows: the channel
/// cell's and the vaults' capacity, shared in proportion to what the reserves hold above their
/// minimum, so that every payee is left with the capacity of a plain cell. Shares are rounded down,
/// so they only shrink as rows are paid; who submits the first settlement lends the few shannons
/// that are lost to rounding.
pub fn held(setup: &Setup, unpaid: u32) -> Result<Vec<u64>, Code> {
    let spare =
        |identity: &CkbParticipant| u128::from(identity.reserve.saturating_sub(MIN_RESERVE));
    let identities = setup.identities();
    if unpaid == 0 {
        return Ok(identities.iter().map(|_| 0).collect());
    }
    let vaults = setup.token_rows().filter(|(row, _, _)| unpaid & row_mark(*row) != 0);
    let rent = vaults.fold(u128::from(MIN_CHANNEL_CAPACITY), |sum, (_, _, row)| {
        sum.saturating_add(u128::from(row.vault_capacity))
    });
    let total = identities.iter().fold(0u128, |sum, one| sum.saturating_add(spare(one)));
    identities
        .iter()
        .map(|identity| {
            let share = rent.checked_mul(spare(identity)).and_then(|sum| sum.checked_div(total));
            share.and_then(|share| u64::try_from(share).ok()).ok_or(Code::Overflow)
        })
        .collect()
}

/// Refuses unless every payee gains what it is owed.
pub(super) fn check(view: &View, dues: &Dues) -> Result<(), Code> {
    let missing = shortfall(view, dues)?;
    let slack = view.fee().min(u128::from(MAX_FEE_SLACK));
    if missing <= slack { Ok(()) } else { Err(Code::Underpaid) }
}

/// How much capacity payees that lend the network fee lack; [`Code::Underpaid`] if anybody else
/// lacks anything, or anybody a token.
pub fn shortfall(view: &View, dues: &Dues) -> Result<u128, Code> {
    let mut booked = dues.clone();
    booked.book(view)?;
    let mut missing: u128 = 0;
    for account in &booked.accounts {
        let needed = add(account.spent, account.owed)?;
        let in_token_cells =
            |sum: u128, entry: &TokenAccount| sum.saturating_add(entry.capacity.min(entry.room));
        let received = account.tokens.iter().fold(account.received, in_token_cells);
        let short = needed.saturating_sub(received);
        if short != 0 && !(account.lends_fee && account.spent != 0) {
            return Err(Code::Underpaid);
        }
        missing = missing.saturating_add(short);
        if account.tokens.iter().any(|entry| entry.received < entry.owed) {
            return Err(Code::Underpaid);
        }
    }
    Ok(missing)
}

fn add(sum: u128, amount: u128) -> Result<u128, Code> {
    sum.checked_add(amount).ok_or(Code::Overflow)
}
