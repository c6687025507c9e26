use super::*;

const HEAD: u64 = 100;
const LIMITS: Limits = Limits { stuck_blocks: 3, depth: 10, flights_max: 8 };

fn key(number: u64) -> Key {
    Key::filler(number.wrapping_add(1_000))
}

fn offer(byte: u8) -> Offer {
    Offer { hash: B256::repeat_byte(byte), fees: Fees { max_fee: 10, tip: 1 } }
}

fn flight(number: u64, byte: u8) -> Flight {
    let task = Task { to: Address::ZERO, value: U256::from(5), input: Bytes::new() };
    Flight::new(key(number), Some(task), 100, offer(byte), vec![byte].into(), HEAD)
}

/// A book with flights at these nonces; the hash of each repeats its nonce.
fn book(nonces: &[u8]) -> Book {
    let mut book = Book::new(LIMITS);
    for nonce in nonces {
        book.start(u64::from(*nonce), flight(u64::from(*nonce), *nonce));
    }
    book
}

fn waiting(nonce: u8) -> (u64, (Fate, Option<B256>)) {
    (nonce.into(), (Fate::Waiting, Some(B256::repeat_byte(nonce))))
}

fn lost(nonce: u8) -> (u64, (Fate, Option<B256>)) {
    (nonce.into(), (Fate::Unknown, None))
}

fn mined(nonce: u8, number: u64, block: u8, succeeded: bool) -> (u64, (Fate, Option<B256>)) {
    let fate = Fate::Mined { number, hash: B256::repeat_byte(block), succeeded };
    (nonce.into(), (fate, Some(B256::repeat_byte(nonce))))
}

#[test]
fn the_lowest_free_nonce_is_given_out() {
    assert_eq!(book(&[]).next_nonce(7), 7);
    assert_eq!(book(&[7, 8]).next_nonce(7), 9);
    let mut gapped = book(&[7, 8, 9]);
    gapped.free(8);
    assert_eq!(gapped.next_nonce(7), 8, "what was given back is used first");
    assert_eq!(gapped.next_nonce(20), 20, "the account went on elsewhere");
}

#[test]
fn a_gap_below_others_is_filled() {
    let mut book = book(&[7, 8, 9]);
    book.free(7);
    let (acts, _) = book.look(HEAD, 7, 7, &[waiting(8), waiting(9)]);
    assert_eq!(acts, [Act::Fill(7)]);
    let (acts, _) = book.look(HEAD, 7, 8, &[waiting(8), waiting(9)]);
    assert_eq!(acts, [], "the pool has something there");
}

#[test]
fn what_the_node_lost_is_sent_again_and_what_is_stuck_is_raised() {
    let mut book = book(&[7, 8]);
    let (acts, news) = book.look(HEAD, 7, 9, &[lost(7), waiting(8)]);
    assert_eq!((acts, news), (vec![Act::Resend(7)], vec![]));
    let (acts, _) = book.look(HEAD + 2, 7, 9, &[waiting(7), waiting(8)]);
    assert_eq!(acts, []);
    let (acts, _) = book.look(HEAD + 3, 7, 9, &[lost(7), waiting(8)]);
    assert_eq!(acts, [Act::Raise(7), Act::Raise(8)], "a pool may have dropped it for its price");
    book.raised(7, offer(0x77), vec![0x77].into(), HEAD + 3);
    let (acts, _) = book.look(HEAD + 4, 7, 9, &[waiting(7), waiting(8)]);
    assert_eq!(acts, [Act::Raise(8)], "a raised one is given its time");
}

#[test]
fn a_landing_is_told_once_and_a_buried_one_is_forgotten() {
    let mut book = book(&[7]);
    let (_, news) = book.look(HEAD + 1, 8, 8, &[mined(7, HEAD + 1, 0xb1, true)]);
    assert!(
        matches!(&news[..], [News::Landed(landed)] if landed.succeeded && landed.key == key(7))
    );
    assert_eq!(book.waiting_count(), 0);
    let (_, news) = book.look(HEAD + 9, 8, 8, &[mined(7, HEAD + 1, 0xb1, true)]);
    assert_eq!((news, book.hashes().len()), (vec![], 1), "one block short of its depth");
    book.look(HEAD + 10, 8, 8, &[mined(7, HEAD + 1, 0xb1, true)]);
    assert!(book.hashes().is_empty());
}

