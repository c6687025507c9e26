//! Nodes that fail, omit, repeat and go back: events may be late, never wrong, and none is lost.

use crate::scene::{Scene, Watcher, channel_type, words};
use ckb_types::{
    core::{BlockView, HeaderView},
    packed::{Byte32, OutPoint},
};
use perun_backend_ckb::follow::{ChannelEvent, FollowError, Standing, sync};
use perun_backend_ckb::rpc::{
    BlockId, Cell, Cursor, DevControl, Page, Rpc, RpcError, SearchKey, Touch, TransactionLookup,
    TransactionStatus, View,
};
use perun_embedded_ckb::Chain;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// One answer in this many is bad.
const ONE_IN: u64 = 12;

/// A node with faults that a seed decides.
pub(crate) struct Faulty {
    pub(crate) chain: Chain,
    /// The chain as it was some time ago: what a stale server answers.
    pub(crate) past: Mutex<Chain>,
    /// Nothing: no random faults.
    pub(crate) random: Option<AtomicU64>,
    /// Whether the index shows nothing of any lock's history.
    pub(crate) hides_history: bool,
    /// What it says of every cell's liveness, if it lies about that.
    pub(crate) says_live: Option<bool>,
}

/// What is wrong with an answer.
enum Fault {
    Error,
    Stale,
    Omission,
    Repetition,
}

impl Faulty {
    fn new(chain: &Chain, seed: u64) -> Self {
        Self { random: Some(AtomicU64::new(seed * 2 + 1)), ..Self::steady(chain) }
    }

    /// A node that only has the lies that a test gives it.
    pub(crate) fn steady(chain: &Chain) -> Self {
        let past = Mutex::new(chain.fork());
        let (random, hides_history, says_live) = (None, false, None);
        Self { chain: chain.clone(), past, random, hides_history, says_live }
    }

    /// The next number of an xorshift generator.
    fn roll(&self) -> u64 {
        let Some(random) = &self.random else { return 1 };
        let mut x = random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        random.store(x, Ordering::Relaxed);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn fault(&self) -> Option<Fault> {
        if !self.roll().is_multiple_of(ONE_IN) {
            return None;
        }
        Some(match self.roll() % 4 {
            0 => Fault::Error,
            1 => Fault::Stale,
            2 => Fault::Omission,
            _ => Fault::Repetition,
        })
    }

    /// The good answer, or a stale one, an omission, or that to another question.
    fn answer<T>(
        &self,
        ask: impl Fn(&Chain) -> Result<T, RpcError>,
        omit: impl Fn() -> Option<T>,
        repeat: impl Fn(&Chain) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        match self.fault() {
            None => ask(&self.chain),
            Some(Fault::Error) => Err(RpcError::Transport("the line is cut".to_owned())),
            Some(Fault::Stale) => ask(&self.past.lock().unwrap()),
            Some(Fault::Omission) => omit().map_or_else(|| ask(&self.chain), Ok),
            Some(Fault::Repetition) => repeat(&self.chain),
        }
    }
}

impl Faulty {
    fn node(&self) -> &dyn Rpc {
        &self.chain
    }
}

impl Rpc for Faulty {
    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        let below = |chain: &Chain| {
            let tip = chain.tip_header()?.number();
            Ok(chain.header_by_number(tip.saturating_sub(1))?.unwrap())
        };
        self.answer(Rpc::tip_header, || None, below)
    }
    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError> {
        let repeat = |chain: &Chain| chain.header_by_number(number.saturating_sub(1));
        self.answer(|chain| chain.header_by_number(number), || Some(None), repeat)
    }
    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError> {
        let repeat = |chain: &Chain| {
            // The right header over a block with a transaction left out.
            let block = chain.block_by_number(number)?;
            Ok(block.map(|block| {
                let kept = block.transactions().into_iter().take(1);
                let cut = block.as_advanced_builder().set_transactions(kept.collect());
                cut.build_unchecked()
            }))
        };
        self.answer(|chain| chain.block_by_number(number), || Some(None), repeat)
    }
    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        let unknown = || {
            let status = TransactionStatus::Unknown;
            Some(TransactionLookup {
                status,
                transaction: None,
                cycles: None,
                replace_fee_min: None,
            })
        };
        self.answer(|chain| chain.transaction(hash), unknown, |chain| chain.transaction(hash))
    }
    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        let ask = |chain: &Chain| chain.live_cell(out_point, view);
        if let Some(live) = self.says_live {
            let (output, data) = Default::default();
            let cell = Cell { out_point: out_point.clone(), output, data };
            return Ok(live.then_some(cell));
        }
        self.answer(ask, || Some(None), ask)
    }
    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError> {
        let twice = |chain: &Chain| {
            let mut page = chain.transactions(key, after, limit)?;
            page.rows.extend(page.rows.clone());
            Ok(page)
        };
        let none = || Some(Page { rows: Vec::new(), next: None });
        if self.hides_history {
            return Ok(Page { rows: Vec::new(), next: None });
        }
        self.answer(|chain| chain.transactions(key, after, limit), none, twice)
    }
    fn index_tip(&self) -> Result<BlockId, RpcError> {
        self.answer(Rpc::index_tip, || None, Rpc::index_tip)
    }
    fn pool(&self) -> Result<Vec<Byte32>, RpcError> {
        self.answer(Rpc::pool, || Some(Vec::new()), Rpc::pool)
    }
    perun_embedded_ckb::forward_rpc! {
        chain header_by_hash block_by_hash send_transaction cells fee_rate estimate_cycles
    }
}

