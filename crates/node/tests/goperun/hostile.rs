//! What a house hears from go-perun peers that mean it no good: its own peer, and strangers with a
//! name. The tests are named after the rows of `docs/spec/go-perun.md`.

use perun_channel::{Address, Allocation, Amount, ChannelId, State, SubAlloc, Version};
use perun_goperun::{
    Accept, AppState, ChannelParams, ClaimedState, LedgerProposal, Message, Party, Serializer,
    SubProposal, Transaction, Update, VirtualAccept, VirtualFunding, VirtualProposal,
    VirtualSettlement,
};
use perun_protocol::{Command, PhaseName};

use crate::story::{Story, milli, name, wrong_signature};

/// A proposal as Alice's node writes it.
fn proposal(story: &mut Story) -> LedgerProposal {
    story.ask(0).unwrap();
    let Some(Message::LedgerProposal(proposal)) = story.word(0) else { panic!("a proposal") };
    proposal
}

/// A payment of ten thousandths as Alice's node writes it.
fn payment(story: &mut Story) -> Update {
    story.order(0, 10);
    let Some(Message::Update(update)) = story.word(0) else { panic!("an update") };
    update
}

fn changed(state: &State, locked: Vec<SubAlloc>, version: u64) -> AppState {
    let outcome = state.outcome();
    let (assets, rows) = (outcome.assets().to_vec(), outcome.balances().to_vec());
    let outcome = Allocation::new(assets, rows, locked).unwrap();
    AppState::new(Address::ZERO, state.at_version(Version::new(version), outcome)).unwrap()
}

/// Something that claims to be a signed virtual channel.
fn claim(state: &State) -> ClaimedState {
    let parties = [[1; 20], [2; 20]].map(|it| Party::ethereum(Address::new(it)).unwrap());
    let kind = (false, true);
    let params =
        ChannelParams::new(3_600, [9; 32], parties.to_vec(), Address::ZERO, kind, [0; 256]);
    let both = vec![Some(wrong_signature()); 2];
    let state = AppState::new(Address::ZERO, state.clone()).unwrap();
    ClaimedState::new(params.unwrap(), Transaction::new(state, both).unwrap()).unwrap()
}

/// The next thing that was said is a refusal with a reason.
fn refusal(said: Option<Message>) -> bool {
    match said {
        Some(Message::UpdateReject { reason, .. } | Message::ProposalReject { reason, .. }) => {
            !reason.is_empty()
        }
        _ => false,
    }
}

fn aside(story: &Story, side: usize) -> Option<Message> {
    story.people[side].aside.lock().unwrap().pop_front()
}

/// Whatever opens, funds or settles a channel inside a channel is refused at once, again and again,
/// and the parent is free in between. The proposals have every odd shape that is one.
#[test]
fn h4_h5_h6_h16_h20_channels_in_channels_are_refused_at_once_and_leave_the_parent_free() {
    let mut opening = Story::new(Serializer::Native);
    let base = proposal(&mut opening).base;
    let mut other = base.clone();
    other.funding[0].reverse();
    let mut story = Story::open(Serializer::Native);
    let update = payment(&mut story);
    let state = update.state.state().clone();
    let (id, proposer) = (*state.id(), Party::ethereum(Address::new([1; 20])).unwrap());
    let shape = |parents: usize, index_maps: Vec<Vec<u16>>| VirtualProposal {
        base: base.clone(),
        proposer: proposer.clone(),
        peers: vec![name("alice"), name("bob")],
        parents: vec![id; parents],
        index_maps,
    };
    let unfunded = VirtualProposal { base: other, ..shape(2, vec![vec![0, 1], vec![1, 0]]) };
    let refused = [
        Message::SubProposal(SubProposal { base: base.clone(), parent: id }),
        Message::VirtualProposal(shape(2, vec![vec![0, 1], vec![1, 0]])),
        Message::VirtualProposal(shape(0, vec![])),
        Message::VirtualProposal(shape(1, vec![vec![0, 1, 2, 3]])),
        Message::VirtualProposal(shape(2, vec![vec![u16::MAX]])),
        Message::VirtualProposal(unfunded),
        Message::VirtualFunding(VirtualFunding {
            update: update.clone(),
            initial: claim(&state),
            index_map: vec![1, 1],
        }),
        Message::VirtualSettlement(VirtualSettlement {
            update: update.clone(),
            last: claim(&state),
        }),
    ];
    for message in refused.iter().chain(&refused) {
        story.hear(1, message.clone());
        assert!(refusal(story.word(1)), "{message:?}");
        assert_eq!(story.word(1), None);
    }
    let accept = Accept { proposal: base.id, nonce_share: [1; 32] };
    story.hear(1, Message::SubAccept(accept.clone()));
    story.hear(1, Message::VirtualAccept(VirtualAccept { base: accept, responder: proposer }));
    assert_eq!(story.word(1), None);
    story.hear(1, Message::Update(update));
    story.rest();
    story.order(1, 4);
    story.rest();
    assert_eq!([story.received(0), story.received(1)], [4, 10]);
}