#[test]
fn a_reorganisation_brings_a_flight_back() {
    let mut book = book(&[7]);
    book.look(HEAD + 1, 8, 8, &[mined(7, HEAD + 1, 0xb1, true)]);
    let (acts, news) = book.look(HEAD + 2, 7, 7, &[lost(7)]);
    assert_eq!((acts, news), (vec![Act::Resend(7)], vec![]));
    assert!(book.waiting(&key(7)).is_some());
    let (_, news) = book.look(HEAD + 3, 8, 8, &[mined(7, HEAD + 3, 0xb3, false)]);
    assert!(matches!(&news[..], [News::Landed(landed)] if !landed.succeeded));
}

#[test]
fn another_use_of_the_key_is_noticed_but_not_at_first_sight() {
    let mut book = book(&[7]);
    for _ in 1..LOST_LOOKS {
        assert_eq!(book.look(HEAD, 8, 8, &[lost(7)]), (vec![], vec![]));
    }
    let (_, news) = book.look(HEAD, 8, 8, &[lost(7)]);
    assert_eq!(news, [News::Usurped { key: key(7), nonce: 7 }]);
    assert!(book.hashes().is_empty());
}

#[test]
fn a_receipt_that_comes_late_is_no_other_use() {
    let mut book = book(&[7]);
    book.look(HEAD, 8, 8, &[lost(7)]);
    book.look(HEAD, 8, 8, &[mined(7, HEAD, 0xb1, true)]);
    book.look(HEAD, 8, 8, &[lost(7)]);
    let (_, news) = book.look(HEAD, 8, 8, &[lost(7)]);
    assert_eq!(news, [], "two looks in a row, not three");
}

#[test]
fn strangers_keep_their_place_until_they_are_stuck_or_gone() {
    let mut book = book(&[8]);
    assert_eq!(book.adopt(7, 9, HEAD), [News::Stranger { nonce: 7 }]);
    assert_eq!(book.adopt(7, 9, HEAD), [], "told once");
    assert_eq!(book.next_nonce(7), 9);
    assert_eq!(book.raw(7), None, "there is nothing to send again");
    let (acts, _) = book.look(HEAD + 1, 7, 9, &[lost(7), waiting(8)]);
    assert_eq!(acts, []);
    let (acts, _) = book.look(HEAD + 3, 7, 9, &[lost(7), waiting(8)]);
    assert_eq!(acts, [Act::Raise(7), Act::Raise(8)]);
    let (_, news) = book.look(HEAD + 4, 8, 9, &[lost(7), waiting(8)]);
    assert_eq!((news, book.flight(7)), (vec![], None));
}

#[test]
fn what_waits_is_promised_with_its_dearest_offer() {
    let mut book = book(&[7, 8]);
    assert_eq!(book.promised(), U256::from(2 * (100 * 10 + 5)));
    let dear = Offer { hash: B256::repeat_byte(9), fees: Fees { max_fee: 20, tip: 2 } };
    book.raised(8, dear, vec![9].into(), HEAD);
    assert_eq!(book.promised(), U256::from(100 * 10 + 5 + 100 * 20 + 5));
    book.look(HEAD, 8, 9, &[mined(7, HEAD, 1, true), waiting(8)]);
    assert_eq!(book.promised(), U256::from(100 * 20 + 5), "what is mined was paid");
}

#[test]
fn flights_are_limited() {
    let full: Vec<u8> = (0..8).collect();
    assert!(book(&full).is_full() && !book(&full[1..]).is_full());
    let mut empty = book(&[]);
    assert_eq!(empty.adopt(0, u64::MAX, HEAD).len(), LIMITS.flights_max);
}

#[test]
fn keys_of_different_orders_differ() {
    let (one, two) = (ChannelId::new([1; 32]), ChannelId::new([2; 32]));
    let keys = [
        Key::new("register", &one, &[]),
        Key::new("register", &two, &[]),
        Key::new("close", &one, &[]),
        Key::new("close", &one, &[0]),
        Key::of_account("close", Address::ZERO),
        Key::filler(0),
        Key::filler(1),
    ];
    for (position, key) in keys.iter().enumerate() {
        assert!(!keys[..position].contains(key));
    }
}
