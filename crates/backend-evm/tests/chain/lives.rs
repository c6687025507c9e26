//! Whole lives of channels.

use std::sync::Arc;

use alloy_primitives::U256;
use perun_backend_evm::Error;
use perun_backend_evm::abi::{convert, eth, party, solidity as sol, typed, word};
use perun_backend_evm::follow::{Proof, Standing, Watch};
use perun_backend_evm::orders::{Decision, DepositOrder, TokenSource, TreeNode};
use perun_backend_evm::sender::Progress;
use perun_channel::{Allocation, Amount, Params, SignedState, State, SubAlloc, Version};

use crate::kit::{
    CHALLENGE, DAY, ETHER, Stage, TestChain, TestToken, any_app, look_at, paid, sign, watch,
};

const BOTH: [u128; 2] = [ETHER as u128, 2 * ETHER as u128];

pub(crate) fn a_life_with_coins(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    let mut follower = stage.follower(1, &[&channel]);
    let chain = stage.chain.clone();
    let node = perun_backend_evm::rpc::Node(chain.as_ref());
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Absent);

    let source = TokenSource::Allowance;
    assert!(matches!(stage.deposit(0, &channel, source), Ok(Progress::Sent(_))));
    assert!(matches!(stage.deposit(0, &channel, source), Ok(Progress::Waiting(_))));
    stage.block();
    let deposited = vec![vec![Amount::new(BOTH[0]), Amount::ZERO]];
    let standing = look_at(&mut follower, node).head.standing;
    assert_eq!(standing, Standing::Funding { deposited });
    stage.fund(&channel, source);
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Open);
    assert_eq!(follower.clock(), Some(stage.now()));

    let last = stage.signed(&channel, &paid(&channel, 5, 10).finalized());
    let before = [0, 1].map(|party| stage.coins_of(stage.parties[party].wallet()));
    stage.until_done(0, |desk| desk.close(&channel.params, &last));
    let after = [0, 1].map(|party| stage.coins_of(stage.parties[party].wallet()));
    assert!(after[0] > before[0], "what was paid out is more than the fee");
    assert_eq!(after[1] - before[1], U256::from(BOTH[1] + 10));
    let report = look_at(&mut follower, node);
    let Standing::Concluded(ending) = report.head.standing else { panic!("{report:?}") };
    assert_eq!((ending.version, ending.unpaid, ending.preimage), (5, 0, None));
    assert_eq!(ending.state.as_ref(), Some(last.state()), "from the call's own arguments");
    assert!(ending.fingerprint.is_of(last.state()));

    let nothing = stage.order(1, |desk| desk.close(&channel.params, &last));
    assert_eq!(nothing, Ok(Progress::Done));
    let late = stage.deposit(0, &channel, source);
    assert!(matches!(late, Err(Error::Unfit { .. })), "{late:?}");
    assert!(follower.look(node).unwrap().reports.is_empty(), "nothing changed");
}

pub(crate) fn a_life_with_tokens(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1_000);
    let channel = stage.channel(&[(asset, [600, 400]), (stage.coin(), [5, 0])]);
    stage.fund(&channel, TokenSource::Allowance);
    assert_eq!(stage.standing(&channel), Standing::Open);
    assert_eq!(stage.balance_of(token, stage.deployment.hub()), 1_000);
    let last = stage.signed(&channel, &paid(&channel, 1, 100).finalized());
    stage.until_done(1, |desk| desk.close(&channel.params, &last));
    let wallets = [0, 1].map(|party| stage.parties[party].wallet());
    assert_eq!(wallets.map(|wallet| stage.balance_of(token, wallet)), [900, 1_100]);
    assert_eq!(stage.balance_of(token, stage.deployment.hub()), 0);
}

