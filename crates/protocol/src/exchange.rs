//! A swap in a single update, for peers that know no other: rows move both ways at once.
//!
//! It is not safe where the rows are on several ledgers: whoever signs last can settle the old
//! state on one and the new one on another. So it is held for our user, and only if every row moves
//! by no more than what the configuration allows for its asset; by default that is nothing.

use alloc::vec;

use perun_channel::{Amount, State, transition};

use crate::effect::{Event, Step};
use crate::machine::Context;
use crate::message::Offer;
use crate::open::Open;
use crate::record::Record;
use crate::refusal::{Declined, Misuse};
use crate::update;

/// Whether the next state is such an exchange, within the limits: both sides give something.
pub(crate) fn is_allowed(context: &Context<'_>, open: &Open, state: &State) -> bool {
    let channel = &open.channel;
    let (current, own) = (channel.state(), channel.index.column());
    let next = channel.next_version;
    let follows = transition::check_ordinary_of(&channel.params, &channel.id, current, state, next);
    if follows.is_err() || state.is_final() {
        return false;
    }
    let (mut gives, mut takes) = (false, false);
    for (row, asset) in current.outcome().assets().iter().enumerate() {
        let balance = |state: &State| state.outcome().balance(row, own).unwrap_or_default();
        let (before, after) = (balance(current), balance(state));
        let (loss, gain) = (before.checked_sub(after), after.checked_sub(before));
        let most = context.config.swaps.limit(asset);
        if [loss, gain].into_iter().flatten().any(|moved| moved > most) {
            return false;
        }
        gives |= loss.is_some_and(|loss| loss > Amount::ZERO);
        takes |= gain.is_some_and(|gain| gain > Amount::ZERO);
    }
    gives && takes
}

/// Holds the exchange for our user.
pub(crate) fn ask(context: &Context<'_>, offer: Offer) -> Step {
    let deadline = context.user();
    let event = asked(&offer, deadline);
    Step::new(vec![Record::CloseAsked { offer, deadline }], vec![event.effect()])
}

/// What our user is asked.
pub(crate) fn asked(offer: &Offer, deadline: crate::units::Time) -> Event {
    Event::ExchangeRequested { state: offer.state.clone(), deadline }
}

/// Our user agrees. What we give must be ours beside what waits to be paid.
pub(crate) fn accept(context: &Context<'_>, open: &Open, offer: &Offer) -> Result<Step, Declined> {
    let own = open.channel.index.column();
    for row in 0..offer.state.outcome().assets().len() {
        let left = offer.state.outcome().balance(row, own).unwrap_or_default();
        let needed = open.committed(row);
        if needed > left {
            let asset = u8::try_from(row).unwrap_or(u8::MAX);
            return Err(Misuse::Insufficient { asset, needed, available: left }.into());
        }
    }
    let version = offer.state.version();
    let mut step = update::countersign(context, open, offer.clone());
    step.effects.push(Event::Swapped { version }.effect());
    Ok(step)
}
