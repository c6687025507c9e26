//! A go-perun peer with real keys that does what it likes. The tests are named after the weaknesses
//! of go-perun that `docs/spec/go-perun.md` lists; none of them is to be ours.

use std::collections::BTreeMap;

use perun_channel::{Allocation, Amount, Asset, ChannelId, Signature, State, SubAlloc, Version};
use perun_protocol::{
    Agreed, Body, Command, Config, Crypto, Event, Input, Misuse, PeerProof, PhaseName, Proof,
    RejectReason,
};

use crate::goperun::{
    acked, answers, go_perun, next, offers, open, open_with, proposed, proposes, refused, refuses,
    said, signature, standing, update,
};
use crate::net::Random;
use crate::pair::Pair;

/// A state after the newest one, with the balances as they are but for what `change` does to them.
fn spoilt(
    pair: &Pair,
    change: impl FnOnce(&mut Vec<Asset>, &mut Vec<Vec<Amount>>, &mut Vec<SubAlloc>),
) -> State {
    let state = next(pair, [10, 10]);
    let (mut assets, mut rows) =
        (state.outcome().assets().to_vec(), state.outcome().balances().to_vec());
    let mut locked = Vec::new();
    change(&mut assets, &mut rows, &mut locked);
    state.at_version(state.version(), Allocation::new(assets, rows, locked).unwrap())
}

fn locking(of: u128, map: Vec<u16>) -> SubAlloc {
    SubAlloc::new(ChannelId::new([8; 32]), vec![Amount::new(of)], map)
}

/// Neither the state nor one like it with the last word is signed, and the channel is free.
fn is_refused(pair: &mut Pair, state: &State) {
    for state in [state.clone(), state.clone().finalized()] {
        proposes(pair, &state).unwrap();
        let bodies = said(pair);
        let why = refused(&bodies);
        assert!(matches!(why, Some(RejectReason::State {} | RejectReason::Payments {})), "{why:?}");
        assert_eq!(acked(&bodies), None);
    }
    assert_eq!((pair.phases()[0], pair.version(0)), (PhaseName::Open, 0));
}

fn goes_on(pair: &mut Pair) {
    let [own, theirs] = pair.balances(0);
    let version = pair.version(0) + 1;
    offers(pair, [own + 1, theirs - 1]);
    assert_eq!(acked(&said(pair)), Some(version));
}

/// What locks amounts for a sub-channel is signed by nobody: it is no payment, whoever gives.
#[test]
fn c2_an_update_that_locks_something_is_not_signed() {
    let mut pair = open([10, 10]);
    for (own, peer, of) in [(10, 5, 5), (5, 10, 5), (0, 10, 10), (11, 4, 5)] {
        let state = spoilt(&pair, |_, rows, locked| {
            rows[0] = [own, peer].map(Amount::new).to_vec();
            locked.push(locking(of, vec![]));
        });
        is_refused(&mut pair, &state);
    }
    goes_on(&mut pair);
}

#[test]
fn c4_no_index_map_comes_in_with_an_update() {
    let mut pair = open([10, 10]);
    for map in [vec![], vec![0, 1], vec![1, 0], vec![1, 1]] {
        let state = spoilt(&pair, |_, _, locked| locked.push(locking(0, map)));
        is_refused(&mut pair, &state);
    }
    goes_on(&mut pair);
}

#[test]
fn c5_columns_assets_and_their_ledgers_stay() {
    let mut pair = open([10, 10]);
    let other = |pair: &Pair, kind: u8| {
        spoilt(pair, |assets, rows, _| match kind {
            0 => rows[0].push(Amount::ZERO),
            1 => rows[0] = vec![Amount::new(20)],
            2 => assets[0] = Asset::ckb(1),
            3 => {
                assets.push(Asset::ckb(1));
                rows.push([0, 0].map(Amount::new).to_vec());
            }
            _ => rows[0] = [u128::MAX / 2, u128::MAX / 2].map(Amount::new).to_vec(),
        })
    };
    for kind in 0..5 {
        let state = other(&pair, kind);
        is_refused(&mut pair, &state);
    }
    goes_on(&mut pair);
}

