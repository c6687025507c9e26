//! What the two sides agree on before a channel is built: its terms, the changes of a resize, and
//! what the ledgers' backends made of them.
//!
//! The backends build; the protocol compares. An [`Assembly`] is used only if its parameters and
//! its first state are exactly the ones that the agreed plan implies.

use alloc::vec::Vec;

use perun_channel::codec::{DecodeError, Reader};
use perun_channel::{
    Allocation, Amount, ChannelId, Invalid, LedgerId, MAX_ASSETS, Params, Participant, Signature,
    State,
};

use crate::bytes::{Wire, put_list, take_list, wire_enum, wire_struct};
use crate::ledgers::{Funding, LedgerTerms, PerLedger, Place};
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
        /// The ledgers of the assets, in the order in which the rows name them.
        pub ledgers: PerLedger<LedgerTerms>,
    }
}

impl Terms {
    /// Whether these are the ledgers of the assets, each once and in order, and at most one of them
    /// takes a transaction of both sides: two such transactions could not be released together.
    pub(crate) fn has_its_ledgers(&self) -> bool {
        let named: Vec<LedgerId> = self.ledgers.iter().map(|terms| terms.ledger).collect();
        let joint = self.ledgers.iter().filter(|terms| terms.funding == Funding::Joint {});
        named == self.outcome.ledgers() && joint.count() <= 1
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
    /// What both sides hand to their backends, which then build the same channel.
    pub struct Plan {
        /// Our own index.
        pub index: Index,
        /// How long a registered state can be refuted, in seconds.
        pub challenge_secs: u64,
        /// The participants in order.
        pub participants: [Participant; 2],
        /// The first state's outcome.
        pub outcome: Allocation,
        /// The ledgers in order.
        pub ledgers: PerLedger<LedgerTerms>,
        /// What each side puts in on each ledger, in order.
        pub contributions: [PerLedger<LedgerBytes>; 2],
        /// For a resize: the channel that the transaction spends, as its setup names it.
        pub predecessor: Option<LedgerBytes>,
    }
}

impl Plan {
    /// Whether the assembly is exactly what the plan implies (D5).
    pub(crate) fn matches(&self, assembly: &Assembly) -> bool {
        let (params, state) = (&assembly.params, &assembly.initial);
        let joint = self.ledgers.iter().find(|terms| terms.funding == Funding::Joint {});
        let same_transaction = match (&assembly.joint, joint) {
            (Some(transaction), Some(terms)) => {
                transaction.ledger == terms.ledger
                    && transaction.channel == params.id()
                    && transaction.consent.is_some() == self.predecessor.is_some()
            }
            (None, None) => self.predecessor.is_none(),
            _ => false,
        };
        let planned = self.ledgers.iter().map(|terms| (terms.ledger, terms.funding));
        let placed = assembly.places.iter().map(|place| (place.ledger, place.funding));
        params.challenge_secs() == self.challenge_secs
            && params.participants() == self.participants
            && *params.app() == perun_channel::Address::ZERO
            && params.is_ledger()
            && !params.is_virtual()
            && *state == State::initial(params.id(), self.outcome.clone())
            && planned.eq(placed)
            && same_transaction
    }

    /// What one side puts into the transaction, if the channel is on one ledger.
    pub(crate) fn contribution(&self, side: Index) -> Option<&LedgerBytes> {
        let [zero, one] = &self.contributions;
        match side {
            Index::Zero => zero.get(0),
            Index::One => one.get(0),
        }
    }

    /// What we put in on each ledger.
    pub(crate) fn own_contributions(&self) -> &PerLedger<LedgerBytes> {
        let [zero, one] = &self.contributions;
        match self.index {
            Index::Zero => zero,
            Index::One => one,
        }
    }

    /// Whether some ledger is one where each side deposits for itself.
    pub(crate) fn has_deposits(&self) -> bool {
        self.ledgers.any(Funding::Deposit {})
    }
}

wire_struct! {
    /// A channel that is about to be, as the backends built it.
    pub struct Assembly {
        /// The channel's parameters.
        pub params: Params,
        /// Version 0.
        pub initial: State,
        /// Its places on its ledgers, in order.
        pub places: PerLedger<Place>,
        /// The transaction of both sides that opens (or resizes) it, if a ledger takes one.
        pub joint: Option<Transaction>,
    }
}

impl Assembly {
    /// The name of the transaction of both sides.
    pub(crate) fn transaction(&self) -> Option<TransactionId> {
        self.joint.as_ref().map(|joint| joint.id)
    }
}

wire_struct! {
    /// A transaction of both sides, as the backend of its ledger built it.
    pub struct Transaction {
        /// Which ledger it is for.
        pub ledger: LedgerId,
        /// The channel that it opens.
        pub channel: ChannelId,
        /// Its name; it does not depend on the witnesses.
        pub id: TransactionId,
        /// What the backend needs to make it again, or to make it impossible.
        pub abort: LedgerBytes,
        /// For a resize: the digest that each participant signs to consent to it.
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
