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

/// A chain and a pool that do as chance says; what they show is true.
struct World {
    seed: u64,
    head: u64,
    used: u64,
    pool: BTreeMap<u64, B256>,
    /// Height, nonce and hash of everything mined.
    chain: Vec<(u64, u64, B256)>,
    offers: u64,
}

impl World {
    fn chance(&mut self, one_in: u64) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33).is_multiple_of(one_in)
    }

    /// What the pool counts: those that can be mined next.
    fn pending(&self) -> u64 {
        (self.used..).find(|nonce| !self.pool.contains_key(nonce)).unwrap_or(self.used)
    }

    fn offer(&mut self) -> Offer {
        self.offers += 1;
        let hash = keccak256(self.offers.to_be_bytes());
        Offer { hash, fees: Fees { max_fee: u128::from(self.offers), tip: 1 } }
    }

    fn fate(&self, hashes: &[B256]) -> (Fate, Option<B256>) {
        for (number, _, hash) in &self.chain {
            if hashes.contains(hash) {
                let block = keccak256([number.to_be_bytes(), self.seed.to_be_bytes()].concat());
                let fate = Fate::Mined { number: *number, hash: block, succeeded: true };
                return (fate, Some(*hash));
            }
        }
        let waits = self.pool.values().find(|hash| hashes.contains(hash));
        waits.map_or((Fate::Unknown, None), |hash| (Fate::Waiting, Some(*hash)))
    }

    fn mine(&mut self) {
        self.head += 1;
        while let Some(hash) = self.pool.remove(&self.used) {
            self.chain.push((self.head, self.used, hash));
            self.used += 1;
        }
        self.pool.retain(|nonce, _| *nonce >= self.used);
    }

    /// Takes the last block away; what was in it waits again, or is forgotten.
    fn reorganise(&mut self) {
        let last = self.head;
        while let Some((_, nonce, hash)) = self.chain.pop_if(|(number, ..)| *number == last) {
            self.used = nonce;
            if self.chance(2) {
                self.pool.insert(nonce, hash);
            }
        }
        // The chain that won is not shorter.
    }

    fn order(&mut self, book: &mut Book, orders: &mut Vec<Key>) {
        book.adopt(self.used, self.pending(), self.head);
        if book.is_full() {
            return;
        }
        let (nonce, offer) = (book.next_nonce(self.used), self.offer());
        let order = key(self.offers);
        let task = Task { to: Address::ZERO, value: U256::ZERO, input: Bytes::new() };
        let raw = offer.hash.to_vec().into();
        book.start(nonce, Flight::new(order, Some(task), 1, offer, raw, self.head));
        if self.chance(4) {
            return book.free(nonce);
        }
        orders.push(order);
        // Sometimes nobody knows whether it arrived.
        if !self.chance(4) {
            self.pool.insert(nonce, offer.hash);
        }
    }

    fn tend(&mut self, book: &mut Book) {
        book.adopt(self.used, self.pending(), self.head);
        let fates = book.hashes();
        let fates: Vec<_> =
            fates.iter().map(|(nonce, hashes)| (*nonce, self.fate(hashes))).collect();
        let (acts, news) = book.look(self.head, self.used, self.pending(), &fates);
        assert!(!news.iter().any(|one| matches!(one, News::Usurped { .. })), "{}", self.seed);
        for act in acts {
            let offer = self.offer();
            match act {
                Act::Resend(nonce) => {
                    let raw = book.raw(nonce).unwrap();
                    self.pool.insert(nonce, B256::from_slice(&raw));
                }
                Act::Raise(nonce) => {
                    book.raised(nonce, offer, offer.hash.to_vec().into(), self.head);
                    self.pool.insert(nonce, offer.hash);
                }
                Act::Fill(nonce) => {
                    let task = Task { to: Address::ZERO, value: U256::ZERO, input: Bytes::new() };
                    let raw = offer.hash.to_vec().into();
                    let key = Key::filler(nonce);
                    book.start(nonce, Flight::new(key, Some(task), 1, offer, raw, self.head));
                    self.pool.insert(nonce, offer.hash);
                }
            }
        }
    }
}

/// Whatever a pool drops, a provider refuses and a reorganisation undoes: in the end every order
/// that was not refused is mined, once, and nothing waits.
#[test]
fn everything_that_was_sent_is_mined_in_the_end() {
    for seed in 0..400 {
        let (pool, chain) = (BTreeMap::new(), Vec::new());
        let mut world = World { seed, head: HEAD, used: 5, pool, chain, offers: 0 };
        let (mut book, mut orders) = (book(&[]), Vec::new());
        for _ in 0..60 {
            if world.chance(2) {
                world.order(&mut book, &mut orders);
            }
            if world.chance(3) {
                world.mine();
            }
            if world.chance(5) {
                world.pool.pop_last();
            }
            if world.chance(9) {
                world.reorganise();
            }
            if world.chance(2) {
                world.tend(&mut book);
            }
        }
        for _ in 0..20 {
            world.tend(&mut book);
            world.mine();
        }
        world.tend(&mut book);
        assert_eq!(book.waiting_count(), 0, "seed {seed}: {book:?}");
        assert!(world.pool.is_empty(), "seed {seed}");
        let nonces: Vec<u64> = world.chain.iter().map(|(_, nonce, _)| *nonce).collect();
        assert_eq!(nonces, (5..world.used).collect::<Vec<_>>(), "seed {seed}");
        assert!(world.used >= 5 + u64::try_from(orders.len()).unwrap(), "seed {seed}");
    }
}