#[test]
fn c7_a_last_state_locks_nothing() {
    let mut pair = open([10, 10]);
    let state = spoilt(&pair, |_, rows, locked| {
        rows[0] = [10, 5].map(Amount::new).to_vec();
        locked.push(locking(5, vec![0, 1]));
    });
    is_refused(&mut pair, &state.finalized());
    goes_on(&mut pair);
}

/// Answers that nobody waits for block nothing, whatever they say and however often.
#[test]
fn h4_answers_without_a_question_block_nothing() {
    let mut pair = open([10, 10]);
    for round in 0..50 {
        for version in [0, 1, 2, round, u64::MAX] {
            refuses(&mut pair, version);
            let state = next(&pair, [0, 20]);
            let (version, signature) = (Version::new(version), signature(&pair, 1, &state));
            let _ = pair.forge(1, Body::Ack { version, wants_turn: true, signature });
        }
    }
    assert_eq!(said(&mut pair), []);
    pair.pay(0, 2);
    let ours = proposed(&said(&mut pair)).unwrap();
    (0..3).for_each(|_| answers(&mut pair, &ours));
    refuses(&mut pair, 1);
    assert_eq!((pair.balances(0), pair.failed(0).len()), ([8, 12], 0));
    goes_on(&mut pair);
}

/// Nothing is held while a user thinks, so nothing can be given back twice.
#[test]
fn h10_a_sync_while_our_user_is_asked_changes_nothing() {
    let mut pair = open_with(Config { accept_close: false, ..go_perun() }, [10, 10]);
    pair.users_answer = false;
    let last = next(&pair, [10, 10]).finalized();
    proposes(&mut pair, &last).unwrap();
    let now = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let shown = standing(&pair, &now);
    for _ in 0..20 {
        pair.forge(1, shown.clone()).unwrap();
        proposes(&mut pair, &last).unwrap();
    }
    assert_eq!((said(&mut pair), pair.phases()[0]), (vec![], PhaseName::CloseAsked));
    pair.user(0, Command::AcceptClose);
    assert_eq!(acked(&said(&mut pair)), Some(1));
}

/// After a new connection an update is there twice, and so is its refusal. The second one ends our
/// wait for the filler; the peer signs it all the same, and must not stay one version above us.
#[test]
fn h15_a_second_refusal_does_not_cost_the_answer_that_comes_after_it() {
    let given_up = |late: &dyn Fn(&mut Pair, &State)| {
        let mut pair = open([10, 10]);
        pair.pay(0, 2);
        pair.feed(0, Input::Connected).unwrap();
        said(&mut pair);
        refuses(&mut pair, 1);
        let filler = proposed(&said(&mut pair)).unwrap();
        refuses(&mut pair, 1);
        assert_eq!((pair.phases()[0], pair.version(0)), (PhaseName::Open, 0));
        late(&mut pair, &filler);
        assert_eq!((pair.phases()[0], pair.version(0)), (PhaseName::Open, 1));
        assert_eq!(said(&mut pair), []);
        goes_on(&mut pair);
        pair.revive(0);
        assert_eq!((pair.version(0), pair.balances(0)), (2, [11, 9]));
    };
    given_up(&|pair, filler| answers(pair, filler));
    given_up(&|pair, filler| {
        let shown = standing(pair, filler);
        pair.forge(1, shown).unwrap();
    });
}

/// go-perun takes no version but the next, so the one that it refused is filled first, whenever.
#[test]
fn h15_a_payment_long_after_a_refusal_begins_with_the_filler() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    refuses(&mut pair, 1);
    let filler = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    said(&mut pair);
    pair.pay(0, 3);
    assert_eq!(proposed(&said(&mut pair)), Some(filler.clone()));
    answers(&mut pair, &filler);
    let payment = proposed(&said(&mut pair)).unwrap();
    assert_eq!(payment.version(), Version::new(2));
    answers(&mut pair, &payment);
    assert_eq!(pair.balances(0), [7, 13]);
}