#[test]
fn c6_nobody_deposits_more_or_other_than_its_first_balance() {
    let mut story = Story::new(Serializer::Native);
    let proposal = proposal(&mut story);
    let rows = proposal.base.funding.clone();
    let (one, nothing) = (Amount::new(1), Amount::ZERO);
    let wrong = [
        vec![],
        vec![rows[0].clone()],
        vec![rows[0].clone(), rows[1].clone(), rows[1].clone()],
        vec![rows[0].clone(), vec![]],
        vec![rows[0].clone(), [&rows[1][..], &[nothing]].concat()],
        vec![rows[0].clone(), vec![rows[1][1], rows[1][0]]],
        vec![rows[0].clone(), vec![rows[1][0], rows[1][1].checked_add(one).unwrap()]],
        vec![rows[0].clone(), vec![nothing, nothing]],
        vec![rows[0].clone(), vec![Amount::new(u128::MAX), Amount::new(u128::MAX)]],
    ];
    for funding in wrong {
        let mut other = proposal.clone();
        other.base.funding = funding;
        story.hear(1, Message::LedgerProposal(other));
        assert!(refusal(story.word(1)));
        assert_eq!(story.phases()[1], PhaseName::Fresh);
    }
}

/// Amounts at the edge of 128 bits, more assets than this node has, other people's ledgers: each is
/// declined with a reason, and nothing is set aside.
#[test]
fn proposals_that_nobody_can_pay_are_declined() {
    let mut story = Story::new(Serializer::Native);
    let proposal = proposal(&mut story);
    let assets = proposal.base.outcome.assets().to_vec();
    let wrong = [
        Allocation::new(assets.clone(), vec![vec![Amount::new(u128::MAX / 2); 2]; 2], vec![]),
        Allocation::new(assets, vec![vec![Amount::ZERO, Amount::new(u128::MAX)]; 2], vec![]),
        Allocation::new(
            (0..16).map(|it| perun_channel::Asset::ethereum(7, Address::new([it; 20]))).collect(),
            vec![vec![Amount::new(1); 2]; 16],
            vec![],
        ),
        Allocation::new(vec![perun_channel::Asset::ckb(1)], vec![vec![Amount::new(1); 2]], vec![]),
    ];
    for (number, outcome) in wrong.into_iter().enumerate() {
        let mut other = proposal.clone();
        other.base.outcome = outcome.unwrap();
        other.base.funding = other.base.outcome.balances().to_vec();
        other.base.id = [u8::try_from(number).unwrap() + 50; 32];
        story.hear(1, Message::LedgerProposal(other));
        let said = story.word(1);
        assert!(matches!(said, Some(Message::ProposalReject { .. })), "{said:?}");
    }
    let nobody = Party::ethereum(Address::ZERO).unwrap();
    let mut other = LedgerProposal { participant: nobody, ..proposal.clone() };
    other.base.id = [60; 32];
    story.hear(1, Message::LedgerProposal(other));
    assert!(refusal(story.word(1)), "nobody could sign for that address");
    story.hear(1, Message::LedgerProposal(proposal));
    story.rest();
    story.until(PhaseName::Open);
}

