//! Opening where each side deposits for itself: nobody loses a deposit when the other one does not
//! come, whatever it says, shows or does instead.

use perun_channel::codec::Decode;
use perun_channel::{Allocation, Amount, State};
use perun_protocol::{
    Assembly, Body, Command, DeclineReason, Declined, Digest, Effect, Ending, Event, Handover,
    Input, LedgerTerms, Message, Misuse, PerLedger, PhaseName, Place, Refusal, Reply, Standing,
    Witness,
};

use crate::ledger::{JOINT, own_witness};
use crate::pair::{Pair, money};
use crate::span::{COIN, ETHER, ether};
use crate::vault::VAULT;

const NOTHING: [i128; 2] = [0, 0];

fn is_deposit(effect: &Effect) -> bool {
    matches!(effect, Effect::Deposit { .. })
}

fn is_register(effect: &Effect) -> bool {
    matches!(effect, Effect::Register { .. })
}

fn is_out(pair: &Pair) -> bool {
    (0..2).any(|place| {
        let out = |effect: &Effect| {
            matches!(effect, Effect::SendWitness { .. } | Effect::SubmitAssembly { .. })
        };
        pair.submitted(place, out) > 0
    })
}

/// Everybody has at the end what everybody had before, on every ledger.
pub(crate) fn nobody_lost(pair: &Pair) {
    for side in 0..2 {
        assert_eq!(pair.gains(side), NOTHING, "side {side}, {:?}", pair.phases());
    }
}

#[test]
fn two_who_deposit_have_one_channel_on_both_ledgers() {
    let mut pair = Pair::span([5, 7], [20, 30]);
    assert_eq!([pair.gains(0), pair.gains(1)], [[-5, -20], [-7, -30]]);
    assert_eq!(pair.nodes[0].machine.id(), pair.nodes[1].machine.id());
    pair.pay_in(0, COIN, 2).pay_in(1, ETHER, 10).settle();
    for place in 0..2 {
        assert_eq!([pair.row(place, COIN), pair.row(place, ETHER)], [[3, 9], [30, 20]]);
    }
    pair.user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.gains(0), pair.gains(1)], [[-2, 10], [2, -10]]);
}

