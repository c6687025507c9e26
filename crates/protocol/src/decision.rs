//! How a registered state that carries a swap is concluded on one ledger.
//!
//! The duties of `docs/design/0003-swaps.md` come down to one rule: who knows a secret that may be
//! shown, and is paid by the legs of a ledger, claims there; everything else lapses at its expiry.
//! A secret may be shown if the peer or a ledger showed it, or if we showed it ourselves: then the
//! swap's result has our signature, and a refund of what we take would give away the other side.
//! What we have not shown is not in [`Open::secret`], so nothing here can show it.

use alloc::vec;

use perun_channel::State;
use perun_channel::swap::Swap;

use crate::bytes::wire_enum;
use crate::case::Docket;
use crate::effect::{Effect, Step};
use crate::input::{Sighting, Standing};
use crate::ledgers::Funding;
use crate::machine::Context;
use crate::open::Open;
use crate::phase::{Court, Stage};
use crate::record::Record;
use crate::units::{LedgerTime, Preimage};

wire_enum! {
    /// How the swap of a registered state ends on a ledger, once and for all.
    #[derive(Copy)]
    pub enum Decision {
        /// Its legs there move.
        0 => Claim {
            /// The secret.
            preimage: Preimage,
        },
        /// They have expired, and stay where they were.
        1 => Refund {},
    }
}

impl Docket<'_> {
    /// The swap of a state, if it has legs on this ledger, and when the last of them expires.
    fn native(&self, state: &State) -> Option<(Swap, u64)> {
        let swap = Swap::pending(state).ok().flatten()?;
        let ledger = self.place.ledger;
        let expiry = swap.expiry(state.outcome(), |asset| asset.ledger() == ledger)?;
        Some((swap, expiry))
    }

    /// The claim that we may make on this state here.
    fn claim(&self, state: &State) -> Option<Decision> {
        let (swap, _) = self.native(state)?;
        let preimage = self.open.secret.filter(|secret| swap.opened_by(secret.as_bytes()))?;
        let (ledger, own) = (self.place.ledger, self.open.channel.index.number());
        let assets = state.outcome().assets();
        let is_here = |asset: u8| {
            assets.get(usize::from(asset)).is_some_and(|asset| asset.ledger() == ledger)
        };
        let pays_us = swap.legs().iter().any(|leg| leg.to == own && is_here(leg.asset));
        pays_us.then_some(Decision::Claim { preimage })
    }

    /// With what a registered state can be concluded here when the ledger's clock shows `now`: with
    /// nothing, if no swap is to be decided; not at all, as long as neither is possible.
    pub(crate) fn decision(&self, state: &State, now: LedgerTime) -> Option<Option<Decision>> {
        let Some((_, expiry)) = self.native(state) else { return Some(None) };
        match self.claim(state) {
            Some(claim) => Some(Some(claim)),
            None => (now.get() >= expiry).then_some(Some(Decision::Refund {})),
        }
    }

    /// Whether a registered state is one to conclude: as new as our newest, or the one that our own
    /// right was used for. On a ledger where nothing can refute it after its challenge, one that
    /// carries a swap is the only thing left, and what it owes us expires.
    pub(crate) fn may_conclude(&self, state: &State) -> bool {
        let latest = self.open.channel.state().version();
        let is_ours = self.case.is_some_and(|case| case.may_conclude(state.version(), latest));
        let is_final = self.place.funding == Funding::Deposit {};
        is_ours || (is_final && self.native(state).is_some())
    }

    /// The question that a swap here waits for, once its state is registered.
    pub(crate) fn waits_for_clock(&self) -> Option<Effect> {
        let Some(Stage::Registered { state, .. }) = self.case.map(|case| &case.stage) else {
            return None;
        };
        let ledger = self.place.ledger;
        self.native(state).map(|_| Effect::ReadClock { ledger })
    }

    /// A secret became known: a claim takes the place of a refund, and what waits looks again.
    fn reconsidered(&self, context: &Context<'_>) -> Step {
        let ledger = self.place.ledger;
        match self.case.map(|case| &case.stage) {
            Some(Stage::Registered { .. }) => {
                Step::effects(self.waits_for_clock().into_iter().collect())
            }
            Some(Stage::Concluding { state, decision: Some(Decision::Refund {}), .. }) => {
                let Some(claim) = self.claim(state) else { return Step::nothing() };
                let (decision, target) = (Some(claim), self.open.channel.target(self.place));
                let (state, deadline) = (state.clone(), context.commit());
                Step::new(
                    vec![Record::Concluding { ledger, decision, deadline }],
                    vec![Effect::Conclude { target, state, decision, attempt: 0 }],
                )
            }
            _ => Step::nothing(),
        }
    }
}

/// A secret was shown. It counts if it opens the swap of our newest state, or of a registered one;
/// whoever showed it, and however.
pub(crate) fn shown(
    context: &Context<'_>,
    open: &Open,
    court: Option<&Court>,
    preimage: Preimage,
) -> Option<(Step, Open)> {
    let is_registered = |court: &Court| {
        court.cases.iter().any(|case| match &case.stage {
            Stage::Registered { state, .. } | Stage::Concluding { state, .. } => {
                preimage.opens(state)
            }
            _ => false,
        })
    };
    let is_wanted = preimage.opens(open.channel.state()) || court.is_some_and(is_registered);
    if open.secret == Some(preimage) || !is_wanted {
        return None;
    }
    let knowing = Open { secret: Some(preimage), ..open.clone() };
    let first = Step::new(vec![Record::SwapSecret { preimage }], vec![]);
    let Some(court) = court else { return Some((first, knowing)) };
    let court = Court { open: knowing.clone(), ..court.clone() };
    let steps = court.dockets().map(|docket| docket.reconsidered(context));
    Some((steps.fold(first, Step::and), knowing))
}

/// The secret that a claim on a ledger shows.
pub(crate) fn secret_of(sighting: &Sighting) -> Option<Preimage> {
    match &sighting.standing {
        Standing::Concluded { preimage, .. } => *preimage,
        _ => None,
    }
}