/// Only the filler is taken late, and only with the peer's signature.
#[test]
fn h15_no_other_late_answer_counts() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let first = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    let filler = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    for (of, state) in [(1, &first), (0, &filler)] {
        let signature = signature(&pair, of, state);
        let late = Body::Ack { version: Version::new(1), wants_turn: false, signature };
        assert!(pair.forge(1, late).is_err());
    }
    let unasked = Body::Ack {
        version: Version::new(2),
        wants_turn: false,
        signature: signature(&pair, 1, &filler),
    };
    assert!(pair.forge(1, unasked).is_err());
    assert_eq!((pair.version(0), said(&mut pair)), (0, vec![]));
}

/// What the peer has in its hands: states, and our signature on those that we signed.
struct Hands {
    random: Random,
    states: Vec<State>,
    ours: BTreeMap<Vec<u8>, Signature>,
    ordered: u128,
}

impl Hands {
    fn pick(&mut self) -> State {
        let at = self.below(self.states.len());
        self.states[at].clone()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(end).unwrap())).unwrap()
    }

    /// Keeps all that our node has said, with its signatures.
    fn listen(&mut self, pair: &mut Pair) {
        let mut keep = |state: &State, signature: Signature| {
            let bytes = perun_channel::codec::Encode::to_bytes(state);
            if self.ours.insert(bytes, signature).is_none() {
                self.states.push(state.clone());
            }
        };
        for body in said(pair) {
            match body {
                Body::Update { state, signature, .. } => keep(&state, signature),
                Body::Sync { state, proof: Some(proof), .. } => keep(&state, proof.mine),
                Body::Ack { version, signature, .. } => {
                    let agreed = &pair.nodes[0].machine.agreed().unwrap().state;
                    if agreed.version() == version {
                        keep(agreed, signature);
                    }
                }
                _ => {}
            }
        }
    }

    /// Some next state: sometimes a gift, sometimes a theft, of some version.
    fn invent(&mut self, pair: &Pair) -> State {
        let [own, theirs] = pair.balances(0);
        let (own, theirs) = match self.below(4) {
            0 => (own, theirs),
            1 if theirs > 0 => (own + 1, theirs - 1),
            2 if own > 0 => (own - 1, theirs + 1),
            _ => [(0, 20), (20, 0), (10, 10), (20, 20)][self.below(4)],
        };
        let state = next(pair, [own, theirs]);
        let version = state.version().get();
        let version = match self.below(6) {
            0 => [0, 1, version - 1, version + 1, u64::MAX - 1, u64::MAX][self.below(6)],
            _ => version,
        };
        let state = state.at_version(Version::new(version), state.outcome().clone());
        let state = if self.below(12) == 0 { state.finalized() } else { state };
        self.states.push(state.clone());
        state
    }

    fn signature(&mut self, pair: &Pair, state: &State) -> Signature {
        let bytes = perun_channel::codec::Encode::to_bytes(state);
        let known = self.ours.get(&bytes).copied();
        known.filter(|_| self.below(2) == 0).unwrap_or_else(|| signature(pair, 1, state))
    }

    fn say(&mut self, pair: &mut Pair) {
        let state = if self.below(3) == 0 { self.pick() } else { self.invent(pair) };
        let version = if self.below(8) == 0 { Version::new(1) } else { state.version() };
        let mine = signature(pair, 1, &state);
        let body = match self.below(9) {
            0..=2 => update(pair, &state),
            3 => Body::Update {
                state: self.pick(),
                payments: Default::default(),
                after: perun_protocol::Handover::Keep {},
                signature: mine,
            },
            4 | 5 => Body::Ack { version, wants_turn: false, signature: mine },
            6 => Body::Reject { version, reason: RejectReason::User {} },
            7 => {
                let yours = self.signature(pair, &state);
                let (next_version, proof) = (version, Some(Proof { mine, yours }));
                Body::Sync { state, next_version, proof }
            }
            _ => Body::Sign { signature: mine },
        };
        let _ = pair.forge(1, body.clone());
        if self.below(5) == 0 {
            let _ = pair.forge(1, body);
        }
    }

    /// Takes a state that our node signed to the ledger.
    fn register(&mut self, pair: &mut Pair) {
        let state = self.pick();
        let bytes = perun_channel::codec::Encode::to_bytes(&state);
        let Some(ours) = self.ours.get(&bytes) else { return };
        let proof = PeerProof { digest: pair.keys.digest(&state), signature: *ours };
        let agreed = Agreed { state: state.clone(), proof: Some(proof) };
        let own = signature(pair, 1, &state);
        pair.vault.register(1, *state.id(), &agreed, own);
        pair.report();
        pair.settle_without_net();
    }

    fn act(&mut self, pair: &mut Pair) {
        match self.below(24) {
            0..=3 => {
                let payment = pair.payment(0, 1);
                if pair.feed(0, Input::Command(Command::Pay(payment))).is_ok() {
                    self.ordered += 1;
                }
            }
            4 => drop(pair.feed(0, Input::Connected)),
            5 => pair.revive(0),
            6 => {
                pair.now = pair.now.after(60);
                pair.feed(0, Input::Tick).unwrap();
            }
            7 if self.below(8) == 0 => drop(pair.feed(0, Input::Command(Command::Close))),
            8 if self.below(8) == 0 => self.register(pair),
            9 => {
                // The one who is cheated would answer what is in flight at some time.
                if let Some(state) = self.states.last().cloned() {
                    answers_if_it_can(pair, &state);
                }
            }
            _ => self.say(pair),
        }
    }
}

