//! Swaps in a single update: off unless the user allows them, and never beyond what it allows.

use perun_channel::{Amount, Asset, State};
use perun_protocol::{
    Batch, Body, Command, Config, Digest, Event, Handover, Input, Misuse, PhaseName, RejectReason,
    SwapConfig,
};

use crate::ledger::JOINT;
use crate::pair::Pair;
use crate::span::ether;
use crate::swaps::config;

/// Up to 20 coins and 30 ether at once.
fn allowing() -> Config {
    let mut config = config();
    let coin = SwapConfig::key(&Asset::ckb(JOINT.chain()));
    config.swaps.at_once[0] = Some((coin, Amount::new(20)));
    config.swaps.at_once[1] = Some((SwapConfig::key(&ether()), Amount::new(30)));
    config
}

/// Node 0 proposes that node 1 gives coins and gets ether (or the other way round).
fn proposes(pair: &mut Pair, coins: i128, ether: i128) {
    let base = pair.agreed(0).state;
    let version = base.version().next().unwrap();
    let mut outcome = base.outcome().clone();
    for (row, moved) in [(0, coins), (1, ether)] {
        let (from, to) = if moved > 0 { (1, 0) } else { (0, 1) };
        let amount = Amount::new(moved.unsigned_abs());
        if amount > Amount::ZERO {
            outcome = outcome.transfer(from, to, row, amount).unwrap();
        }
    }
    let state: State = base.at_version(version, outcome);
    let signature = pair.sign(0, &Digest::new(state.digest()));
    let after = Handover::Keep {};
    let body = Body::Update { state, payments: Batch::default(), after, signature };
    pair.forge(0, body).unwrap();
}

fn asked(config: Config, coins: i128, ether: i128) -> bool {
    let mut pair = Pair::swapping_with(config);
    pair.users_answer = false;
    proposes(&mut pair, coins, ether);
    let is_asked = pair.phases()[1] == PhaseName::SwapAsked;
    let told = |event: &Event| matches!(event, Event::ExchangeRequested { .. });
    assert_eq!(is_asked, pair.saw(1, told));
    is_asked
}

#[test]
fn an_exchange_is_asked_for_only_within_the_limits() {
    assert!(!asked(config(), 1, -1), "by default there are none");
    assert!(asked(allowing(), 20, -30));
    assert!(asked(allowing(), -20, 30));
    assert!(!asked(allowing(), 21, -30));
    assert!(!asked(allowing(), 20, -31));
    assert!(!asked(allowing(), -21, 30));
    assert!(!asked(allowing(), 20, 0), "nobody can pull");
    assert!(!asked(allowing(), 0, 0));
    assert!(!asked(allowing(), 10, 10));
}

#[test]
fn an_exchange_takes_the_user_s_word() {
    let mut pair = Pair::swapping_with(allowing());
    pair.users_answer = false;
    let since = pair.agreed(1).state;
    proposes(&mut pair, 20, -30);
    let wrong = pair.feed(1, Input::Command(Command::AcceptClose));
    assert_eq!(wrong, Err(Misuse::NotNow.into()));
    pair.revive(1);
    let told = |event: &Event| matches!(event, Event::ExchangeRequested { .. });
    assert!(pair.saw(1, told));
    let clocks = pair.clocks();
    pair.user(1, Command::AcceptSwap { clocks });
    assert_eq!(pair.phases()[1], PhaseName::Open);
    pair.nodes[0].is_silent = true;
    pair.leave();
    assert_eq!(pair.gained(&since), [[20, -30], [-20, 30]]);
    let mut pair = Pair::swapping_with(allowing());
    pair.users_answer = false;
    proposes(&mut pair, 20, -30);
    pair.user(1, Command::DeclineSwap);
    let (_, bytes) = pair.net.log.last().unwrap();
    let message = perun_channel::codec::Decode::from_bytes(bytes).unwrap();
    let perun_protocol::Message { body: Body::Reject { reason, .. }, .. } = message else {
        panic!("it is refused");
    };
    assert_eq!(reason, RejectReason::User {});
}

/// What waits to be paid is not given away beside it.
#[test]
fn an_exchange_leaves_what_waits_to_be_paid() {
    let mut pair = Pair::swapping_with(allowing());
    pair.users_answer = false;
    pair.net.left = Some(0);
    let most = pair.row(1, 0)[1];
    pair.pay_in(1, 0, most - 19);
    proposes(&mut pair, 20, -30);
    let clocks = pair.clocks();
    let done = pair.feed(1, Input::Command(Command::AcceptSwap { clocks }));
    let needed = Amount::new(most - 19);
    let available = Amount::new(most - 20);
    assert_eq!(done, Err(Misuse::Insufficient { asset: 0, needed, available }.into()));
}