/// What is settled and not reverted, in order, each once.
fn settled(events: &[ChannelEvent]) -> Vec<String> {
    let mut known: Vec<(ChannelEvent, String)> = Vec::new();
    for event in events {
        known.retain(|(other, _)| other.key() != event.key());
        let word = words(event);
        if word.starts_with("settled") {
            known.push((event.clone(), word.split(' ').skip(2).collect::<Vec<_>>().join(" ")));
        }
    }
    known.into_iter().map(|(_, word)| word).collect()
}

fn story(seed: u64) {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let pact = &pacts[0];
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pact.watch(2, &open)).unwrap();
    let faulty = Faulty::new(&scene.chain, seed);
    let (register, disputed) = scene.register(pact, &pact.state(2), 0);
    let (refute, last) = scene.register(&disputed, &pact.state(3), 1);
    let close = scene.close_final(&last, &pact.state(8).finalized());
    let mut events = Vec::new();
    let mut walk = |watcher: &mut Watcher, rpc: &dyn Rpc| {
        let before = watcher.0.clone();
        match sync(rpc, &channel_type(), &mut watcher.0) {
            Ok(walk) => events.extend(walk.events),
            Err(FollowError::Rpc(_) | FollowError::Inconsistent(_)) => {
                assert_eq!(watcher.0, before, "seed {seed}: a failure changed something");
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    };
    for tx in [open, register, refute, close] {
        scene.chain.send_transaction(&tx).unwrap();
        let blocks = if seed.is_multiple_of(3) { 90 } else { 5 };
        for _ in 0..5 {
            walk(&mut watcher, &faulty);
            scene.chain.mine(if blocks == 90 { 90 } else { 1 }).unwrap();
            if faulty.roll().is_multiple_of(4) {
                *faulty.past.lock().unwrap() = scene.chain.fork();
            }
        }
    }
    // The node heals: a few walks bring everything.
    for _ in 0..10 {
        walk(&mut watcher, &scene.chain);
    }
    let told = settled(&events);
    let expected = ["opened", "registered 2", "registered 3", "closed 8"];
    assert_eq!(told, expected, "seed {seed}: {:?}", events.iter().map(words).collect::<Vec<_>>());
    assert!(!events.iter().any(|event| matches!(event, ChannelEvent::Reverted(_))), "seed {seed}");
}

#[test]
fn a_node_that_fails_omits_repeats_and_goes_back_only_delays_events() {
    (0..24).for_each(story);
}

#[test]
fn a_node_that_is_behind_changes_nothing() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(2, &open)).unwrap();
    let stale = scene.chain.fork();
    scene.commit(&[&open]);
    assert_eq!(watcher.told(&scene.chain), ["included 1 opened"]);
    let walk = watcher.walk(&stale);
    assert_eq!((walk.standing, walk.events.len()), (Standing::NodeBehind, 0));
    scene.chain.mine(1).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["settled 2 opened"]);
}