fn answers_if_it_can(pair: &mut Pair, state: &State) {
    let (version, signature) = (state.version(), signature(pair, 1, state));
    let _ = pair.forge(1, Body::Ack { version, wants_turn: false, signature });
}

fn got(pair: &Pair) -> u128 {
    let received = pair.nodes[0].events.iter().filter_map(|event| match event {
        Event::PaymentReceived(payment) => Some((payment.id, payment.amount.get())),
        _ => None,
    });
    received.collect::<BTreeMap<_, _>>().values().sum()
}

/// Hundreds of lives with such a peer, which keeps every signature of ours and takes any of them
/// to the ledger. We never end with less than we began with, and were given, less what our user
/// ordered. [`Pair`] itself sees to it that no version is signed with two contents that move money.
#[test]
fn whatever_a_peer_says_we_lose_no_more_than_we_ordered() {
    const LIVES: u64 = 600;
    let (mut settled, mut highest) = (0, 0);
    for seed in 0..LIVES {
        let mut pair = open([10, 10]);
        pair.nodes[1].is_silent = true;
        let random = Random::new(seed);
        let first = pair.nodes[0].machine.agreed().unwrap().state.clone();
        let states = vec![first];
        let mut hands = Hands { random, states, ours: BTreeMap::new(), ordered: 0 };
        for _ in 0..40 {
            hands.act(&mut pair);
            pair.settle_without_net();
            hands.listen(&mut pair);
            assert!(pair.nodes[0].machine.queued() <= 20, "seed {seed}");
        }
        highest = highest.max(pair.version(0));
        hands.register(&mut pair);
        let left = pair.feed(0, Input::Command(Command::Dispute));
        assert!(left.is_ok() || left == Err(Misuse::NotNow.into()), "seed {seed}: {left:?}");
        pair.settle().wait();
        let payout = pair.payout(0).unwrap_or_else(|| panic!("seed {seed}: stuck"));
        let floor = 10 + got(&pair) - hands.ordered.min(10 + got(&pair));
        assert!(payout >= floor, "seed {seed}: {payout} of {floor}");
        settled += 1;
    }
    assert_eq!(settled, LIVES);
    assert!(highest > 8, "channels hardly lived: {highest}");
}
