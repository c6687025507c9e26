//! A swap that is pending: one struct for each place in which a side waits, and how records lead
//! from one to the next.
//!
//! P, which has the secret, goes `Offered`, `Ready`, `Revealed`, or to `Cancelling` from either of
//! the first two; the other side, Q, goes `Asked`, `Held`. The invariant that matters: who is
//! `Cancelling` has forgotten the secret, and who is `Revealed` has signed the swap's result, so
//! nobody does both.

use alloc::boxed::Box;

use perun_channel::swap::Swap;
use perun_channel::{LedgerId, Signature, State, Version};

use crate::effect::{Effect, Event, WaitingFor};
use crate::open::{Activity, Open};
use crate::phase::PhaseName;
use crate::record::{Agreed, Record, Wish};
use crate::units::{Digest, LedgerTime, Preimage, Time};

/// Where a side waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Swapping {
    /// P: our offer is out.
    Offered(Offered),
    /// Q: our user decides.
    Asked(SwapAsked),
    /// P: the state with the swap is complete; the secret is shown as soon as a clock allows it.
    Ready(Ready),
    /// Q: the state with the swap is complete.
    Held(Held),
    /// P: the secret is out.
    Revealed(Revealed),
    /// P: the swap is being taken back.
    Cancelling(Cancelling),
}

