//! Healthy bytes with one thing spoiled: each rule of the native decoder refuses what it is for.

use perun_channel::sig::SignatureRefusal;

use crate::samples as s;
use crate::{DecodeError as E, Envelope, Limit, MAX_AUTH_SIGNATURE, Message, Serializer};

const NATIVE: Serializer = Serializer::Native;

/// What is said to the envelope's bytes after the one place that holds `from` holds `to`.
fn spoilt(envelope: &Envelope, from: &[u8], to: &[u8]) -> E {
    let bytes = NATIVE.encode(envelope).unwrap();
    assert_eq!(NATIVE.decode(&bytes), Ok((envelope.clone(), bytes.len())), "it is healthy");
    let places: Vec<_> =
        (0..bytes.len()).filter(|place| bytes[*place..].starts_with(from)).collect();
    let [place] = places[..] else { panic!("{from:02x?} stands at {places:?}") };
    let spoilt = [&bytes[..place], to, &bytes[place + from.len()..]].concat();
    NATIVE.decode(&spoilt).unwrap_err()
}

fn update() -> Envelope {
    s::envelope(Message::Update(s::update()))
}

#[test]
fn there_is_no_seventeenth_message() {
    let shutdown = s::envelope(Message::Shutdown { reason: "why".into() });
    let after = |kind| [&[0x52; 9][..], &[kind]].concat();
    for kind in [17, 18, 255] {
        assert_eq!(spoilt(&shutdown, &after(2), &after(kind)), E::UnknownMessage(kind));
    }
}

#[test]
fn an_app_is_an_address_that_is_not_zero() {
    let app = [&[1, 20, 0][..], &[0xa9; 20]].concat();
    let zero = [&[1, 20, 0][..], &[0; 20]].concat();
    assert_eq!(spoilt(&update(), &app, &zero), E::NotCanonical);
    let short = [&[1, 19, 0][..], &[0xa9; 19]].concat();
    assert_eq!(spoilt(&update(), &app, &short), E::Length);
}

#[test]
fn there_are_no_data_without_an_app() {
    let app = [&[1, 20, 0][..], &[0xa9; 20]].concat();
    assert_eq!(spoilt(&update(), &app, &[0]), E::NotCanonical);
    assert_eq!(spoilt(&s::ledger_proposal(), &app, &[0]), E::NotCanonical);
}

#[test]
fn the_two_dimensions_of_an_outcome_agree() {
    let front =
        |rows, columns| [&[0x1d; 32][..], &[6, 0, 0, 0, 0, 0, 0, 0, rows, 0, columns]].concat();
    assert_eq!(spoilt(&update(), &front(1, 2), &front(1, 1)), E::Shape);
    let balances = |rows, columns| [rows, 0, columns, 0, 4, 7, 8, 9, 0x10, 0];
    assert_eq!(spoilt(&update(), &balances(1, 2), &balances(2, 1)), E::Shape);
    assert_eq!(spoilt(&update(), &balances(1, 2), &balances(17, 1)), E::Limit(Limit::Assets));
    let wide = balances(1, 17);
    assert_eq!(spoilt(&update(), &balances(1, 2), &wide), E::Limit(Limit::Participants));
}

#[test]
fn deposits_have_the_shape_of_the_balances() {
    // Behind the balances of the outcome stand those of the deposits, then the free bytes.
    let funding =
        |rows, columns| [&[rows, 0, columns, 0, 4, 7, 8, 9, 0x10, 0][..], &[0xaa; 256]].concat();
    let proposal = s::ledger_proposal();
    assert_eq!(spoilt(&proposal, &funding(1, 2), &funding(2, 1)), E::Shape);
}

#[test]
fn m21_amounts_have_128_bits_and_no_leading_zeros() {
    let amount = [&[1, 0, 2, 0][..], &[4, 7, 8, 9, 0x10]].concat();
    let zero = [&[1, 0, 2, 0][..], &[5, 0, 7, 8, 9, 0x10]].concat();
    assert_eq!(spoilt(&update(), &amount, &zero), E::NotCanonical);
    let long = [&[1, 0, 2, 0][..], &[17], &[1; 17]].concat();
    assert_eq!(spoilt(&update(), &amount, &long), E::Limit(Limit::Amount));
}

#[test]
fn locked_entries_are_limited_and_named_once() {
    let front = |locked| [1, 0, 2, 0, locked, 0, 1, 0, 0, 0, 36 - 6];
    assert_eq!(spoilt(&update(), &front(2), &front(33)), E::Limit(Limit::Locked));
    let twice = spoilt(&update(), &[0xc1; 32], &[0xc0; 32]);
    assert_eq!(twice, E::Invalid(perun_channel::Invalid::DuplicateLocked));
    let map = |count| [&[0xc1; 32][..], &[1, 0, 2, 0x0a, 0x0b, count]].concat();
    assert_eq!(spoilt(&update(), &map(2), &map(17)), E::Limit(Limit::IndexMap));
}

#[test]
fn m18_a_signature_is_strict() {
    let signature = *s::signature().as_bytes();
    let mut other = signature;
    other[64] -= 27;
    let refused = spoilt(&update(), &signature, &other);
    assert_eq!(refused, E::Signature(SignatureRefusal::RecoveryByte));
}