#[test]
fn nothing_is_released_before_every_deposit_is_final() {
    let mut pair = Pair::new();
    pair.vault.is_shallow = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    assert_eq!(pair.phases(), [PhaseName::Depositing; 2]);
    assert!(!is_out(&pair));
    pair.vault.is_shallow = false;
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

#[test]
fn nothing_is_deposited_before_version_0_is_signed_by_both() {
    for silent in 0..2 {
        let mut pair = Pair::new();
        // It has said all but its signature.
        pair.nodes[silent].silent_after = Some(1);
        pair.propose_span([5, 5], [9, 9]).settle();
        assert_eq!(pair.phases()[1 - silent], PhaseName::Signing);
        assert_eq!(pair.submitted(1 - silent, is_deposit), 0);
        pair.wait();
        assert_eq!(pair.phases()[1 - silent], PhaseName::Over);
        let freed = |effect: &Effect| matches!(effect, Effect::ReleaseFunds { .. });
        assert_eq!(pair.submitted(1 - silent, freed), 2, "on both ledgers");
        nobody_lost(&pair);
    }
}

/// The peer's deposit does not come, or too little of it.
#[test]
fn a_peer_that_does_not_deposit_all_costs_us_nothing_but_time() {
    for (cheat, share) in [(0, 0), (1, 0), (0, 99), (1, 99)] {
        let mut pair = Pair::new();
        pair.vault.pays[cheat] = share;
        pair.propose_span([500, 500], [900, 900]).settle();
        assert_eq!(pair.phases(), [PhaseName::Depositing; 2]);
        let failed = |event: &Event| matches!(event, Event::OpeningFailed(_));
        assert!(!pair.saw(1 - cheat, failed));
        pair.wait();
        assert!(pair.saw(1 - cheat, failed));
        assert!(!is_out(&pair), "the other ledger's transaction was never released");
        let freed = |effect: &Effect| matches!(effect, Effect::ReleaseFunds { .. });
        let honest = 1 - cheat;
        let freed = [pair.ordered(honest, JOINT, freed), pair.ordered(honest, VAULT, freed)];
        assert_eq!(freed, [1, 1], "what was set aside for it is free again");
        assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
        nobody_lost(&pair);
    }
}

#[test]
fn a_deposit_that_comes_when_we_have_left_pays_for_nothing() {
    for late in 0..2 {
        let mut pair = Pair::new();
        pair.vault.pays[late] = 0;
        pair.propose_span([5, 5], [9, 9]).settle();
        pair.vault.book(pair.nodes[0].machine.id().unwrap()).held[late].clear();
        pair.user(1 - late, Command::Decline { reason: DeclineReason::User {} });
        pair.net.drop_all();
        // The one who is late has not heard that the other one left, and deposits after all.
        pair.vault.pays[late] = 100;
        let deposit = pair.nodes[late].effects.iter().find(|effect| is_deposit(effect)).cloned();
        pair.submit(late, &deposit.unwrap());
        pair.report();
        pair.settle().wait();
        assert_eq!(pair.phases(), [PhaseName::Settled; 2], "late: {late}");
        assert!(!is_out(&pair));
        nobody_lost(&pair);
    }
}

#[test]
fn a_transaction_that_does_not_commit_is_made_impossible_and_the_deposits_come_back() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    assert_eq!(pair.phases(), [PhaseName::Released; 2]);
    assert_eq!(pair.gains(0), [0, -9]);
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Aborting; 2]);
    let freed = |effect: &Effect| matches!(effect, Effect::ReleaseFunds { .. });
    assert_eq!(pair.ordered(0, JOINT, freed), 0, "the transaction may still take it");
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    for place in 0..2 {
        assert_eq!(pair.ordered(place, JOINT, is_register), 0, "there was never a channel there");
        let void = Event::LedgerVoid { ledger: JOINT, ending: Ending::Aborted {} };
        assert!(pair.saw(place, |event| *event == void));
        let own = |event: &Event| match event {
            Event::Settled { outcomes, own } => {
                outcomes.len() == 1 && *own == [Amount::ZERO, Amount::new(9)]
            }
            _ => false,
        };
        assert!(pair.saw(place, own));
    }
    nobody_lost(&pair);
}

#[test]
fn a_transaction_that_commits_while_we_abort_is_settled_like_the_deposits() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Aborting; 2]);
    pair.ledger.is_deaf = false;
    let submission = pair.nodes[0].effects.iter();
    let submission =
        submission.rev().find(|effect| matches!(effect, Effect::SubmitAssembly { .. })).cloned();
    pair.submit(0, &submission.unwrap());
    pair.report();
    pair.settle().wait();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert!(pair.ordered(0, JOINT, is_register) > 0);
    nobody_lost(&pair);
}

/// The ledger takes back the block with the transaction that had committed while we aborted.
#[test]
fn a_transaction_that_is_taken_back_while_we_settle_it_is_made_impossible_after_all() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    pair.pass_time();
    pair.sees(0, JOINT, Standing::Open);
    assert_eq!(pair.ordered(0, JOINT, is_register), 1);
    let aborts = |pair: &Pair| pair.submitted(0, |it| matches!(it, Effect::AbortOpen { .. }));
    let before = aborts(&pair);
    pair.sees(0, JOINT, Standing::Absent);
    assert_eq!(aborts(&pair), before + 1);
    assert_eq!(pair.phases()[0], PhaseName::Aborting);
    pair.ledger.is_deaf = false;
    pair.wait();
    nobody_lost(&pair);
}

#[test]
fn a_deposit_that_a_reorganisation_takes_back_after_our_release_opens_nothing() {
    for side in 0..2 {
        let mut pair = Pair::new();
        pair.ledger.is_deaf = true;
        pair.propose_span([5, 5], [9, 9]).settle();
        assert_eq!(pair.phases(), [PhaseName::Released; 2]);
        pair.vault.pays[side] = 0;
        pair.vault.take_back(side);
        pair.report();
        pair.settle();
        pair.ledger.is_deaf = false;
        let channel = pair.nodes[0].machine.id().unwrap();
        pair.ledger.change(&channel, |_| Some(Standing::Open));
        pair.report();
        pair.settle();
        assert_eq!(pair.phases(), [PhaseName::Released; 2], "it is not whole");
        pair.wait();
        assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
        nobody_lost(&pair);
    }
}