pub(crate) fn an_old_state_is_refuted(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    stage.fund(&channel, TokenSource::Allowance);
    let signed = |stage: &Stage, version| stage.signed(&channel, &paid(&channel, version, 7));
    let (old, new) = (signed(&stage, 1), signed(&stage, 2));
    stage.until_done(0, |desk| desk.register(&channel.params, &old, &[]));
    let Standing::Registered { state, proof, until, concludable } = stage.standing(&channel) else {
        panic!("not registered")
    };
    assert_eq!(&state, old.state());
    assert_eq!(proof, Proof::Signed(old.signatures().to_vec()));
    assert!(until > stage.now() && concludable == until);

    stage.until_done(1, |desk| desk.register(&channel.params, &new, &[]));
    let standing = stage.standing(&channel);
    assert_eq!(standing.signed().as_ref(), Some(&new));
    assert!(matches!(standing, Standing::Registered { until: now, .. } if now == until));
    let back = stage.order(0, |desk| desk.register(&channel.params, &old, &[]));
    let (registered, ours, id) = (2, 1, channel.params.id());
    assert_eq!(back, Err(Error::NotNewer { channel: id, registered, ours }));

    stage.pass(CHALLENGE);
    let before = stage.coins_of(stage.parties[1].wallet());
    stage.until_done(0, |desk| desk.conclude(&channel.params, new.state(), &[], Decision::Refund));
    assert_eq!(stage.coins_of(stage.parties[1].wallet()) - before, U256::from(BOTH[1] + 7));
    let Standing::Concluded(ending) = stage.standing(&channel) else { panic!("not concluded") };
    assert_eq!((ending.state.as_ref(), ending.unpaid), (Some(new.state()), 0));
}

/// Bob never deposits: Ann leaves with version 0, which both signed before.
pub(crate) fn an_underfunded_channel_gives_everything_back(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    stage.deposit(0, &channel, TokenSource::Allowance).unwrap();
    stage.block();
    let signed = stage.signed(&channel, &channel.initial);
    stage.until_done(0, |desk| desk.register(&channel.params, &signed, &[]));
    stage.pass(CHALLENGE);
    let (wallet, hub) = (stage.parties[0].wallet(), stage.deployment.hub());
    let before = stage.coins_of(wallet);
    assert_eq!(stage.coins_of(hub), U256::from(BOTH[0]));
    stage.until_done(1, |desk| {
        desk.conclude(&channel.params, &channel.initial, &[], Decision::Refund)
    });
    assert_eq!(stage.coins_of(wallet) - before, U256::from(BOTH[0]));
    assert_eq!(stage.coins_of(hub), U256::ZERO);
}

pub(crate) fn a_channel_without_a_bound_payee_pays_by_the_session_key(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    let (params, initial) = (&channel.params, &channel.initial);
    for index in 0..2 {
        let source = TokenSource::Allowance;
        let order = DepositOrder { params, initial, index, source, bind: None };
        stage.until_done(index, |desk| desk.deposit(&order));
    }
    let last = stage.signed(&channel, &paid(&channel, 1, 3).finalized());
    stage.until_done(0, |desk| desk.close_unpaid(params, &last));
    let Standing::Concluded(ending) = stage.standing(&channel) else { panic!("not concluded") };
    assert_eq!(ending.unpaid, 1);
    let session = stage.parties[1].session;
    let (wallet, paid_to) =
        (stage.parties[1].wallet(), alloy_primitives::Address::repeat_byte(0x5d));
    assert_ne!(wallet, paid_to);
    let signer = |digest: &[u8; 32]| sign(digest, &session);
    stage.until_done(1, |desk| desk.withdraw(params, initial, 1, u32::MAX, paid_to, &signer));
    assert_eq!(stage.coins_of(paid_to), U256::from(BOTH[1] + 3));
    let unpaid = |own| {
        let mut follower = stage.follower(1, &[]);
        follower.watch(Watch { own, ..watch(&channel) }).unwrap();
        let Standing::Concluded(ending) = look_at(&mut follower, stage.node()).head.standing else {
            panic!("not concluded")
        };
        ending.unpaid
    };
    assert_eq!([None, Some(0), Some(1)].map(unpaid), [1, 1, 0], "each is told its own");
    let none = stage.order(0, |desk| desk.withdraw(params, initial, 0, 0, paid_to, &signer));
    assert_eq!(none, Ok(Progress::Done), "no rows were asked for");
    let forged = stage.order(0, |desk| desk.withdraw(params, initial, 0, 1, paid_to, &signer));
    let is_refused = matches!(&forged, Err(Error::Reverted(why)) if why.name() == "BadSignature");
    assert!(is_refused, "another's key: {forged:?}");
}