#[test]
fn a_mask_of_signatures_has_no_bits_to_spare() {
    let signature = *s::signature().as_bytes();
    let masked = |mask: u8| [&[mask][..], &signature].concat();
    assert_eq!(spoilt(&s::sync(), &masked(0b10), &masked(0b110)), E::NotCanonical);
    let swapped = spoilt(&s::sync(), &masked(0b10), &masked(0b11));
    assert!(matches!(swapped, E::Short { .. }), "another signature is due: {swapped:?}");
}

#[test]
fn phases_end_at_eleven() {
    let phase = |phase| [16, phase, 1, 0x1d];
    assert_eq!(spoilt(&s::sync(), &phase(3), &phase(12)), E::Phase);
}

#[test]
fn h1_a_handshakes_signature_is_limited_and_its_length_is_big_endian() {
    let auth = s::envelope(Message::AuthResponse { signature: vec![0x77; 3] });
    let length = |length: u32| [&length.to_be_bytes()[..], &[0x77; 3]].concat();
    let beyond = u32::try_from(MAX_AUTH_SIGNATURE).unwrap() + 1;
    for long in [beyond, u32::MAX, 3 << 24] {
        let refused = spoilt(&auth, &length(3), &length(long));
        assert_eq!(refused, E::Limit(Limit::AuthSignature), "{long}");
    }
}

#[test]
fn a_proposal_names_two_to_sixteen_peers() {
    let entry = |byte| [&[1, 0, 0, 0, 1, 0, 0, 0, 9, 0][..], &[byte; 9]].concat();
    let peers = |count, peers: &[u8]| [&[0xe1; 20][..], &[count, 0, 0, 0], peers].concat();
    let two = peers(2, &[entry(0x53), entry(0x54)].concat());
    let proposal = s::ledger_proposal();
    assert_eq!(spoilt(&proposal, &two, &peers(1, &entry(0x53))), E::Limit(Limit::Peers));
    assert_eq!(spoilt(&proposal, &two, &peers(17, &[])), E::Limit(Limit::Peers));
    assert_eq!(spoilt(&proposal, &two, &peers(0, &[])), E::Limit(Limit::Peers));
}

#[test]
fn h5_a_virtual_proposal_has_no_more_parents_and_maps_than_peers() {
    let proposal = s::virtual_proposal();
    let parents = |count| [&[0x54; 9][..], &[count, 0, 0x71]].concat();
    assert_eq!(spoilt(&proposal, &parents(2), &parents(17)), E::Limit(Limit::Parents));
    let maps = |count| [0x72, 0x72, count, 0, 2, 0, 0, 0, 1, 0];
    assert_eq!(spoilt(&proposal, &maps(2), &maps(17)), E::Limit(Limit::IndexMaps));
}

#[test]
fn h5_a_claim_has_as_many_participants_as_balances() {
    let funding = s::virtual_funding();
    let one = [&[1, 0, 0, 0, 1, 0, 0, 0, 20, 0][..], &[0xe1; 20]].concat();
    let more = [&one[..], &[1, 0, 0, 0, 1, 0, 0, 0, 20, 0], &[0xe3; 20]].concat();
    let count =
        |count, parties: &[u8]| [&[60, 0, 0, 0, 0, 0, 0, 0, count, 0, 0, 0], parties].concat();
    assert_eq!(spoilt(&funding, &count(2, &one), &count(3, &more)), E::Shape);
    let beyond = count(17, &one);
    assert_eq!(spoilt(&funding, &count(2, &one), &beyond), E::Limit(Limit::Participants));
}

#[test]
fn a_nonce_has_256_bits() {
    let nonce = [&[32][..], &[0x4e; 32]].concat();
    let long = [&[33][..], &[0x4e; 33]].concat();
    let funding = s::virtual_funding();
    assert_eq!(spoilt(&funding, &nonce, &long), E::Limit(Limit::Nonce));
    let zero = [&[32, 0][..], &[0x4e; 31]].concat();
    assert_eq!(spoilt(&funding, &nonce, &zero), E::NotCanonical);
}

#[test]
fn reasons_and_data_are_limited() {
    let shutdown = s::envelope(Message::Shutdown { reason: "why".into() });
    let reason = |length: [u8; 2]| [&[2][..], &length, b"why"].concat();
    let refused = spoilt(&shutdown, &reason([3, 0]), &reason([1, 0x10]));
    assert_eq!(refused, E::Limit(Limit::Reason));
    let data = |length: [u8; 2]| [&length[..], &[0xda; 5]].concat();
    assert_eq!(spoilt(&update(), &data([5, 0]), &data([1, 4])), E::Limit(Limit::Data));
}

#[test]
fn h1_names_are_limited() {
    let name =
        |count, length: [u8; 2]| [&[count, 0, 0, 0, 1, 0, 0, 0][..], &length, &[0x51; 9]].concat();
    let healthy = name(1, [9, 0]);
    let spoil = |bytes: Vec<u8>| spoilt(&s::accept(), &healthy, &bytes);
    assert_eq!(spoil(name(5, [9, 0])), E::Limit(Limit::Identities));
    assert_eq!(spoil(vec![0; 4]), E::Limit(Limit::Identities), "nobody");
    assert_eq!(spoil(name(1, [1, 4])), E::Limit(Limit::WireAddress));
    let twice = [&[2, 0, 0, 0][..], &healthy[4..], &healthy[4..]].concat();
    assert_eq!(spoil(twice), E::RepeatedBackend);
}