/// A stranger repeats every word that it could have overheard, before it arrives, under its own
/// name, and adds refusals of its own.
#[test]
fn h11_m26_a_strangers_word_counts_in_no_channel_of_others() {
    let mut story = Story::new(Serializer::Native);
    let mallory = name("mallory");
    story.ask(0).unwrap();
    let mut paid = false;
    for _ in 0..80 {
        for side in 0..2 {
            while let Some(word) = story.word(side) {
                let about = match &word {
                    Message::LedgerProposal(it) => Some(it.base.id),
                    Message::LedgerAccept(it) => Some(it.base.proposal),
                    _ => None,
                };
                for of in [0, 1] {
                    // Not the proposal itself: under a stranger's name it is one to be declined.
                    if !matches!(word, Message::LedgerProposal(_)) {
                        story.hear_from(of, &mallory, word.clone());
                    }
                    let reason = "no".to_owned();
                    if let Some(proposal) = about {
                        let message = Message::ProposalReject { proposal, reason };
                        story.hear_from(of, &mallory, message);
                    } else if let Some((channel, version)) = place(&word) {
                        let message = Message::UpdateReject { channel, version, reason };
                        story.hear_from(of, &mallory, message);
                    }
                }
                story.hear(1 - side, word);
            }
        }
        if story.phases() == [PhaseName::Open; 2] && !paid {
            story.order(0, 10);
            paid = true;
            continue;
        }
        if paid && story.received(1) == 10 {
            break;
        }
        story.collect();
        let now = story.now;
        (0..2).for_each(|side| story.house(side).sync_ledgers(now).unwrap());
        story.evm.chain.mine(1).unwrap();
    }
    assert_eq!((story.received(1), story.state(0).version()), (10, Version::new(1)));
    story.command(1, Command::Close);
    story.until(PhaseName::Settled);
    assert_eq!([story.evm.gains(0), story.evm.gains(1)], [[milli(-10), 0], [milli(10), 0]]);
    let told = story.people.each_ref().map(|it| it.aside.lock().unwrap().len());
    assert!(told[0] + told[1] > 0, "a stranger's updates are refused");
}

fn place(word: &Message) -> Option<(ChannelId, Version)> {
    match word {
        Message::Update(update) => {
            let state = update.state.state();
            Some((*state.id(), state.version()))
        }
        Message::UpdateAccept { channel, version, .. }
        | Message::UpdateReject { channel, version, .. } => Some((*channel, *version)),
        _ => None,
    }
}

/// The peer itself says everything twice, with words around it that say nothing, in every phase.
#[test]
fn h7_h10_h13_empty_and_repeated_words_change_nothing_in_any_phase() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    let (mut paid, mut heard) = (false, 0);
    for _ in 0..80 {
        for side in 0..2 {
            while let Some(word) = story.word(side) {
                heard += 1;
                assert!(heard < 400, "they answer answers");
                story.hear(1 - side, Message::Sync { phase: 3, current: None });
                if let Some((channel, _)) = place(&word) {
                    for number in [u64::MAX, 1_000] {
                        let (version, reason) = (Version::new(number), String::new());
                        story.hear(1 - side, Message::UpdateReject { channel, version, reason });
                        let signature = wrong_signature();
                        let message = Message::UpdateAccept { channel, version, signature };
                        story.hear(1 - side, message);
                    }
                }
                story.hear(1 - side, word.clone());
                story.hear(1 - side, word);
            }
        }
        if story.phases() == [PhaseName::Open; 2] && !paid {
            story.order(0, 10);
            paid = true;
            continue;
        }
        let now = story.now;
        (0..2).for_each(|side| story.house(side).sync_ledgers(now).unwrap());
        story.evm.chain.mine(1).unwrap();
        story.collect();
        if paid && story.received(1) == 10 {
            break;
        }
    }
    assert_eq!((story.received(1), story.state(0).version()), (10, Version::new(1)));
    assert_eq!(story.state(0), story.state(1));
    story.no_troubles();
}

