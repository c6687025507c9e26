//! Payments, batches of them, and the queue in which they wait for an update.
//!
//! A payment always goes from the proposer of an update to the other side: nobody can pull. Ids
//! rise strictly per sender, so that a payment is delivered once however often messages are
//! repeated.

use alloc::collections::VecDeque;
use alloc::collections::vec_deque;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::codec::{self, DecodeError, Reader};
use perun_channel::{Allocation, Amount, Invalid};

use crate::bytes::{Wire, put_list, take_list, wire_struct};
use crate::limits::{MAX_BATCH, MAX_MEMO};
use crate::units::{Index, TooLong};

/// The number of a payment among its sender's payments in one channel; it rises strictly, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(u64);

impl PaymentId {
    /// The id with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Wire for PaymentId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64().map(Self)
    }
}

/// Bytes that a payment carries to its receiver; the protocol does not read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memo(Vec<u8>);

impl Memo {
    /// The memo, unless it is longer than [`MAX_MEMO`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > MAX_MEMO { Err(TooLong) } else { Ok(Self(bytes)) }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Wire for Memo {
    fn put(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, &self.0);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.bytes(MAX_MEMO).map(Self)
    }
}

wire_struct! {
    /// One payment.
    pub struct Payment {
        /// Its number among its sender's payments.
        pub id: PaymentId,
        /// The row of the asset.
        pub asset: u8,
        /// How much.
        pub amount: Amount,
        /// What it is for.
        pub memo: Memo,
    }
}

/// The payments of one update: at most [`MAX_BATCH`], ids rising strictly, no amount zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Batch(VecDeque<Payment>);

impl Batch {
    /// The payments in order.
    #[must_use]
    pub fn iter(&self) -> vec_deque::Iter<'_, Payment> {
        self.0.iter()
    }

    /// How many payments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no payment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The outcome after `from` paid all of the batch to the other side.
    pub fn pay(&self, from: Index, outcome: &Allocation) -> Result<Allocation, Invalid> {
        let sums = sums(outcome.assets().len(), self.iter())?;
        let paid = sums.iter().enumerate().filter(|(_, sum)| **sum != Amount::ZERO);
        let (payer, payee) = (from.column(), from.other().column());
        let mut next = outcome.clone();
        for (asset, sum) in paid {
            next = next.transfer(payer, payee, asset, *sum)?;
        }
        Ok(next)
    }

    /// Whether ids rise strictly from above `last` and no amount is zero.
    pub(crate) fn follows(&self, last: PaymentId) -> bool {
        let mut last = last;
        self.iter().all(|payment| {
            let rises = payment.id > last;
            last = payment.id;
            rises && payment.amount != Amount::ZERO
        })
    }

    /// The id of the last payment.
    pub(crate) fn last_id(&self) -> Option<PaymentId> {
        self.0.back().map(|payment| payment.id)
    }
}

impl FromIterator<Payment> for Batch {
    /// The first [`MAX_BATCH`] of the payments.
    fn from_iter<I: IntoIterator<Item = Payment>>(payments: I) -> Self {
        Self(payments.into_iter().take(MAX_BATCH).collect())
    }
}

impl Wire for Batch {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, self.0.len(), self.0.iter());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_list(reader, MAX_BATCH).map(Self)
    }
}

/// Payments that wait, and per asset how much they need together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<Payment>,
    pub(crate) needed: Vec<Amount>,
}

impl Queue {
    pub(crate) fn iter(&self) -> vec_deque::Iter<'_, Payment> {
        self.waiting.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How much of an asset the waiting payments need together.
    pub(crate) fn needed(&self, asset: usize) -> Amount {
        self.needed.get(asset).copied().unwrap_or_default()
    }

    pub(crate) fn push(&mut self, payment: Payment) {
        let asset = usize::from(payment.asset);
        if self.needed.len() <= asset {
            self.needed.resize(asset.saturating_add(1), Amount::ZERO);
        }
        if let Some(needed) = self.needed.get_mut(asset) {
            // The sum is at most the payer's balance: that was checked before the payment was
            // queued.
            *needed = needed.checked_add(payment.amount).unwrap_or(*needed);
        }
        self.waiting.push_back(payment);
    }

    /// Takes out the payments that these balances do not pay for, each after those before it.
    pub(crate) fn take_unfunded(
        &mut self,
        own: Index,
        outcome: &Allocation,
    ) -> VecDeque<PaymentId> {
        let mut left: Vec<Amount> = (0..outcome.assets().len())
            .map(|asset| outcome.balance(asset, own.column()).unwrap_or_default())
            .collect();
        let mut lost = VecDeque::new();
        for payment in self.take(self.len()).0 {
            let balance = left.get_mut(usize::from(payment.asset));
            let paid = balance.and_then(|balance| {
                *balance = balance.checked_sub(payment.amount)?;
                Some(())
            });
            match paid {
                Some(()) => self.push(payment),
                None => lost.push_back(payment.id),
            }
        }
        lost
    }

    /// Takes the first `count` payments out.
    pub(crate) fn take(&mut self, count: usize) -> Batch {
        let batch: VecDeque<Payment> =
            self.waiting.drain(..count.min(self.waiting.len())).collect();
        for payment in &batch {
            if let Some(needed) = self.needed.get_mut(usize::from(payment.asset)) {
                *needed = needed.checked_sub(payment.amount).unwrap_or_default();
            }
        }
        Batch(batch)
    }
}

/// Per asset, the sum of the payments.
fn sums<'a>(
    assets: usize,
    payments: impl Iterator<Item = &'a Payment>,
) -> Result<Vec<Amount>, Invalid> {
    let mut sums = vec![Amount::ZERO; assets];
    for payment in payments {
        let sum = sums.get_mut(usize::from(payment.asset)).ok_or(Invalid::Index)?;
        *sum = sum.checked_add(payment.amount).ok_or(Invalid::Amount)?;
    }
    Ok(sums)
}
