//! A swap on the ledgers: secrets that show late, old states on one side, and what is taken back.

use perun_channel::LedgerId;
use perun_channel::codec::Decode;
use perun_protocol::{
    Agreed, Body, Command, Decision, Effect, Input, LedgerTime, Message, PhaseName, Sighting,
    Standing, Target, Time,
};

use crate::ledger::JOINT;
use crate::pair::Pair;
use crate::swaps::{ALL, NOTHING, SECRET, moved, other};
use crate::vault::VAULT;

const CLAIM: Decision = Decision::Claim { preimage: SECRET };

/// Time passes in small steps, and in each the cheater comes first on both ledgers.
fn play(pair: &mut Pair, mut cheat: impl FnMut(&mut Pair)) {
    for _ in 0..100 {
        pair.now = Time::new(pair.now.get() + 600);
        pair.clocks_pass(600);
        cheat(pair);
        pair.advance(0);
    }
}

/// Somebody concludes what is registered on a ledger, if that is possible.
fn concludes(pair: &mut Pair, ledger: LedgerId, decision: Option<Decision>) {
    let id = pair.nodes[0].machine.id().unwrap();
    if ledger == VAULT {
        return pair.vault.conclude(id, decision);
    }
    let Standing::Registered { state, .. } = &pair.ledger.channels[&id].standing else { return };
    let (state, target) = (state.clone(), target(pair, ledger));
    pair.ledger.submit(0, &Effect::Conclude { target, state, decision, attempt: 0 });
}

fn target(pair: &Pair, ledger: LedgerId) -> Target {
    let effects = pair.nodes.iter().flat_map(|node| &node.effects);
    let mut targets = effects.filter_map(|effect| match effect {
        Effect::Watch(target) if target.ledger == ledger => Some(target.clone()),
        _ => None,
    });
    targets.next().unwrap()
}

/// What the cheater does at every moment: it takes what it can, and takes back what it can.
fn grabs(pair: &mut Pair, takes: LedgerId, knows: bool) {
    if knows {
        concludes(pair, takes, Some(CLAIM));
    }
    concludes(pair, takes, None);
    concludes(pair, other(takes), None);
    concludes(pair, other(takes), Some(Decision::Refund {}));
}

/// An old state on one ledger and the swap on the other, or old ones on both; with every message
/// that a swap can stop at, and both as the cheater.
#[test]
fn an_old_state_beside_a_swap_gives_the_cheater_nothing() {
    for (p, x) in ALL {
        for messages in 1..4 {
            for cheater in 0..2 {
                for (on_x, on_y) in [(true, false), (false, true), (true, true)] {
                    let mut pair = Pair::swapping();
                    pair.give_turn(p);
                    let (old, since) = (pair.agreed(cheater), pair.agreed(p).state);
                    pair.net.left = Some(messages);
                    pair.swap(p, x).settle();
                    let newest = pair.agreed(cheater);
                    let knows = cheater == p || messages >= 3;
                    pair.nodes[cheater].is_silent = true;
                    for (ledger, is_old) in [(x, on_x), (other(x), on_y)] {
                        pair.registers(cheater, ledger, if is_old { &old } else { &newest });
                    }
                    let takes = if cheater == p { x } else { other(x) };
                    play(&mut pair, |pair| grabs(pair, takes, knows));
                    let honest = 1 - cheater;
                    let gained = pair.gained(&since)[honest];
                    let least = moved(p, x)[honest];
                    let is_whole = gained.iter().all(|it| *it >= 0)
                        || gained.iter().zip(least).all(|(it, least)| *it >= least);
                    let story = format!(
                        "{p} takes on {x}, {messages} said, {cheater} cheats, old: {on_x} {on_y}"
                    );
                    assert!(is_whole, "{story}: {gained:?}");
                    assert_eq!(pair.phases()[honest], PhaseName::Settled, "{story}");
                }
            }
        }
    }
}

/// Q left, and hears the secret afterwards: it signs nothing, and claims.
#[test]
fn a_secret_that_arrives_in_a_dispute_is_for_the_ledgers_only() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 2);
        let since = pair.agreed(p).state;
        let (_, reveal) = pair.net.log.last().unwrap().clone();
        let reveal = Message::from_bytes(&reveal).unwrap();
        assert!(matches!(reveal.body, Body::SwapReveal { .. }));
        pair.nodes[p].is_silent = true;
        pair.user(1 - p, Command::Dispute).settle();
        let version = pair.version(1 - p);
        pair.feed(1 - p, Input::Message(reveal)).unwrap();
        assert_eq!(pair.version(1 - p), version);
        let done = |body: &Body<_>| matches!(body, Body::SwapDone { .. });
        assert!(!pair.net.log.iter().any(|(_, it)| done(&Message::from_bytes(it).unwrap().body)));
        play(&mut pair, |pair| grabs(pair, x, true));
        assert_eq!(pair.decisions(1 - p, other(x)), [CLAIM], "{p} {x}");
        assert_eq!(pair.gained(&since), moved(p, x));
    }
}