#[test]
fn a_deposit_that_is_taken_back_and_made_again_opens_the_channel() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    pair.now = pair.now.after(100);
    let until = pair.nodes[0].machine.deadline();
    pair.vault.take_back(0);
    pair.report();
    pair.settle();
    assert_eq!(pair.ordered(0, VAULT, is_deposit), 2);
    assert_eq!(pair.nodes[0].machine.deadline(), until, "nobody can put off the end");
    pair.ledger.is_deaf = false;
    let channel = pair.nodes[0].machine.id().unwrap();
    pair.ledger.change(&channel, |_| Some(Standing::Open));
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

#[test]
fn a_peer_that_gives_up_or_a_user_who_does_ends_it_at_once() {
    for by_user in [false, true] {
        let mut pair = Pair::new();
        pair.vault.pays[1] = 0;
        pair.propose_span([5, 5], [9, 9]).settle();
        let reason = DeclineReason::User {};
        match by_user {
            false => pair.forge(1, Body::Decline { reason }).unwrap(),
            true => pair.feed(0, Input::Command(Command::Decline { reason })).unwrap(),
        }
        assert_eq!(pair.phases()[0], PhaseName::Disputing);
        pair.settle();
        let both = [PhaseName::Registered, PhaseName::Registered];
        assert_eq!(pair.phases(), both, "and the other one is told");
        pair.wait();
        nobody_lost(&pair);
    }
}

#[test]
fn a_new_process_looks_for_the_deposits_again() {
    let mut pair = Pair::new();
    pair.vault.is_shallow = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    let watched = |effect: &Effect| matches!(effect, Effect::Watch(_));
    assert_eq!(pair.ordered(0, VAULT, watched), 1);
    pair.revive(0);
    assert_eq!([pair.ordered(0, VAULT, watched), pair.ordered(0, VAULT, is_deposit)], [2, 2]);
}

#[test]
fn a_deposit_is_ordered_again_at_every_look_until_all_is_in() {
    let mut pair = Pair::new();
    pair.vault.is_deaf = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    for looks in 1..4 {
        assert_eq!(pair.ordered(0, VAULT, is_deposit), looks);
        let now = pair.vault.now;
        pair.feed(0, Input::LedgerClock { ledger: JOINT, now }).unwrap();
        pair.feed(0, Input::LedgerClock { ledger: VAULT, now }).unwrap();
    }
    pair.vault.is_deaf = false;
    let now = pair.vault.now;
    for place in 0..2 {
        pair.feed(place, Input::LedgerClock { ledger: VAULT, now }).unwrap();
    }
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    let before = pair.ordered(0, VAULT, is_deposit);
    pair.feed(0, Input::LedgerClock { ledger: VAULT, now }).unwrap();
    assert_eq!(pair.ordered(0, VAULT, is_deposit), before);
}

/// The peer registers version 0 while deposits are still missing.
#[test]
fn a_dispute_during_the_opening_ends_it() {
    for cheat in 0..2 {
        let mut pair = Pair::new();
        pair.vault.pays[cheat] = 0;
        pair.propose_span([5, 5], [9, 9]).settle();
        assert_eq!(pair.phases(), [PhaseName::Depositing; 2]);
        pair.nodes[cheat].is_silent = true;
        let (id, agreed) = version_0(&pair, cheat);
        let own = pair.sign(cheat, &agreed.proof.as_ref().unwrap().digest);
        pair.vault.register(cheat, id, &agreed, own);
        pair.report();
        pair.settle();
        assert_eq!(pair.phases()[1 - cheat], PhaseName::Registered);
        pair.wait();
        assert_eq!(pair.phases()[1 - cheat], PhaseName::Settled);
        assert!(!is_out(&pair));
        nobody_lost(&pair);
    }
}

/// Version 0 with everybody's signature, as one node has it.
fn version_0(pair: &Pair, place: usize) -> (perun_channel::ChannelId, perun_protocol::Agreed) {
    use perun_protocol::{Agreed, Record};
    let records = pair.nodes[place].journal.iter().map(|it| Record::from_bytes(it).unwrap());
    let (mut initial, mut proof) = (None, None);
    for record in records {
        match record {
            Record::Assembled { assembly, .. } => initial = Some(assembly.initial),
            Record::Signed { proof: theirs, .. } => proof = Some(theirs),
            _ => {}
        }
    }
    let state = initial.unwrap();
    (*state.id(), Agreed { state, proof })
}

