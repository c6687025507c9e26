use super::*;

/// The block at a height of a branch; its hash names both.
fn block(branch: u8, number: u64) -> Block {
    let hash = |number: u64| {
        let mut hash = B256::repeat_byte(branch);
        hash[24..].copy_from_slice(&number.to_be_bytes());
        hash
    };
    let parent = number.checked_sub(1).map_or(B256::ZERO, hash);
    Block { number, hash: hash(number), parent, timestamp: number, gas_limit: 0 }
}

/// The block that leaves one branch for another.
fn fork(from: u8, to: u8, number: u64) -> Block {
    Block { parent: block(from, number).parent, ..block(to, number) }
}

fn kept(branch: u8, numbers: std::ops::RangeInclusive<u64>) -> Recent {
    Recent { blocks: numbers.map(|number| block(branch, number)).collect() }
}

#[test]
fn the_same_head_is_nothing_new() {
    assert_eq!(kept(1, 5..=9).step(&[block(1, 9)], 3), Ok(Step::Known));
}

#[test]
fn a_deeper_channel_needs_more_of_the_same_chain() {
    let recent = kept(1, 8..=9);
    assert_eq!(recent.step(&[block(1, 9)], 4), Ok(Step::Fetch(block(1, 8).hash)));
    let branch = [block(1, 9), block(1, 8), block(1, 7)];
    assert_eq!(recent.step(&branch, 4), Ok(Step::Fetch(block(1, 6).hash)));
}

#[test]
fn the_next_block_joins() {
    let mut recent = kept(1, 5..=9);
    assert_eq!(recent.step(&[block(1, 10)], 3), Ok(Step::Joined));
    recent.join(vec![block(1, 10)]);
    assert_eq!(recent, kept(1, 5..=10));
}

#[test]
fn a_reorganisation_replaces_what_was_above_its_root() {
    let mut recent = kept(1, 5..=9);
    let branch = vec![block(2, 9), fork(1, 2, 8)];
    assert_eq!(recent.step(&branch[..1], 3), Ok(Step::Fetch(branch[1].hash)));
    assert_eq!(recent.step(&branch, 3), Ok(Step::Joined));
    recent.join(branch);
    assert_eq!(recent.at(7), Some(&block(1, 7)));
    assert_eq!(recent.at(8).map(|block| block.hash), Some(block(2, 8).hash));
    assert_eq!(recent.head(), Some(&block(2, 9)));
    assert_eq!(recent.at(10), None);
}

#[test]
fn a_chain_that_shares_nothing_is_taken_when_it_is_deep_enough() {
    let recent = kept(1, 5..=9);
    let branch = [block(2, 10), block(2, 9), block(2, 8)];
    assert_eq!(recent.step(&branch[..2], 3), Ok(Step::Fetch(branch[2].hash)));
    assert_eq!(recent.step(&branch, 3), Ok(Step::Apart));
    assert_eq!(Recent::default().step(&[block(1, 0)], 100), Ok(Step::Apart), "the first block");
}

#[test]
fn a_head_that_was_passed_is_a_node_behind() {
    let recent = kept(1, 5..=9);
    for number in [0, 4, 5, 8] {
        let refused = recent.step(&[block(1, number)], 1);
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{number}");
    }
    assert!(recent.step(&[fork(1, 2, 8)], 1).is_ok(), "another branch may be shorter");
}

#[test]
fn blocks_that_do_not_follow_each_other_are_refused() {
    let strange = [
        [block(1, 9), block(1, 7)],
        [block(1, 9), block(2, 8)],
        [block(1, 9), Block { number: 7, ..block(1, 8) }],
        [block(1, 9), Block { timestamp: 10, ..block(1, 8) }],
    ];
    for branch in strange {
        let refused = Recent::default().step(&branch, 100);
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{branch:?}");
    }
}

#[test]
fn the_window_is_bounded() {
    let mut recent = kept(1, 0..=WINDOW_BLOCKS - 1);
    recent.join(vec![block(1, WINDOW_BLOCKS)]);
    assert_eq!(recent, kept(1, 1..=WINDOW_BLOCKS));
}
