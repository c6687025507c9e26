//! What became of payments lately: their events are repeated after a restart.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::effect::{Effect, Event, FailureReason};
use crate::payment::{Batch, Payment, PaymentId};

/// The latest payments of each fate: their events are repeated after a restart. A later update
/// cannot begin before the effects of an earlier one were released, so one batch of each is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Recent {
    pub(crate) sent: Batch,
    pub(crate) received: Batch,
    pub(crate) refused: Batch,
    /// Those that waited too long for the turn.
    pub(crate) waited: VecDeque<PaymentId>,
    /// Those that waited when the ledger took over.
    pub(crate) closed: VecDeque<PaymentId>,
    /// Those whose money a resize took out.
    pub(crate) unfunded: VecDeque<PaymentId>,
}

/// One event for each payment that did not happen.
pub(crate) fn failed<'a>(
    payments: impl Iterator<Item = &'a Payment>,
    why: FailureReason,
) -> Vec<Effect> {
    payments.map(|payment| Event::PaymentFailed { id: payment.id, why }.effect()).collect()
}

/// The same for payments of which only the ids are left.
pub(crate) fn failed_ids(
    ids: &VecDeque<PaymentId>,
    why: FailureReason,
) -> impl Iterator<Item = Effect> {
    ids.iter().map(move |id| Event::PaymentFailed { id: *id, why }.effect())
}

impl Recent {
    /// Their events, once more.
    pub(crate) fn events(&self) -> Vec<Effect> {
        let sent = self.sent.iter().map(|payment| Event::PaymentSent(payment.id).effect());
        let received = self.received.iter().cloned();
        let received = received.map(|payment| Event::PaymentReceived(payment).effect());
        let mut effects: Vec<Effect> = sent.chain(received).collect();
        effects.extend(failed(self.refused.iter(), FailureReason::Refused));
        effects.extend(failed_ids(&self.waited, FailureReason::Waited));
        effects.extend(failed_ids(&self.closed, FailureReason::Closed));
        effects.extend(failed_ids(&self.unfunded, FailureReason::Unfunded));
        effects
    }
}