/// Names on the wire prove little (a handshake can be shown again), so no money may hang on them.
#[test]
fn h9_h12_who_has_a_peers_name_without_its_key_moves_nothing() {
    let mut story = Story::open(Serializer::Native);
    let update = payment(&mut story);
    let before = story.state(1);
    let state = update.state.state();
    let sub = |map| SubAlloc::new(ChannelId::new([8; 32]), vec![Amount::ZERO; 2], map);
    let signature = wrong_signature();
    let with = |state: AppState| Update { state, actor: 0, signature };
    let updates = [
        with(update.state.clone()),
        with(changed(state, vec![sub(vec![0, 1])], 1)),
        with(changed(state, vec![sub(vec![])], 1)),
        with(changed(state, vec![], 0)),
        with(changed(state, vec![], u64::MAX)),
        Update { actor: u16::MAX, ..with(update.state.clone()) },
    ];
    for update in updates {
        let both = vec![Some(signature); 2];
        let shown = Transaction::new(update.state.clone(), both).unwrap();
        story.hear(1, Message::Update(update));
        assert!(refusal(story.word(1)));
        story.hear(1, Message::Sync { phase: 11, current: Some(shown) });
        assert_eq!(story.word(1), None, "a sync is not answered");
    }
    let (channel, version) = (*state.id(), state.version());
    story.hear(0, Message::UpdateAccept { channel, version, signature });
    assert_eq!(story.phases(), [PhaseName::Updating, PhaseName::Open]);
    assert_eq!(story.state(1), before);
    story.hear(1, Message::Update(update));
    story.rest();
    assert_eq!(story.received(1), 10);
}

/// go-perun waits for an answer to each update, and takes nothing else meanwhile.
#[test]
fn h14_an_update_of_a_channel_that_is_not_there_is_refused_at_once() {
    let mut story = Story::open(Serializer::Native);
    let update = payment(&mut story);
    let elsewhere = {
        let mut bytes = *update.state.state().id().as_bytes();
        bytes[0] ^= 1;
        let outcome = update.state.state().outcome().clone();
        let state = State::initial(ChannelId::new(bytes), outcome);
        Update { state: AppState::new(Address::ZERO, state).unwrap(), ..update }
    };
    story.hear(1, Message::Update(elsewhere));
    assert!(refusal(story.word(1)));
    story.hear_from(1, &name("mallory"), Message::Update(update));
    assert!(refusal(aside(&story, 1)));
    assert_eq!((story.word(1), story.received(1)), (None, 0));
}

/// One peer's proposals are limited, the one too many is declined at once, and others find room.
#[test]
fn h18_proposals_without_end_are_declined() {
    const PER_PEER: usize = 256;
    let mut story = Story::new(Serializer::Native);
    story.people[1].accepts = false;
    story.people[1].house = None;
    story.start(1);
    let ours = proposal(&mut story);
    let mallory = name("mallory");
    let mut theirs = ours.clone();
    theirs.peers[0] = mallory.clone();
    for number in 0..PER_PEER + 3 {
        theirs.base.id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
        story.hear_from(1, &mallory, Message::LedgerProposal(theirs.clone()));
        assert_eq!(refusal(aside(&story, 1)), number >= PER_PEER, "{number}");
    }
    story.hear(1, Message::LedgerProposal(ours));
    assert_eq!(story.phases()[1], PhaseName::Deciding);
}