#[test]
fn what_the_peer_says_is_no_deposit_and_no_signature() {
    let mut pair = Pair::new();
    pair.vault.pays[1] = 0;
    pair.slow_backend = Some(1);
    pair.propose_span([5, 5], [9, 9]).settle();
    assert_eq!(pair.phases(), [PhaseName::Signing, PhaseName::Assembling]);
    let agreed = version_0(&pair, 0).1.state;
    let id = *agreed.id();
    let wrong = |pair: &mut Pair, signature| pair.forge(1, Body::Sign { signature });
    let own = pair.sign(0, &Digest::new(agreed.digest()));
    let other = agreed.outcome().transfer(0, 1, 1, Amount::new(9)).unwrap();
    let other = State::initial(id, other);
    let theirs = pair.sign(1, &Digest::new(other.digest()));
    for signature in [own, theirs] {
        let refused = wrong(&mut pair, signature);
        assert!(matches!(refused, Err(Declined::Refusal(Refusal::Signature(_)))), "{refused:?}");
    }
    assert_eq!(pair.submitted(0, is_deposit), 0);
    // Its release, and its word that the channel is open, count for nothing.
    let locks = own_witness(1);
    let transaction = perun_protocol::TransactionId::new([1; 32]);
    let witness = Witness { transaction, locks, consent: None };
    assert!(pair.forge(1, Body::Release { witness }).is_err());
    let sync = Body::Sync {
        state: agreed.clone(),
        next_version: perun_channel::Version::new(1),
        proof: None,
    };
    assert!(pair.forge(1, sync).is_err());
    let good = pair.sign(1, &Digest::new(agreed.digest()));
    pair.forge(1, Body::Sign { signature: good }).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Depositing);
    assert_eq!(pair.forge(1, Body::Sign { signature: good }), Ok(()), "a replay changes nothing");
    assert_eq!(pair.forge(1, Body::Sign { signature: own }), declined(Refusal::Changed));
    assert_eq!(pair.ordered(0, VAULT, is_deposit), 1);
}

/// Before both have built the channel, nobody releases anything; and what is built must be what was
/// agreed, or our signature over version 0 would pay by other terms.
#[test]
fn version_0_is_signed_only_as_it_was_agreed() {
    let spoils: [fn(&mut Assembly); 3] = [
        |it| {
            let outcome = it.initial.outcome().transfer(0, 1, 1, Amount::new(9)).unwrap();
            it.initial = State::initial(*it.initial.id(), outcome);
        },
        |it| it.places = it.places.map(|place| Place { ledger: JOINT, ..place.clone() }),
        |it| it.joint = None,
    ];
    for spoil in spoils {
        let mut pair = Pair::new();
        pair.slow_backend = Some(0);
        pair.propose_span([5, 5], [9, 9]).settle();
        let transaction = perun_protocol::TransactionId::new([1; 32]);
        let witness = Witness { transaction, locks: own_witness(1), consent: None };
        let early = pair.forge(1, Body::Release { witness });
        assert_eq!(early, declined(Refusal::Unexpected));
        let Some(Reply::Assembled(mut assembly)) = pair.held.pop() else { panic!("built") };
        spoil(&mut assembly);
        pair.feed(0, Input::Backend(Reply::Assembled(assembly))).unwrap();
        let ending = Ending::Declined { reason: DeclineReason::Assembly {} };
        assert!(pair.saw(0, |event| *event == Event::Ended(ending.clone())));
        let signed = |(to, bytes): &(usize, Vec<u8>)| {
            *to == 1 && matches!(Message::from_bytes(bytes).unwrap().body, Body::Sign { .. })
        };
        assert!(!pair.net.log.iter().any(signed));
    }
}

fn declined(refusal: Refusal) -> Result<(), Declined> {
    Err(Declined::Refusal(refusal))
}

