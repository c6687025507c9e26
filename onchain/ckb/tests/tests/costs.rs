//! What the scripts cost: cycles of the channel type and the vault locks, and bytes of the
//! transaction.
//!
//! Owners' locks and the submitter's are not counted; they are not ours. `--nocapture` prints the
//! tables.

use perun_channel::Version;
use perun_channel::adjudicator::{Action, Decision};
use perun_onchain_tests::spoil::{body_of, refused};
use perun_onchain_tests::story::{Stands, Story, delegate, own};
use perun_onchain_tests::{At, CKB, Channel, ConsentKind, LegTerms, Sketch, Terms};

/// One recovery of a public key, by measurement: a close less a conclusion, per signature.
const SIGNATURE: u64 = 1_150_000;
/// What everything but the signatures may cost for one of many closes.
const OVERHEAD: u64 = 350_000;
/// What a node lets into its pool.
const POOL: u64 = 70_000_000;
/// What the submitter's lock may cost.
const SUBMITTER: u64 = 1_800_000;

fn later(channel: &Channel, version: u64) -> perun_channel::State {
    let mut balances = channel.opening.clone();
    balances[0] -= u128::from(version);
    balances[1] += u128::from(version);
    channel.state(version, &balances)
}

fn kinds() -> [(&'static str, Terms); 3] {
    let wide = Terms::of("alice", 16);
    [
        ("2 parties, CKB", Terms::of("alice", 2)),
        ("2 parties, CKB and a token", Terms::of("alice", 2).with_tokens(&["a"])),
        ("16 parties, CKB", wide),
    ]
}

/// Every action on a channel of these terms.
fn actions(terms: &Terms) -> Vec<(&'static str, Story)> {
    let channel = terms.living("measured");
    let (open, disputed) =
        (Stands::open(&channel), Stands::disputed(&later(&channel, 3), &[own(0)]));
    let mut stories = Vec::new();
    let mut tell = |name, tell: &dyn Fn(&mut Story)| {
        let mut story = Story::default();
        tell(&mut story);
        stories.push((name, story.submitted()));
    };
    tell("create", &|story| drop(story.create(terms, None)));
    if terms.tokens.is_empty() {
        tell("create, first deposit", &|story| drop(story.create(terms, Some(1))));
        let all = u32::MAX >> (32 - terms.parties.len());
        tell("fund the rest", &|story| story.fund(&channel, 1, all));
        tell("abort funding", &|story| story.abort(&channel, 1));
    }
    tell("register version 0", &|story| {
        story.register(&channel, &open, &channel.initial(), own(0));
    });
    tell("register", &|story| story.register(&channel, &open, &later(&channel, 5), own(0)));
    tell("refute by delegate", &|story| {
        story.register(&channel, &disputed, &later(&channel, 5), delegate(1));
    });
    tell("conclude", &|story| story.conclude(&channel, &disputed, 0));
    let secret = [7; 32];
    let legs: Vec<LegTerms> =
        (0..channel.setup.rows().len()).map(|row| (row, 0, 1, 2_000_000_000, 5)).collect();
    let swapping = channel.swapping(&later(&channel, 3), &secret, &legs);
    let swapping = Stands::disputed(&swapping, &[own(0)]);
    tell("conclude, claim a swap", &|story| {
        story.decide(&channel, &swapping, 0, Some(Decision::Claim(secret)));
    });
    tell("conclude, let a swap lapse", &|story| {
        story.decide(&channel, &swapping, 0, Some(Decision::Refund));
    });
    let rows = channel.token_rows().iter().map(|row| 1 << row).sum();
    if rows != 0 {
        tell("conclude without tokens", &|story| story.conclude(&channel, &disputed, rows));
        tell("withdraw", &|story| {
            story.withdraw(&channel, &Stands::concluded(&disputed.state, rows), 0);
        });
    }
    tell("close", &|story| story.close(&channel, &open, &later(&channel, 5).finalized(), 0));
    tell("cooperative spend", &|story| {
        let kinds = vec![ConsentKind::Signature; channel.parties()];
        story.agree(&channel, &open, &kinds);
        story.pay_out(&channel, &channel.initial());
    });
    stories
}

#[test]
fn every_action_by_itself() {
    for (kind, terms) in kinds() {
        println!("| {kind} | channel type | vault locks | bytes |\n|---|---|---|---|");
        for (name, mut story) in actions(&terms) {
            let trial = story.trial();
            assert_eq!(trial.verdict, Ok(()), "{name}");
            let bytes = story.seal().bytes();
            println!("| {name} | {} | {} | {bytes} |", trial.channel_cycles, trial.vault_cycles);
            let signatures = if name == "fund the rest" { 0 } else { terms.parties.len() };
            let limit = OVERHEAD * 3 + SIGNATURE * u64::try_from(signatures).unwrap();
            assert!(trial.channel_cycles + trial.vault_cycles < limit, "{kind}, {name}");
        }
    }
}

/// `count` channels of one hub in one transaction, payouts of the hub in one cell.
fn batch(count: usize, act: impl Fn(&mut Story, &Channel, bool)) -> (u64, usize) {
    let mut story = Story::default();
    for index in 0..count {
        let mut terms = Terms::of(&format!("user{index}-"), 2);
        terms.parties[0] = perun_onchain_tests::Party::named("hub");
        act(&mut story, &terms.living("batch"), index == 0);
    }
    let hub = perun_onchain_tests::lock_named("hub");
    let cells = &mut story.draft.outputs;
    let all: u64 = cells.iter().filter(|cell| cell.lock == hub).map(|cell| cell.capacity).sum();
    cells.retain(|cell| cell.lock != hub);
    story.draft.make_plain(&hub, all);
    let mut story = story.submitted();
    let trial = story.trial();
    assert_eq!(trial.verdict, Ok(()));
    (trial.channel_cycles + trial.vault_cycles, story.seal().bytes())
}

#[test]
fn twenty_five_closes_fit_into_one_transaction() {
    let close = |story: &mut Story, channel: &Channel, _: bool| {
        story.close(channel, &Stands::open(channel), &later(channel, 5).finalized(), 0);
    };
    for count in [1, 5, 25] {
        let (cycles, bytes) = batch(count, close);
        println!("{count} closes: {cycles} cycles, {bytes} bytes");
        assert!(count != 25 || cycles + SUBMITTER < POOL);
    }
}

#[test]
fn forty_cooperative_spends_of_one_hub_fit_into_one_transaction() {
    let agree = |story: &mut Story, channel: &Channel, first: bool| {
        let hub = if first { ConsentKind::Signature } else { ConsentKind::Shared };
        story.agree(channel, &Stands::open(channel), &[hub, ConsentKind::Signature]);
        story.pay_out(channel, &channel.initial());
    };
    for count in [1, 10, 40] {
        let (cycles, bytes) = batch(count, agree);
        println!("{count} cooperative spends: {cycles} cycles, {bytes} bytes");
        assert!(count != 40 || cycles + SUBMITTER < POOL);
    }
}

#[test]
fn a_hundred_conclusions_fit_into_one_transaction() {
    let conclude = |story: &mut Story, channel: &Channel, _: bool| {
        story.conclude(channel, &Stands::disputed(&later(channel, 5), &[own(0)]), 0);
    };
    for count in [1, 10, 100] {
        let (cycles, bytes) = batch(count, conclude);
        println!("{count} conclusions: {cycles} cycles, {bytes} bytes");
        assert!(cycles + SUBMITTER < POOL);
    }
}

/// Where the cycles go: the cost of refusals further and further down the trial.
#[test]
fn a_profile_by_refusals() {
    use perun_channel::adjudicator::Code;
    type Spoil = fn(&mut Story);
    let points: &[(&str, Code, Spoil)] = &[
        ("start, read the transaction", Code::CellData, |story| {
            story.draft.outputs[0].data[0] = 9;
        }),
        ("find the channel cells", Code::Witness, |story| story.draft.acts.clear()),
        ("decode and hash the setup", Code::ChannelId, |story| {
            story.rewrite_spent(0, |cell| cell.id = perun_channel::ChannelId::new([1; 32]));
            story.rewrite(0, |cell| cell.id = perun_channel::ChannelId::new([1; 32]));
        }),
        ("build the state and hash it", Code::NotNewer, |story| {
            story.change(At::Spent(0), |action| body_of(action).version = Version::ZERO);
        }),
        ("first signature", Code::WrongSigner, |story| {
            story.change(At::Spent(0), |action| {
                if let Action::Register { signatures, .. } = action {
                    signatures[0] = signatures[1];
                }
            });
        }),
        ("second signature", Code::ChannelFrame, |story| story.rewrite(0, |cell| cell.marks = 0)),
        ("vaults", Code::VaultOutputs, |story| {
            let lock = story.draft.outputs[0].lock.clone();
            story.draft.outputs.last_mut().unwrap().lock = lock;
        }),
    ];
    let channel = Terms::of("alice", 2).living("measured");
    let registering = || {
        let mut story = Story::default();
        story.register(&channel, &Stands::open(&channel), &later(&channel, 5), own(0));
        story.submitted()
    };
    let mut before = 0;
    for (name, code, spoil) in points {
        let mut story = registering();
        spoil(&mut story);
        let sketch: Sketch = story.into();
        refused(sketch.clone(), *code);
        let cycles = sketch.trial().channel_cycles;
        println!("register, {name}: {} (to here {cycles})", cycles.saturating_sub(before));
        before = cycles;
    }
    println!("register in full: {}", registering().trial().channel_cycles);
    for (extra, kind) in [(0, "input"), (10, "input"), (10, "output")] {
        let mut story = registering();
        for _ in 0..extra {
            let lock = perun_onchain_tests::lock_named("extra");
            match kind {
                "input" => drop(story.add_input(100 * CKB, &lock)),
                _ => drop(story.draft.make_plain(&lock, 100 * CKB)),
            }
        }
        println!("register with {extra} more {kind}s: {}", story.trial().channel_cycles);
    }
}
