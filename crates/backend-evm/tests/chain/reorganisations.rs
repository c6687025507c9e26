//! Blocks that are taken away.

use std::sync::Arc;

use perun_backend_evm::follow::{Depth, DepthTable, Follower, Standing};
use perun_backend_evm::orders::TokenSource;
use perun_backend_evm::rpc::Node;
use perun_backend_evm::sender::Progress;
use perun_channel::Amount;

use crate::kit::{Stage, TestChain, look_at, paid, watch};

pub(crate) fn a_deposit_is_taken_out_and_made_again(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    stage.chain.mine(2);
    let mut follower = stage.follower(1, &[&channel]);
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Absent);
    stage.deposit(0, &channel, TokenSource::Allowance).unwrap();
    stage.block();
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Open);
    stage.chain.rewind(1);
    stage.chain.mine(1);
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Absent);
    // The wallet sends what was lost, without being asked again.
    stage.parties[0].orders.tend(node).unwrap();
    stage.block();
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Open);
    assert_eq!(stage.deposit(0, &channel, TokenSource::Allowance), Ok(Progress::Done));
}

pub(crate) fn a_registration_is_taken_out_and_made_again(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    stage.fund(&channel, TokenSource::Allowance);
    let [old, new] = [1, 2].map(|version| stage.signed(&channel, &paid(&channel, version, 7)));
    let mut follower = stage.follower(1, &[&channel]);
    stage.order(0, |desk| desk.register(&channel.params, &old, &[])).unwrap();
    stage.block();
    let first = look_at(&mut follower, node).head.standing;
    assert_eq!(first.signed().as_ref(), Some(&old));
    stage.chain.rewind(1);
    // In the new branch somebody is faster, with another state.
    stage.order(1, |desk| desk.register(&channel.params, &new, &[])).unwrap();
    stage.chain.mine(1);
    let second = look_at(&mut follower, node).head.standing;
    assert_eq!(second.signed().as_ref(), Some(&new));
    stage.chain.rewind(1);
    stage.chain.mine(1);
    assert_eq!(look_at(&mut follower, node).head.standing, Standing::Open);
}

pub(crate) fn what_is_settled_is_as_deep_as_its_value_asks(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let small = stage.channel(&[(stage.coin(), [9, 0])]);
    let large = stage.channel(&[(stage.coin(), [10, 0])]);
    let largest = stage.channel(&[(stage.coin(), [1_000, 0])]);
    let hub = stage.deployment.hub();
    let table = DepthTable::uniform(Depth::Blocks(1))
        .with_step(hub, Amount::new(10), Depth::Blocks(3))
        .with_step(hub, Amount::new(1_000), Depth::Finalized);
    let mut follower = Follower::new(stage.deployment.clone(), table);
    stage.chain.mine(8);
    for channel in [&small, &large, &largest] {
        follower.watch(watch(channel)).unwrap();
        stage.deposit(0, channel, TokenSource::Allowance).unwrap();
    }
    stage.chain.mine(1);
    let mut settled_after = [0; 3];
    let mut told = [false; 3];
    for round in 1..=12 {
        let look = follower.look(node).unwrap();
        assert_eq!(look.unread, []);
        for report in look.reports {
            let ids = [&small, &large, &largest].map(|channel| channel.params.id());
            let place = ids.iter().position(|id| *id == report.channel).unwrap();
            assert_eq!(report.head.standing, Standing::Open);
            told[place] = true;
            if report.is_settled() && settled_after[place] == 0 {
                settled_after[place] = round;
            }
        }
        stage.chain.mine(1);
    }
    assert_eq!(told, [true; 3]);
    assert_eq!(settled_after[..2], [1, 3]);
    assert!(settled_after[2] > 0, "the chain called it final");
}

/// How a channel ended is held to the block in which it ended.
pub(crate) fn an_ending_is_taken_out(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    stage.fund(&channel, TokenSource::Allowance);
    let mut follower = stage.follower(1, &[&channel]);
    let [one, two] =
        [1, 2].map(|version| stage.signed(&channel, &paid(&channel, version, 7).finalized()));
    for last in [&one, &two] {
        stage.order(0, |desk| desk.close(&channel.params, last)).unwrap();
        stage.chain.mine(1);
        let standing = look_at(&mut follower, node).head.standing;
        let Standing::Concluded(ending) = standing else { panic!("{standing:?}") };
        assert_eq!(ending.state.as_ref(), Some(last.state()));
        stage.chain.rewind(1);
        stage.chain.mine(1);
        assert_eq!(look_at(&mut follower, node).head.standing, Standing::Open);
        // What was sent for the old branch is forgotten: another process takes over.
        stage.parties[0] = stage.successor(0);
    }
}