#[test]
fn a_signature_that_comes_before_we_have_built_is_kept_and_checked() {
    for good in [true, false] {
        let mut pair = Pair::new();
        pair.slow_backend = Some(0);
        pair.propose_span([5, 5], [9, 9]).settle();
        assert_eq!(pair.phases(), [PhaseName::Assembling, PhaseName::Signing]);
        if !good {
            pair = Pair::new();
            pair.slow_backend = Some(0);
            pair.nodes[1].silent_after = Some(1);
            pair.propose_span([5, 5], [9, 9]).settle();
            let signature = pair.sign(1, &Digest::new([9; 32]));
            pair.forge(1, Body::Sign { signature }).unwrap();
            assert_eq!(pair.forge(1, Body::Sign { signature }), Ok(()));
            let other = pair.sign(1, &Digest::new([8; 32]));
            assert_eq!(pair.forge(1, Body::Sign { signature: other }), declined(Refusal::Changed));
        }
        let reply = pair.held.pop().unwrap();
        pair.feed(0, Input::Backend(reply)).unwrap();
        pair.settle();
        match good {
            true => assert_eq!(pair.phases(), [PhaseName::Open; 2]),
            false => {
                let ending = Ending::Declined { reason: DeclineReason::Signature {} };
                assert!(pair.saw(0, |event| *event == Event::Ended(ending.clone())));
                assert_eq!(pair.submitted(0, is_deposit), 0);
            }
        }
    }
}

/// Participant 1 sees the deposits first and releases; participant 0 does not answer before it sees
/// them as well.
#[test]
fn a_release_that_comes_before_we_see_the_deposits_waits_for_them() {
    let mut pair = Pair::new();
    pair.vault.is_shallow = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    pair.sees(1, VAULT, Standing::Open);
    assert_eq!(pair.phases()[1], PhaseName::Released);
    pair.settle();
    assert_eq!(pair.phases()[0], PhaseName::Depositing);
    assert_eq!(pair.submitted(0, |it| matches!(it, Effect::SubmitAssembly { .. })), 0);
    pair.vault.is_shallow = false;
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

#[test]
fn nothing_is_signed_before_every_ledger_shows_the_channel() {
    let mut pair = Pair::new();
    pair.vault.is_shallow = true;
    pair.propose_span([5, 5], [9, 9]).settle();
    for ledger in [VAULT, JOINT] {
        pair.sees(0, ledger, Standing::Open);
    }
    assert_eq!(pair.phases(), [PhaseName::Open, PhaseName::Depositing]);
    pair.pay_in(0, COIN, 1).settle();
    let (_, agreed) = version_0(&pair, 0);
    let outcome = agreed.state.outcome().transfer(0, 1, 0, Amount::new(1)).unwrap();
    let state = agreed.state.successor(outcome).unwrap();
    let signature = pair.sign(0, &Digest::new(state.digest()));
    let payments = [pair.payment(0, 1)].into_iter().collect();
    let update = Body::Update { state, payments, after: Handover::Keep {}, signature };
    assert_eq!(pair.forge(0, update), declined(Refusal::Unexpected));
    let acks = |(_, bytes): &(usize, Vec<u8>)| {
        matches!(Message::from_bytes(bytes).unwrap().body, Body::Ack { .. })
    };
    assert!(!pair.net.log.iter().any(acks));
}

/// All of the coins are one side's, all of the ether the other's: whoever has nothing on a ledger
/// orders a deposit of nothing there, so that it can be paid later, and leaves without a dispute.
#[test]
fn where_we_bring_nothing_a_failed_opening_costs_us_nothing() {
    let mut pair = Pair::new();
    pair.vault.pays[0] = 0;
    pair.propose_span([0, 50], [90, 0]).settle();
    assert!(pair.ordered(1, VAULT, is_deposit) > 0);
    pair.wait();
    assert_eq!(pair.phases()[1], PhaseName::Over);
    let others = |it: &Effect| {
        let told = matches!(it, Effect::Watch(_) | Effect::ReleaseFunds { .. });
        !told && !is_deposit(it)
    };
    assert_eq!(pair.ordered(1, VAULT, others), 0);
    nobody_lost(&pair);
    // And if our part of the transaction was out already.
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose_span([0, 50], [90, 0]).settle();
    assert_eq!(pair.phases(), [PhaseName::Released; 2]);
    pair.pass_time();
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Settled, PhaseName::Over]);
    assert_eq!(pair.ordered(1, VAULT, is_register), 0);
    nobody_lost(&pair);
}