pub(crate) fn a_channel_ends_by_consent(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    stage.fund(&channel, TokenSource::Allowance);
    let (hub, now) = (stage.deployment.hub(), stage.now());
    let to = alloy_primitives::Address::repeat_byte(0x5e);
    let amount = U256::from(BOTH[0]);
    let moves = vec![sol::Move { holder: hub, to, fundingID: Default::default(), amount }];
    let deadline = now + DAY;
    let message = sol::ConsentSpend {
        channelID: word(&channel.params.id()),
        moves: moves.clone(),
        deadline: U256::from(deadline),
    };
    let domain = typed::hub_domain(stage.deployment.chain(), hub);
    let digest = typed::consent_spend(&domain, &message);
    let sigs = [0, 1].map(|party| sign(&digest.0, &stage.parties[party].session));
    stage
        .order(0, |desk| desk.spend_by_consent(&channel.params, moves.clone(), deadline, &sigs))
        .unwrap();
    stage.block();
    assert_eq!(stage.coins_of(to), amount);
    let standing = stage.standing(&channel);
    assert_eq!(standing, Standing::Spent { digest: digest.0, unpaid: 1 });
    let params = &channel.params;
    let mut spend = |deadline| {
        stage.order(1, |desk| desk.spend_by_consent(params, moves.clone(), deadline, &sigs))
    };
    assert_eq!(spend(deadline), Ok(Progress::Done));
    assert_eq!(spend(deadline + 1), Err(Error::Concluded(params.id())), "not by this consent");
}

/// Five of participant 0's coins are in a sub-channel, where two of them were paid.
pub(crate) fn a_tree_of_channels_is_registered_and_concluded(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), [100, 50])]);
    stage.fund(&channel, TokenSource::Allowance);
    let parties = channel.params.participants().to_vec();
    let app = perun_channel::Address::ZERO;
    let sub = Params::with_kind(CHALLENGE, [0x5b; 32], parties, app, false, false).unwrap();
    let amounts = |row: [u128; 2]| vec![row.map(Amount::new).to_vec()];
    let below = Allocation::new(vec![stage.coin()], amounts([3, 2]), vec![]).unwrap();
    let below = State::initial(sub.id(), below);
    let locked = SubAlloc::new(sub.id(), vec![Amount::new(5)], vec![]);
    let outcome = Allocation::new(vec![stage.coin()], amounts([95, 50]), vec![locked]).unwrap();
    let root = channel.initial.at_version(Version::new(1), outcome);
    let (root, below) = (stage.signed(&channel, &root), stage.signed_by(&sub, &below));
    let node = TreeNode { params: &sub, signed: &below };
    let alone = stage.order(0, |desk| desk.register(&channel.params, &root, &[]));
    assert!(matches!(&alone, Err(Error::Reverted(why)) if why.name() == "WrongChild"), "{alone:?}");
    stage.until_done(0, |desk| desk.register(&channel.params, &root, &[node]));
    assert_eq!(stage.standing(&channel).signed().as_ref(), Some(&root), "read as it was signed");
    stage.pass(CHALLENGE);
    let wallet = stage.parties[1].wallet();
    let before = stage.coins_of(wallet);
    let states = [below.state().clone()];
    stage.until_done(0, |desk| {
        desk.conclude(&channel.params, root.state(), &states, Decision::Refund)
    });
    assert_eq!(stage.coins_of(wallet) - before, U256::from(52));
}

