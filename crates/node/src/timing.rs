//! Whether a challenge is long enough for this node to answer everything that can be done to it.
//!
//! An old state can be registered at the last moment before ours, and each of our answers can be
//! met once more: in between we must see it, react, and have our transaction committed. The
//! condition is the one of `docs/design/0001-no-wedging.md`.

use std::time::Duration;

use perun_protocol::Config;

use crate::NodeError;

/// How often an answer of ours may be met by another old state: as often as the model allows.
const ANSWERS_MET: u64 = 2;
/// How long the node takes from seeing to sending, in seconds, rounded up.
const REACT_SECS: u64 = 1;

/// The shortest challenge in which this node can answer everything, in seconds.
fn enough(config: &Config, poll: Option<Duration>) -> u64 {
    // Without an interval the user asks the ledger, and answers for how often.
    let see = poll.map_or(0, |interval| interval.as_secs().saturating_add(1));
    let answer = see.saturating_add(REACT_SECS).saturating_add(config.commit_secs);
    answer.saturating_mul(1 + ANSWERS_MET).saturating_add(1)
}

/// The configuration, with no challenge accepted that is too short for this node. Fails if none
/// would be accepted.
pub(crate) fn with_time_to_answer(
    config: Config,
    poll: Option<Duration>,
) -> Result<Config, NodeError> {
    let enough = enough(&config, poll);
    let challenge_secs_min = config.challenge_secs_min.max(enough);
    let most = config.challenge_secs_max;
    if challenge_secs_min > most {
        return Err(NodeError::TooSlowToAnswer { enough, most });
    }
    Ok(Config { challenge_secs_min, ..config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_leaves_time_to_answer_three_times() {
        let config = Config { commit_secs: 600, challenge_secs_min: 1_800, ..Config::default() };
        let min = |config, poll| with_time_to_answer(config, poll).map(|it| it.challenge_secs_min);
        assert_eq!(min(config, None).unwrap(), 3 * 601 + 1);
        assert_eq!(min(config, Some(Duration::from_secs(9))).unwrap(), 3 * 611 + 1);
        let strict = Config { challenge_secs_min: 7_200, ..config };
        assert_eq!(min(strict, None).unwrap(), 7_200, "what the user wants to be longer stays");
    }

    #[test]
    fn a_node_that_is_slower_than_any_challenge_does_not_start() {
        let config = Config { challenge_secs_max: 1_803, ..Config::default() };
        let error = with_time_to_answer(config, None).unwrap_err().to_string();
        assert!(error.contains("1804"), "{error}");
        let endless = Config { commit_secs: u64::MAX, ..Config::default() };
        assert!(with_time_to_answer(endless, Some(Duration::MAX)).is_err());
    }
}