/// What still comes to P in a dispute changes nothing: it does not show the secret.
#[test]
fn whoever_is_in_court_shows_no_secret_to_an_acceptance() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 1);
        let since = pair.agreed(p).state;
        let (_, accept) = pair.net.log.last().unwrap().clone();
        pair.user(p, Command::Dispute).settle();
        assert!(pair.feed(p, Input::Message(Message::from_bytes(&accept).unwrap())).is_err());
        pair.leave();
        assert!(!pair.decisions(p, x).contains(&CLAIM));
        assert_eq!(pair.gained(&since), NOTHING);
    }
}

/// P claims on X in a block that does not count yet. Q has begun to refund, and claims instead.
#[test]
fn a_claim_takes_the_place_of_a_refund() {
    for (p, x) in ALL {
        let q = 1 - p;
        let mut pair = Pair::cut_at(p, x, 1);
        pair.nodes[p].is_silent = true;
        pair.user(q, Command::Dispute).settle();
        pair.clocks_pass(30_000);
        let y = other(x);
        let half = pair.agreed(q).state;
        pair.ledger.is_deaf = true;
        pair.vault.is_deaf = true;
        pair.advance(0);
        assert_eq!(pair.decisions(q, y), [Decision::Refund {}]);
        let channel = pair.nodes[q].machine.id().unwrap();
        let standing = Standing::Concluded { state: half, unpaid: 1, preimage: Some(SECRET) };
        let sighting = Sighting { ledger: x, channel, standing, confirmed: false };
        pair.feed(q, Input::Ledger(sighting)).unwrap();
        assert_eq!(pair.decisions(q, y), [Decision::Refund {}, CLAIM], "{p} {x}");
        pair.revive(q);
        assert_eq!(pair.decisions(q, y).last(), Some(&CLAIM), "and it stays");
    }
}

/// Nothing could be done before the expiry. Whoever may claim never refunds what it takes.
#[test]
fn a_claim_that_comes_after_the_expiry_is_still_a_claim() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 2);
        pair.nodes[1 - p].is_silent = true;
        pair.user(p, Command::Dispute).settle();
        pair.clocks_pass(50_000);
        pair.ledger.is_deaf = true;
        pair.vault.is_deaf = true;
        pair.advance(0);
        assert_eq!(pair.decisions(p, x), [CLAIM], "{p} {x}");
        assert_eq!(pair.decisions(p, other(x)), [Decision::Refund {}], "{p} {x}");
    }
}

/// Who has no secret waits for the expiry of each ledger, and lets the legs lapse then.
#[test]
fn a_swap_lapses_at_its_expiry_and_not_before() {
    for (p, x) in ALL {
        let q = 1 - p;
        let mut pair = Pair::cut_at(p, x, 1);
        pair.user(q, Command::Dispute).settle();
        pair.ledger.is_deaf = true;
        pair.vault.is_deaf = true;
        let refunds = |pair: &Pair| {
            [x, other(x)].map(|on| [p, q].map(|place| pair.decisions(place, on).len()))
        };
        pair.advance(11_999);
        assert_eq!(refunds(&pair), [[0, 0], [0, 0]], "{p} {x}");
        pair.advance(1);
        assert_eq!(refunds(&pair), [[1, 1], [0, 0]], "{p} {x}");
        pair.advance(100);
        pair.clocks_pass(11_899);
        pair.advance(0);
        assert_eq!(refunds(&pair)[1], [0, 0], "{p} {x}");
        pair.advance(1);
        assert_eq!(refunds(&pair)[1], [1, 1], "{p} {x}");
    }
}

/// A preimage of something else is none.
#[test]
fn a_secret_counts_only_if_it_opens_the_swap() {
    let mut pair = Pair::cut_at(0, JOINT, 1);
    pair.nodes[0].is_silent = true;
    pair.user(1, Command::Dispute).settle();
    let (channel, half) = (pair.nodes[1].machine.id().unwrap(), pair.agreed(1).state);
    let preimage = Some(perun_protocol::Preimage::new([1; 32]));
    let standing = Standing::Concluded { state: half, unpaid: 1, preimage };
    let sighting = Sighting { ledger: JOINT, channel, standing, confirmed: false };
    let before = pair.nodes[1].journal.len();
    pair.feed(1, Input::Ledger(sighting)).unwrap();
    assert_eq!(pair.nodes[1].journal.len(), before);
}