pub(crate) fn a_forced_step_is_read_with_its_proof(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let mut channel = stage.channel(&[(stage.coin(), [100, 50])]);
    let parties = channel.params.participants().to_vec();
    let app = party(any_app(stage.chain.as_ref()));
    channel.params = Params::with_kind(CHALLENGE, [0xa9; 32], parties, app, true, false).unwrap();
    channel.initial = State::initial(channel.params.id(), channel.initial.outcome().clone());
    stage.fund(&channel, TokenSource::Allowance);
    let (old, step) = (paid(&channel, 1, 7), paid(&channel, 2, 9));
    let signed = stage.signed(&channel, &old);
    stage.until_done(0, |desk| desk.register(&channel.params, &signed, &[]));
    let Standing::Registered { until, concludable, .. } = stage.standing(&channel) else {
        panic!("not registered")
    };
    assert_eq!(concludable, until + CHALLENGE, "a step may be forced in between");
    stage.pass(CHALLENGE);
    let conclude = |stage: &mut Stage, state: &State| {
        stage.order(0, |desk| desk.conclude(&channel.params, state, &[], Decision::Refund))
    };
    assert!(matches!(conclude(&mut stage, &old), Err(Error::TooEarly { .. })));

    let signature = sign(&step.digest(), &stage.parties[1].session);
    let call = sol::Hub::progressCall {
        params: convert::params(&channel.params),
        stateOld: convert::state(&old),
        state: convert::state(&step),
        actorIdx: U256::from(1),
        sig: signature.as_bytes().to_vec().into(),
    };
    stage.act(stage.deployment.hub(), &call);
    let Standing::Registered { state, proof, until, concludable } = stage.standing(&channel) else {
        panic!("not registered")
    };
    assert_eq!((state, proof), (step.clone(), Proof::Step { actor: 1, signature }));
    assert_eq!(concludable, until);
    let newer = stage.signed(&channel, &paid(&channel, 3, 9));
    let late = stage.order(0, |desk| desk.register(&channel.params, &newer, &[]));
    assert!(matches!(late, Err(Error::WindowOver { .. })), "{late:?}");
    stage.pass(CHALLENGE);
    stage.until_done(0, |desk| desk.conclude(&channel.params, &step, &[], Decision::Refund));
    let Standing::Concluded(ending) = stage.standing(&channel) else { panic!("not concluded") };
    assert_eq!(ending.state, Some(step));
}

pub(crate) fn a_refused_payment_waits_as_credit(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 50);
    let holder = eth(asset.holder());
    let channel = stage.channel(&[(asset, [50, 0]), (stage.coin(), [0, 9])]);
    stage.fund(&channel, TokenSource::Allowance);
    stage.act(token, &TestToken::setLieCall { kind: U256::from(4) });
    let last: SignedState = stage.signed(&channel, &paid(&channel, 1, 20).finalized());
    stage.until_done(0, |desk| desk.close(&channel.params, &last));
    let wallet = stage.parties[1].wallet();
    assert_eq!(stage.balance_of(token, wallet), 50, "the token refused, the coin went on");
    let refused = stage.order(1, |desk| desk.withdraw_credit(holder, wallet));
    assert!(matches!(refused, Err(Error::Reverted(_))), "{refused:?}");
    stage.act(token, &TestToken::setLieCall { kind: U256::ZERO });
    stage.until_done(1, |desk| desk.withdraw_credit(holder, wallet));
    assert_eq!(stage.balance_of(token, wallet), 70);
}

pub(crate) fn orders_that_come_too_early_or_too_late_are_refused(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    let (params, id) = (&channel.params, channel.params.id());
    stage.fund(&channel, TokenSource::Allowance);
    let [old, new] = [1, 2].map(|version| stage.signed(&channel, &paid(&channel, version, 7)));
    let conclude = |stage: &mut Stage, signed: &SignedState| {
        stage.order(0, |desk| desk.conclude(params, signed.state(), &[], Decision::Refund))
    };
    assert_eq!(conclude(&mut stage, &old), Err(Error::OtherState(id)), "none is registered");
    stage.until_done(0, |desk| desk.register(params, &old, &[]));
    assert!(matches!(conclude(&mut stage, &old), Err(Error::TooEarly { .. })));
    assert_eq!(conclude(&mut stage, &new), Err(Error::OtherState(id)));
    let not_final = stage.order(0, |desk| desk.close(params, &old));
    assert!(matches!(not_final, Err(Error::Unfit { .. })));
    stage.pass(CHALLENGE);
    let late = stage.order(1, |desk| desk.register(params, &new, &[]));
    assert!(matches!(late, Err(Error::WindowOver { registered: 1, .. })), "{late:?}");
    stage.until_done(0, |desk| desk.conclude(params, old.state(), &[], Decision::Refund));
    let late = stage.order(1, |desk| desk.register(params, &new, &[]));
    assert_eq!(late, Err(Error::Concluded(id)));
    let other = stage.signed(&channel, &paid(&channel, 3, 7).finalized());
    let late = stage.order(1, |desk| desk.close(params, &other));
    assert_eq!(late, Err(Error::Concluded(id)));
}
