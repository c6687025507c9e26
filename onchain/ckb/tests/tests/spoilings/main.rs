//! Every rule, broken on purpose: a healthy transaction, one labelled piece of damage, and the
//! exact code with which both judges refuse it.

mod cells;
mod creation;
mod dispute;
mod evidence;
mod funding;
mod settlement;
mod swaps;
mod theft;
mod together;

use perun_channel::State;
use perun_channel::adjudicator::Code;
use perun_onchain_tests::story::{Stands, Story, own};
use perun_onchain_tests::{Channel, Terms};

/// Declares tests that must end with a code, and collects the codes.
macro_rules! spoilings {
    ($($(#[$doc:meta])* $name:ident is $code:ident $body:block)*) => {
        pub(crate) const CODES: &[perun_channel::adjudicator::Code] =
            &[$(perun_channel::adjudicator::Code::$code),*];
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                let spoiled = $body;
                perun_onchain_tests::spoil::refused(
                    spoiled,
                    perun_channel::adjudicator::Code::$code,
                );
            }
        )*
    };
}
pub(crate) use spoilings;

/// Codes that no transaction provokes, and why.
const OUT_OF_REACH: &[Code] = &[
    // The node hands the script every field it asks for.
    Code::Syscall,
    // The script only runs where a channel cell is.
    Code::NoChannel,
];

#[test]
fn every_code_that_can_be_reached_is_provoked() {
    let provoked: Vec<Code> = [
        cells::CODES,
        creation::CODES,
        dispute::CODES,
        evidence::CODES,
        funding::CODES,
        settlement::CODES,
        swaps::CODES,
        theft::CODES,
        together::CODES,
    ]
    .concat();
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !provoked.contains(code) && !OUT_OF_REACH.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(OUT_OF_REACH.iter().all(|code| !provoked.contains(code)));
}

/// Two parties, coins.
pub(crate) fn pair() -> Channel {
    Terms::of("alice", 2).living("pair")
}

/// Two parties, coins and two tokens.
pub(crate) fn tokens() -> Channel {
    Terms::of("alice", 2).with_tokens(&["a", "b"]).living("tokens")
}

/// Party 0 paid party 1, seven units per version, in every asset.
pub(crate) fn later(channel: &Channel, version: u64) -> State {
    let mut balances = channel.opening.clone();
    balances[0] -= u128::from(version) * 7;
    balances[1] += u128::from(version) * 7;
    channel.state(version, &balances)
}

/// A dispute of version 3, started by party 0.
pub(crate) fn disputed(channel: &Channel) -> Stands {
    Stands::disputed(&later(channel, 3), &[own(0)])
}

/// The healthy end of a dispute. Input 0 is the channel; outputs are the payouts and change.
pub(crate) fn concluding(channel: &Channel) -> Story {
    let mut story = Story::default();
    story.conclude(channel, &disputed(channel), 0);
    story.submitted()
}

/// A healthy first registration of version 5 by party 0.
pub(crate) fn registering(channel: &Channel) -> Story {
    let mut story = Story::default();
    story.register(channel, &Stands::open(channel), &later(channel, 5), own(0));
    story.submitted()
}

/// A healthy refutation of version 3 by version 5, by party 1.
pub(crate) fn refuting(channel: &Channel) -> Story {
    let mut story = Story::default();
    story.register(channel, &disputed(channel), &later(channel, 5), own(1));
    story.submitted()
}

/// A healthy close of final version 8.
pub(crate) fn closing(channel: &Channel) -> Story {
    let mut story = Story::default();
    story.close(channel, &Stands::open(channel), &later(channel, 8).finalized(), 0);
    story.submitted()
}
