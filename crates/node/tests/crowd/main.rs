//! What a crowd of strangers without money can do to a house: nothing that lasts.

mod scene;

use perun_protocol::Time;
use scene::{Scene, peer, proposal, receipt};

/// What one peer may have at once.
const PER_PEER: u32 = 256;

/// Five strangers, 256 proposals each, whose deadlines pass while the node does one tick. One batch
/// of the store holds fewer records than that.
#[test]
fn many_proposals_that_expire_together_do_not_stop_the_node() {
    let scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..5 * PER_PEER {
        house.message(now, peer(number / PER_PEER), receipt, &proposal(number, 0, 0));
        if house.round_is_full() {
            house.finish_round(now).unwrap();
        }
    }
    house.finish_round(now).unwrap();
    let later = Time::new(1_000 + 601);
    house.restart(later).unwrap();
    house.tick(later).unwrap();
    assert_eq!(house.deadline(), None, "all have run out");
    let declines = scene.letters.lock().unwrap().len();
    assert_eq!(declines, 5 * usize::try_from(PER_PEER).unwrap(), "every peer was told");
    drop(house);
    let (mut house, _) = scene.house().unwrap();
    house.restart(later).unwrap();
    house.tick(later).unwrap();
}