#[test]
fn a_claim_that_a_reorganisation_takes_back_is_made_again() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 2);
        pair.nodes[1 - p].is_silent = true;
        pair.user(p, Command::Dispute).settle();
        let channel = pair.nodes[p].machine.id().unwrap();
        let half = pair.agreed(p).state;
        pair.ledger.is_deaf = true;
        pair.vault.is_deaf = true;
        pair.advance(8_000);
        let claims = |pair: &Pair| pair.decisions(p, x).len();
        assert_eq!(claims(&pair), 1);
        let shows = |pair: &mut Pair, standing: Standing, confirmed: bool| {
            let sighting = Sighting { ledger: x, channel, standing, confirmed };
            pair.feed(p, Input::Ledger(sighting)).unwrap();
        };
        let claimed =
            || Standing::Concluded { state: half.clone(), unpaid: 0, preimage: Some(SECRET) };
        shows(&mut pair, claimed(), false);
        let until = LedgerTime::new(1_000_000);
        let by = perun_protocol::Slot { participant: crate::pair::index(p), delegate: false };
        let back = Standing::Registered { state: half.clone(), by, until, proof: None };
        shows(&mut pair, back, false);
        pair.advance(600);
        assert!(claims(&pair) >= 2, "{p} {x}");
        assert!(pair.decisions(p, x).iter().all(|decision| *decision == CLAIM));
        shows(&mut pair, claimed(), true);
        let before = claims(&pair);
        pair.advance(1_000);
        assert_eq!(claims(&pair), before);
    }
}

/// The state with the swap stands on a contract, and nobody could refute it with the state after.
/// Whoever is owed there must still claim before it expires.
#[test]
fn who_holds_the_state_after_a_swap_still_claims_what_can_no_longer_be_refuted() {
    let mut pair = Pair::swapping();
    let since = pair.agreed(0).state;
    let half = half_of(&pair);
    pair.swap(0, VAULT).settle();
    pair.nodes[1].is_silent = true;
    pair.vault.is_deaf = true;
    pair.registers(1, VAULT, &half);
    pair.advance(7_200);
    pair.vault.is_deaf = false;
    pair.leave();
    assert!(pair.decisions(0, VAULT).contains(&CLAIM));
    assert_eq!(pair.gained(&since), moved(0, VAULT));
}

/// Node 1's copy of the state with the swap, in a story like [`Pair::swapping`].
fn half_of(pair: &Pair) -> Agreed {
    let mut twin = Pair::swapping();
    twin.net.left = Some(1);
    twin.swap(0, VAULT).settle();
    assert_eq!(twin.nodes[0].machine.id(), pair.nodes[0].machine.id());
    twin.agreed(1)
}

/// Something is over on one ledger, in a block that may be taken back: nothing more is signed.
#[test]
fn a_conclusion_that_is_not_confirmed_freezes_a_swap() {
    let mut pair = Pair::cut_at(0, JOINT, 1);
    let (channel, half) = (pair.nodes[1].machine.id().unwrap(), pair.agreed(1).state);
    let standing = Standing::Concluded { state: half, unpaid: 0, preimage: Some(SECRET) };
    let sighting = Sighting { ledger: JOINT, channel, standing, confirmed: false };
    pair.feed(1, Input::Ledger(sighting)).unwrap();
    assert_eq!(pair.phases()[1], PhaseName::Disputing);
    pair.settle();
    pair.net.left = None;
    pair.reconnect();
    let done = |body: &Body<_>| matches!(body, Body::SwapDone { .. });
    assert!(!pair.net.log.iter().any(|(_, it)| done(&Message::from_bytes(it).unwrap().body)));
}

/// The clock of either ledger sends Q there, and not a second before.
#[test]
fn the_other_side_goes_to_the_ledgers_in_time() {
    for (ledger, last) in [(JOINT, 12_000 - 9_560), (VAULT, 24_000 - 9_040)] {
        let mut pair = Pair::cut_at(0, JOINT, 1);
        let at = |secs: u64| LedgerTime::new(crate::swaps::START + secs);
        pair.feed(1, Input::LedgerClock { ledger, now: at(last - 1) }).unwrap();
        assert_eq!(pair.phases()[1], PhaseName::Swapping);
        pair.feed(1, Input::LedgerClock { ledger, now: at(last) }).unwrap();
        assert_eq!(pair.phases()[1], PhaseName::Disputing);
        for on in [JOINT, VAULT] {
            assert_eq!(pair.ordered(1, on, |it| matches!(it, Effect::Register { .. })), 1);
        }
    }
}