/// A state that we signed and that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signing {
    pub(crate) state: State,
    pub(crate) digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Offered {
    pub(crate) half: Signing,
    pub(crate) preimage: Preimage,
    /// Before which moment the secret may be shown, by which clock.
    pub(crate) reveal: (LedgerId, LedgerTime),
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SwapAsked {
    /// Not signed by us.
    pub(crate) half: Signing,
    pub(crate) signature: Signature,
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ready {
    pub(crate) preimage: Preimage,
    pub(crate) reveal: (LedgerId, LedgerTime),
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    /// From which moment on we go to the ledgers, by each clock.
    pub(crate) go: [(LedgerId, LedgerTime); 2],
    /// Whether we asked the peer to take the swap back.
    pub(crate) wants_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Revealed {
    pub(crate) next: Signing,
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cancelling {
    /// The state with the swap, as long as the peer has not signed it.
    pub(crate) half: Option<Signing>,
    pub(crate) next: Signing,
    pub(crate) deadline: Time,
}

impl Signing {
    pub(crate) fn version(&self) -> Version {
        self.state.version()
    }

    /// The state with the peer's signature.
    pub(crate) fn signed(&self, signature: Signature) -> Agreed {
        Agreed::signed(self.state.clone(), self.digest, signature)
    }
}

impl Swapping {
    pub(crate) const fn name(&self) -> PhaseName {
        match self {
            Self::Asked(_) => PhaseName::SwapAsked,
            _ => PhaseName::Swapping,
        }
    }

    pub(crate) const fn deadline(&self) -> Option<Time> {
        match self {
            Self::Offered(Offered { deadline, .. })
            | Self::Asked(SwapAsked { deadline, .. })
            | Self::Ready(Ready { deadline, .. })
            | Self::Revealed(Revealed { deadline, .. })
            | Self::Cancelling(Cancelling { deadline, .. }) => Some(*deadline),
            Self::Held(_) => None,
        }
    }

    pub(crate) const fn waiting_for(&self) -> WaitingFor {
        match self {
            Self::Offered(_) | Self::Revealed(_) | Self::Cancelling(_) => WaitingFor::Peer,
            Self::Asked(_) => WaitingFor::User,
            Self::Ready(_) => WaitingFor::Ledger,
            Self::Held(Held { go: [(ledger, at), _], .. }) => WaitingFor::Swap(*ledger, *at),
        }
    }

    /// What our user is asked.
    pub(crate) fn asked(&self) -> Option<Effect> {
        let Self::Asked(asked) = self else { return None };
        let swap = Swap::pending(&asked.half.state).ok().flatten()?;
        Some(Event::SwapRequested { swap, deadline: asked.deadline }.effect())
    }

    /// What our user is told if this state turns out to be complete.
    pub(crate) fn ended_by(&self, state: &State) -> Option<Event> {
        let version = state.version();
        match self {
            Self::Revealed(Revealed { next, .. }) if next.state == *state => {
                Some(Event::Swapped { version })
            }
            Self::Cancelling(Cancelling { next, .. }) if next.state == *state => {
                Some(Event::SwapCancelled { version })
            }
            _ => None,
        }
    }

    /// The version that is on its way, as the peer may not have heard of it.
    pub(crate) fn on_its_way(&self) -> Option<Version> {
        match self {
            Self::Offered(Offered { half, .. }) => Some(half.version()),
            Self::Revealed(Revealed { next, .. }) | Self::Cancelling(Cancelling { next, .. }) => {
                Some(next.version())
            }
            Self::Asked(_) | Self::Ready(_) | Self::Held(_) => None,
        }
    }
}

impl Open {
    /// Whether a swap is pending or waits for the turn.
    pub(crate) const fn is_swapping(&self) -> bool {
        matches!(self.activity, Activity::Swapping(_))
            || matches!(self.wish, Some(Wish::Swap { .. }))
    }

    /// Whether our user is asked about an exchange.
    pub(crate) fn is_exchanging(&self) -> bool {
        matches!(&self.activity, Activity::CloseAsked(asked) if !asked.0.state.is_final())
    }

    /// The pending swap.
    pub(crate) fn swapping(&self) -> Option<&Swapping> {
        match &self.activity {
            Activity::Swapping(swapping) => Some(swapping),
            _ => None,
        }
    }

    /// Takes over a record about a swap; false if it does not fit.
    pub(crate) fn apply_swap(&mut self, record: &Record) -> bool {
        match record {
            Record::SwapSecret { preimage } => {
                self.secret = Some(*preimage);
                return true;
            }
            Record::SwapFinished { agreed, preimage } => {
                self.secret = preimage.or(self.secret);
                self.complete(agreed);
                return true;
            }
            Record::SwapCancelled { agreed } => {
                self.complete(agreed);
                return true;
            }
            Record::SwapDropped {} => {
                self.drop_swap_wish();
                if matches!(self.activity, Activity::Swapping(_)) {
                    self.activity = Activity::Idle;
                }
                return true;
            }
            _ => {}
        }
        let before = match core::mem::replace(&mut self.activity, Activity::Idle) {
            Activity::Swapping(swapping) => Some(*swapping),
            Activity::Idle => None,
            other => {
                self.activity = other;
                return false;
            }
        };
        let Some(next) = self.lead(before, record) else { return false };
        self.activity = Activity::Swapping(Box::new(next));
        true
    }

    /// Both signed the state that ends the swap.
    fn complete(&mut self, agreed: &Agreed) {
        self.channel.burn(agreed.state.version());
        self.channel.latest = agreed.clone();
        self.activity = Activity::Idle;
    }

    pub(crate) fn drop_swap_wish(&mut self) {
        if matches!(self.wish, Some(Wish::Swap { .. })) {
            self.wish = None;
        }
    }

    /// Where a record leads from a place of the pending swap, or from none.
    fn lead(&mut self, before: Option<Swapping>, record: &Record) -> Option<Swapping> {
        Some(match (before, record) {
            (None, Record::SwapOffered { state, digest, preimage, reveal, deadline }) => {
                self.drop_swap_wish();
                self.patience = None;
                self.channel.burn(state.version());
                let half = Signing { state: state.clone(), digest: *digest };
                let (preimage, reveal, deadline) = (*preimage, *reveal, *deadline);
                Swapping::Offered(Offered { half, preimage, reveal, deadline })
            }
            (None, Record::SwapAsked { state, digest, signature, deadline }) => {
                let half = Signing { state: state.clone(), digest: *digest };
                let (signature, deadline) = (*signature, *deadline);
                Swapping::Asked(SwapAsked { half, signature, deadline })
            }
            (Some(Swapping::Offered(offered)), Record::SwapAccepted { signature, deadline }) => {
                self.channel.latest = offered.half.signed(*signature);
                let Offered { preimage, reveal, .. } = offered;
                Swapping::Ready(Ready { preimage, reveal, deadline: *deadline })
            }
            (Some(Swapping::Cancelling(mut held)), Record::SwapAccepted { signature, .. }) => {
                if let Some(half) = held.half.take() {
                    self.channel.latest = half.signed(*signature);
                }
                Swapping::Cancelling(held)
            }
            (Some(Swapping::Asked(asked)), Record::SwapCountersigned { go }) => {
                self.channel.burn(asked.half.version());
                self.channel.latest = asked.half.signed(asked.signature);
                Swapping::Held(Held { go: *go, wants_out: false })
            }
            (Some(Swapping::Ready(ready)), Record::SwapRevealed { state, digest, deadline }) => {
                self.channel.burn(state.version());
                self.secret = Some(ready.preimage);
                let next = Signing { state: state.clone(), digest: *digest };
                Swapping::Revealed(Revealed { next, deadline: *deadline })
            }
            (Some(from), Record::SwapCancelling { state, digest, deadline }) => {
                self.channel.burn(state.version());
                let half = match from {
                    Swapping::Offered(offered) => Some(offered.half),
                    _ => None,
                };
                let next = Signing { state: state.clone(), digest: *digest };
                Swapping::Cancelling(Cancelling { half, next, deadline: *deadline })
            }
            (Some(Swapping::Held(held)), Record::SwapCancelRequested {}) => {
                Swapping::Held(Held { wants_out: true, ..held })
            }
            (Some(Swapping::Cancelling(held)), Record::Extended { deadline }) => {
                Swapping::Cancelling(Cancelling { deadline: *deadline, ..held })
            }
            _ => return None,
        })
    }
}
