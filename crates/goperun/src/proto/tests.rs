//! Healthy messages with one thing spoiled: each rule of the protobuf decoder refuses what it is
//! for.

use perun_channel::Invalid;
use perun_channel::sig::SignatureRefusal;
use prost::Message as _;

use super::schema as raw;
use crate::samples as s;
use crate::{DecodeError as E, Envelope, Limit, Message, Serializer};

const PROTOBUF: Serializer = Serializer::Protobuf;

fn frame(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// What is said to an envelope after this change of its raw form.
fn spoilt(envelope: &Envelope, change: impl FnOnce(&mut raw::Envelope)) -> E {
    let bytes = PROTOBUF.encode(envelope).unwrap();
    assert_eq!(PROTOBUF.decode(&bytes), Ok((envelope.clone(), bytes.len())), "it is healthy");
    let mut raw = raw::Envelope::decode(&bytes[2..]).unwrap();
    change(&mut raw);
    PROTOBUF.decode(&frame(&raw.encode_to_vec())).unwrap_err()
}

fn of_update(change: impl FnOnce(&mut raw::Update)) -> E {
    spoilt(&s::envelope(Message::Update(s::update())), |raw| match &mut raw.msg {
        Some(raw::Msg::Update(update)) => change(update),
        _ => unreachable!(),
    })
}

fn of_state(change: impl FnOnce(&mut raw::State)) -> E {
    of_update(|raw| change(raw.proposed.as_mut().unwrap().state.as_mut().unwrap()))
}

fn of_outcome(change: impl FnOnce(&mut raw::Allocation)) -> E {
    of_state(|raw| change(raw.outcome.as_mut().unwrap()))
}

fn of_proposal(change: impl FnOnce(&mut raw::LedgerProposal)) -> E {
    spoilt(&s::ledger_proposal(), |raw| match &mut raw.msg {
        Some(raw::Msg::LedgerProposal(proposal)) => change(proposal),
        _ => unreachable!(),
    })
}

fn of_base(change: impl FnOnce(&mut raw::Proposal)) -> E {
    of_proposal(|raw| change(raw.base.as_mut().unwrap()))
}

fn of_virtual(change: impl FnOnce(&mut raw::VirtualProposal)) -> E {
    spoilt(&s::virtual_proposal(), |raw| match &mut raw.msg {
        Some(raw::Msg::VirtualProposal(proposal)) => change(proposal),
        _ => unreachable!(),
    })
}

fn of_funding(change: impl FnOnce(&mut raw::VirtualFunding)) -> E {
    spoilt(&s::virtual_funding(), |raw| match &mut raw.msg {
        Some(raw::Msg::VirtualFunding(funding)) => change(funding),
        _ => unreachable!(),
    })
}

fn of_claim(change: impl FnOnce(&mut raw::SignedState)) -> E {
    of_funding(|raw| change(raw.initial.as_mut().unwrap()))
}

fn of_params(change: impl FnOnce(&mut raw::Params)) -> E {
    of_claim(|raw| change(raw.params.as_mut().unwrap()))
}

fn of_sync(change: impl FnOnce(&mut raw::Sync)) -> E {
    spoilt(&s::sync(), |raw| match &mut raw.msg {
        Some(raw::Msg::Sync(sync)) => change(sync),
        _ => unreachable!(),
    })
}

/// Other spellings of the same protobuf message.
#[test]
fn m21_a_message_has_one_spelling() {
    let bytes = PROTOBUF.encode(&s::accept()).unwrap();
    let body = &bytes[2..];
    let refused = |body: &[u8]| PROTOBUF.decode(&frame(body)).unwrap_err();
    assert_eq!(refused(&[body, &[0xa2, 1, 0]].concat()), E::NotCanonical, "an unknown field");
    assert_eq!(refused(&[body, body].concat()), E::NotCanonical, "everything twice");
    assert_eq!(refused(&[&body[..1], &[body[1] | 0x80, 0], &body[2..]].concat()), E::NotCanonical);
    let sender = usize::from(body[1]) + 2;
    let turned = [&body[sender..sender * 2], &body[..sender], &body[sender * 2..]].concat();
    assert_eq!(refused(&turned), E::NotCanonical, "another order");
    assert_eq!(refused(&body[..body.len() - 1]), E::Malformed);
}

#[test]
fn nothing_that_must_be_there_is_missing() {
    assert_eq!(spoilt(&s::accept(), |raw| raw.sender = None), E::Missing);
    assert_eq!(spoilt(&s::accept(), |raw| raw.recipient = None), E::Missing);
    assert_eq!(spoilt(&s::accept(), |raw| raw.msg = None), E::Missing);
    assert_eq!(of_update(|raw| raw.proposed = None), E::Missing);
    assert_eq!(of_state(|raw| raw.outcome = None), E::Missing);
    assert_eq!(of_outcome(|raw| raw.balances = None), E::Missing);
    assert_eq!(of_outcome(|raw| raw.locked[0].balance = None), E::Missing);
    assert_eq!(of_outcome(|raw| raw.locked[0].index_map = None), E::Missing);
    assert_eq!(of_proposal(|raw| raw.base = None), E::Missing);
    assert_eq!(of_proposal(|raw| raw.participant = None), E::Missing);
    assert_eq!(of_base(|raw| raw.funding = None), E::Missing);
    assert_eq!(of_funding(|raw| raw.index_map = None), E::Missing);
    assert_eq!(of_claim(|raw| raw.params = None), E::Missing);
    assert_eq!(of_claim(|raw| raw.state = None), E::Missing);
    assert_eq!(of_sync(|raw| raw.transaction = None), E::Missing);
    let stateless = of_sync(|raw| raw.transaction.as_mut().unwrap().state = None);
    assert_eq!(stateless, E::Missing, "signatures of nothing");
}

/// go-perun pads the short ones and cuts the long ones.
#[test]
fn fields_of_fixed_length_have_it() {
    for length in [31, 33] {
        assert_eq!(of_state(|raw| raw.id.resize(length, 0)), E::Length);
        assert_eq!(of_base(|raw| raw.id.resize(length, 0)), E::Length);
        assert_eq!(of_base(|raw| raw.nonce_share.resize(length, 0)), E::Length);
        assert_eq!(of_outcome(|raw| raw.locked[1].id.resize(length, 0)), E::Length);
        assert_eq!(of_virtual(|raw| raw.parents[1].resize(length, 0)), E::Length);
    }
    for length in [0, 255, 257] {
        assert_eq!(of_base(|raw| raw.aux.resize(length, 0)), E::Length);
        assert_eq!(of_params(|raw| raw.aux.resize(length, 0)), E::Length);
    }
    assert_eq!(of_state(|raw| raw.app.truncate(19)), E::Length);
    assert_eq!(of_outcome(|raw| raw.backends[0].truncate(3)), E::Length);
    let key = |raw: &mut raw::Envelope| raw.sender.as_mut().unwrap().entries[0].backend.push(0);
    assert_eq!(spoilt(&s::accept(), key), E::Length);
}

#[test]
fn h8_outcomes_are_in_shape() {
    assert_eq!(of_outcome(|raw| raw.backends.clear()), E::Shape, "fewer ledgers than assets");
    let ragged = of_outcome(|raw| raw.balances.as_mut().unwrap().rows[0].amounts.clear());
    assert_eq!(ragged, E::Invalid(Invalid::BalanceShape));
    let funding = |raw: &mut raw::Proposal| raw.funding.as_mut().unwrap().rows.clear();
    assert_eq!(of_base(funding), E::Shape);
    assert_eq!(of_state(|raw| raw.app.clear()), E::NotCanonical, "data without an app");
    assert_eq!(of_state(|raw| raw.app = vec![0; 20]), E::NotCanonical, "the app of nobody");
    let amount = |bytes: Vec<u8>| {
        of_outcome(|raw| raw.balances.as_mut().unwrap().rows[0].amounts[0] = bytes)
    };
    assert_eq!(amount(vec![0, 1]), E::NotCanonical);
    assert_eq!(amount(vec![1; 17]), E::Limit(Limit::Amount));
    assert_eq!(amount(vec![0xff; 16]), E::Invalid(Invalid::Amount), "with what is locked");
}

#[test]
fn h8_lists_have_limits() {
    let empty = raw::Address::default();
    let refused = |limit| E::Limit(limit);
    assert_eq!(of_outcome(|raw| raw.assets.resize(17, vec![])), refused(Limit::Assets));
    let locked = |raw: &mut raw::Allocation| raw.locked.resize(33, raw::SubAlloc::default());
    assert_eq!(of_outcome(locked), refused(Limit::Locked));
    let rows = |raw: &mut raw::Allocation| {
        raw.balances.as_mut().unwrap().rows.resize(17, raw::Balance::default());
    };
    assert_eq!(of_outcome(rows), refused(Limit::Assets));
    let columns = |raw: &mut raw::Allocation| {
        raw.balances.as_mut().unwrap().rows[0].amounts.resize(17, vec![]);
    };
    assert_eq!(of_outcome(columns), refused(Limit::Participants));
    let map = |raw: &mut raw::Allocation| {
        raw.locked[0].index_map.as_mut().unwrap().indices.resize(17, 0);
    };
    assert_eq!(of_outcome(map), refused(Limit::IndexMap));
    assert_eq!(of_state(|raw| raw.data.resize(1_025, 0)), refused(Limit::Data));
    assert_eq!(of_proposal(|raw| raw.peers.truncate(1)), refused(Limit::Peers));
    assert_eq!(of_proposal(|raw| raw.peers.resize(17, empty.clone())), refused(Limit::Peers));
    assert_eq!(of_virtual(|raw| raw.parents.resize(17, vec![])), refused(Limit::Parents));
    let maps = |raw: &mut raw::VirtualProposal| raw.index_maps.resize(17, raw::IndexMap::default());
    assert_eq!(of_virtual(maps), refused(Limit::IndexMaps));
    assert_eq!(of_params(|raw| raw.parties.resize(17, empty)), refused(Limit::Participants));
    assert_eq!(of_claim(|raw| raw.signatures.resize(17, vec![])), refused(Limit::Participants));
    let entry = raw::AddressEntry { backend: vec![0, 0, 0, 9], address: vec![1] };
    let names = |raw: &mut raw::Envelope| raw.sender.as_mut().unwrap().entries = vec![entry; 5];
    assert_eq!(spoilt(&s::accept(), names), refused(Limit::Identities));
    let shutdown = s::envelope(Message::Shutdown { reason: String::new() });
    let long = |raw: &mut raw::Envelope| {
        raw.msg = Some(raw::Msg::Shutdown(raw::Shutdown { reason: "x".repeat(4_097) }));
    };
    assert_eq!(spoilt(&shutdown, long), refused(Limit::Reason));
}

#[test]
fn numbers_that_go_perun_widens_are_narrow() {
    let actor = |raw: &mut raw::Update| raw.proposed.as_mut().unwrap().actor = 1 << 16;
    assert_eq!(of_update(actor), E::Limit(Limit::Participants));
    let index =
        |raw: &mut raw::VirtualFunding| raw.index_map.as_mut().unwrap().indices[0] = 1 << 16;
    assert_eq!(of_funding(index), E::Limit(Limit::IndexMap));
    assert_eq!(of_sync(|raw| raw.phase = 12), E::Phase);
    assert_eq!(of_sync(|raw| raw.phase = 256), E::Phase);
}

#[test]
fn signatures_are_strict_and_one_for_each_participant() {
    let short = E::Signature(SignatureRefusal::Length);
    assert_eq!(of_update(|raw| raw.signature.truncate(64)), short);
    assert_eq!(of_update(|raw| raw.signature.clear()), short, "an update is signed");
    let recovery = E::Signature(SignatureRefusal::RecoveryByte);
    assert_eq!(of_update(|raw| raw.signature[64] = 0), recovery);
    let fewer = |raw: &mut raw::Sync| {
        raw.transaction.as_mut().unwrap().signatures.truncate(1);
    };
    assert_eq!(of_sync(fewer), E::Shape);
    assert_eq!(of_claim(|raw| raw.signatures.truncate(1)), E::Shape);
}

#[test]
fn parameters_have_one_spelling() {
    assert_eq!(of_params(|raw| raw.id = vec![1; 32]), E::NotCanonical, "the id is computed");
    assert_eq!(of_params(|raw| raw.nonce = vec![1; 33]), E::Limit(Limit::Nonce));
    assert_eq!(of_params(|raw| raw.nonce[0] = 0), E::NotCanonical);
    assert_eq!(of_params(|raw| raw.challenge_secs = 0), E::Invalid(Invalid::ChallengeDuration));
    let third = |raw: &mut raw::Params| {
        let mut third = raw.parties[0].clone();
        third.entries[0].address[0] ^= 1;
        raw.parties.push(third);
    };
    assert_eq!(of_params(third), E::Shape, "more participants than balances");
}