#[test]
fn a_channel_may_be_on_a_ledger_with_deposits_alone() {
    let outcome = |balances: [u128; 2]| {
        let row = balances.map(Amount::new).to_vec();
        Allocation::new(vec![ether()], vec![row], vec![]).unwrap()
    };
    for balances in [[9, 9], [9, 0], [0, 9]] {
        let mut pair = Pair::new();
        let terms = pair.terms_of(outcome(balances));
        let contributions = PerLedger::one(money(0));
        pair.user(0, Command::Propose { terms, contributions }).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        let payer = usize::from(balances[0] == 0);
        pair.pay(payer, 2).settle().user(1, Command::Close).settle();
        let brought = balances.map(|it| i128::try_from(it).unwrap());
        let paid: i128 = if payer == 0 { 2 } else { -2 };
        assert_eq!(pair.vault.wallets, [-paid, paid], "{brought:?}");
    }
}

#[test]
fn terms_name_the_ledgers_of_their_assets_in_order_and_one_shared_transaction() {
    let mut pair = Pair::new();
    let good = pair.span_terms([5, 5], [9, 9]);
    let [coin, ether] = [0, 1].map(|place| good.ledgers.get(place).unwrap().clone());
    let joint = perun_protocol::Funding::Joint {};
    let other = LedgerTerms { funding: joint, ..ether.clone() };
    for ledgers in [
        vec![],
        vec![coin.clone()],
        vec![ether.clone(), coin.clone()],
        vec![coin.clone(), ether.clone(), ether],
        vec![coin, other],
    ] {
        let ledgers = PerLedger::new(ledgers).unwrap();
        let contributions = ledgers.map(|_| money(0));
        let terms = perun_protocol::Terms { ledgers, ..good.clone() };
        let propose =
            Command::Propose { terms: terms.clone(), contributions: contributions.clone() };
        assert_eq!(pair.feed(0, Input::Command(propose)), Err(Declined::Misuse(Misuse::Terms)));
        let mut pair = Pair::new();
        pair.forge(0, Body::Propose { terms, contributions }).unwrap();
        assert_eq!(pair.phases()[1], PhaseName::Over);
    }
}

#[test]
fn each_side_says_what_it_puts_in_on_each_ledger() {
    for count in [0, 1, 3] {
        let contributions = || PerLedger::new(vec![money(1); count]).unwrap();
        let mut pair = Pair::new();
        let terms = pair.span_terms([5, 5], [9, 9]);
        let propose = Command::Propose { terms: terms.clone(), contributions: contributions() };
        assert_eq!(pair.feed(0, Input::Command(propose)), Err(Declined::Misuse(Misuse::Terms)));
        pair.forge(0, Body::Propose { terms, contributions: contributions() }).unwrap();
        assert_eq!(pair.phases()[1], PhaseName::Over);
        let mut pair = Pair::new();
        pair.users_answer = false;
        pair.propose_span([5, 5], [9, 9]).settle();
        let participant = pair.participant(1);
        let accept =
            Command::Accept { participant: participant.clone(), contributions: contributions() };
        assert_eq!(pair.feed(1, Input::Command(accept)), Err(Declined::Misuse(Misuse::Terms)));
        pair.forge(1, Body::Accept { participant, contributions: contributions() }).unwrap();
        assert_eq!(pair.phases()[0], PhaseName::Over);
    }
}

/// The ledger has paid everything back, and only then our deposit arrives.
#[test]
fn a_deposit_that_arrives_after_everything_was_paid_is_withdrawn() {
    let mut pair = Pair::new();
    pair.vault.pays = [0, 0];
    pair.propose_span([5, 5], [9, 9]).settle().wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    let (_, agreed) = version_0(&pair, 0);
    let late =
        Standing::Concluded { state: agreed.state.clone(), unpaid: 1 << ETHER, preimage: None };
    pair.sees(0, VAULT, late);
    let withdrawn = |effect: &Effect| matches!(effect, Effect::Withdraw { .. });
    assert_eq!(pair.phases()[0], PhaseName::Unpaid);
    assert!(pair.ordered(0, VAULT, withdrawn) > 0);
    pair.sees(0, VAULT, Standing::Concluded { state: agreed.state, unpaid: 0, preimage: None });
    assert_eq!(pair.phases()[0], PhaseName::Settled);
}
