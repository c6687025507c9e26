//! What the two sides agree on before a transaction is built: the terms of a channel, the changes
//! of a resize, and what the ledger's backend made of them.
//!
//! The backend builds; the protocol compares. An [`Assembly`] is used only if its parameters and
//! its first state are exactly the ones that the agreed plan implies.

use alloc::vec::Vec;

use perun_channel::codec::{DecodeError, Reader};
use perun_channel::{
    Allocation, Amount, Invalid, MAX_ASSETS, Params, Participant, Signature, State,
};

use crate::bytes::{Wire, put_list, take_list, wire_enum, wire_struct};
use crate::units::{Digest, Index, LedgerBytes, TransactionId};

wire_struct! {
    /// What the proposer of a channel asks for.
    pub struct Terms {
        /// How long a registered state can be refuted, in seconds.
        pub challenge_secs: u64,
        /// The assets, and what each side brings: column 0 the proposer, column 1 the other.
        pub outcome: Allocation,
        /// The proposer's keys and identity.
        pub proposer: Participant,
        /// What the ledger's backend needs besides.
        pub chain: LedgerBytes,
    }
}

wire_enum! {
    /// How a resize changes one participant's balance of one asset.
    pub enum Change {
        /// It stays.
        0 => Keep {},
        /// The participant deposits.
        1 => Deposit {
            /// How much.
            amount: Amount,
        },
        /// The participant takes out.
        2 => Withdraw {
            /// How much.
            amount: Amount,
        },
    }
}

impl Change {
    fn change(&self, balance: Amount) -> Option<Amount> {
        match self {
            Self::Keep {} => Some(balance),
            Self::Deposit { amount } => balance.checked_add(*amount),
            Self::Withdraw { amount } => balance.checked_sub(*amount),
        }
    }
}

/// The changes of a resize: one row per asset, in the channel's order, and in it one per
/// participant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes(Vec<[Change; 2]>);

impl Changes {
    /// The changes with these rows.
    pub fn new(rows: Vec<[Change; 2]>) -> Result<Self, Invalid> {
        if rows.len() > MAX_ASSETS { Err(Invalid::AssetCount) } else { Ok(Self(rows)) }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[[Change; 2]] {
        &self.0
    }

    /// The one outcome that the successor channel begins with.
    pub fn outcome(&self, old: &Allocation) -> Result<Allocation, Invalid> {
        if self.0.len() != old.balances().len() || old.columns() != 2 {
            return Err(Invalid::BalanceShape);
        }
        let rows = old.balances().iter().zip(&self.0).map(|(row, changes)| {
            let changed = row.iter().zip(changes).map(|(balance, change)| change.change(*balance));
            changed.collect::<Option<Vec<_>>>().ok_or(Invalid::Amount)
        });
        Allocation::new(old.assets().to_vec(), rows.collect::<Result<_, _>>()?, Vec::new())
    }
}

impl Wire for Changes {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, self.0.len(), self.0.iter());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_list(reader, MAX_ASSETS).map(|rows| Self(rows.into()))
    }
}

wire_struct! {
    /// What both sides hand to their backends, which then build the same transaction.
    pub struct Plan {
        /// Our own index.
        pub index: Index,
        /// How long a registered state can be refuted, in seconds.
        pub challenge_secs: u64,
        /// The participants in order.
        pub participants: [Participant; 2],
        /// The first state's outcome.
        pub outcome: Allocation,
        /// What the ledger's backend needs besides.
        pub chain: LedgerBytes,
        /// What each side puts into the transaction, in order.
        pub contributions: [LedgerBytes; 2],
        /// For a resize: the channel that the transaction spends, as its setup names it.
        pub predecessor: Option<LedgerBytes>,
    }
}

impl Plan {
    /// Whether the assembly is exactly what the plan implies.
    pub(crate) fn matches(&self, assembly: &Assembly) -> bool {
        let (params, state) = (&assembly.params, &assembly.initial);
        params.challenge_secs() == self.challenge_secs
            && params.participants() == self.participants
            && *params.app() == perun_channel::Address::ZERO
            && params.is_ledger()
            && !params.is_virtual()
            && *state == State::initial(params.id(), self.outcome.clone())
            && assembly.consent.is_some() == self.predecessor.is_some()
    }
}

wire_struct! {
    /// A transaction that opens (or resizes) a channel, as the backend built it.
    pub struct Assembly {
        /// The channel's parameters.
        pub params: Params,
        /// What the backend needs to find and dispute the channel, now and after a restart.
        pub setup: LedgerBytes,
        /// Version 0.
        pub initial: State,
        /// The transaction's name; it does not depend on the witnesses.
        pub transaction: TransactionId,
        /// What the backend needs to make the transaction impossible.
        pub abort: LedgerBytes,
        /// For a resize: the digest that each participant signs to consent to the transaction.
        pub consent: Option<Digest>,
    }
}

wire_struct! {
    /// What one side releases so that the transaction can commit.
    pub struct Witness {
        /// Which transaction.
        pub transaction: TransactionId,
        /// The locks' witnesses.
        pub locks: LedgerBytes,
        /// For a resize: the consent, signed with the session key.
        pub consent: Option<Signature>,
    }
}
