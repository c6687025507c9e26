//! Channels between two parties on a real Anvil: a table of scenarios. Words of the command line
//! choose those whose name has one of them.
//!
//! First both parties are go-perun's clients, in processes of their own, with go-perun's backend
//! for Ethereum: on our contracts, then on Perun's own. After that one of them is our node: the
//! first, who begins, or the second. Whoever speaks [`party::Party`] can take a side.

mod breaks;
mod chain;
mod cuts;
mod disputes;
mod gone;
mod lives;
mod mixed;
mod ours;
mod party;
mod relay;
mod stage;
mod theirs;
mod tls;
mod trouble;
mod user;

use std::io::Write as _;
use std::process::ExitCode;

use chain::{Chain, Contracts};
use stage::{Cast, Stage, Way};
use trouble::Result;

/// What happens between two parties.
type Story = fn(&mut Stage<'_>) -> Result<()>;

struct Scenario {
    name: &'static str,
    story: Story,
    way: Way,
    /// Whether it is told on Perun's own contracts as well.
    on_both: bool,
}

const fn scenario(name: &'static str, story: Story) -> Scenario {
    Scenario { name, story, way: Way::NATIVE, on_both: false }
}

impl Scenario {
    const fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    const fn on_both(self) -> Self {
        Self { on_both: true, ..self }
    }
}

const TABLE: &[Scenario] = &[
    scenario("the first opens, both pay, both settle", lives::first_opens).on_both(),
    scenario("the second opens, both pay, both settle", lives::second_opens).on_both(),
    scenario("the same in protobuf under TLS", lives::first_opens).by(Way::PROTOBUF_TLS).on_both(),
    scenario("coins and tokens in one channel", lives::coins_and_tokens).on_both(),
    scenario("a rejected proposal", lives::rejected_proposal),
    scenario("a rejected update", lives::rejected_update),
    scenario("a sub-channel is opened, paid in and settled", lives::sub_channel),
    scenario("a channel with an app", lives::app),
    scenario("a channel is settled without a final state", disputes::not_final).on_both(),
    scenario("an old state is registered and refuted", disputes::old_state).on_both(),
    scenario("a channel with another in it is settled in a dispute", disputes::tree).on_both(),
    scenario("a step of an app is forced", disputes::forced_step).on_both(),
    scenario("a stranger concludes and pays both", disputes::paid_by_a_stranger),
    scenario("windows that are too short keep the deposits", disputes::short_windows),
    scenario("both start again, pay and settle", gone::both_start_again),
    scenario("an answer that never comes ends in a dispute", gone::no_answer),
    scenario("the gas of a token's first deposit", lives::deposit_gas),
    scenario("whether go-perun knows the contracts' code", lives::known_code).on_both(),
];

/// With our node as the first, and as the second.
const WITH_OURS: &[Scenario] = &[
    scenario("the first opens, both pay, both settle", lives::first_opens),
    scenario("the second opens, both pay, both settle", lives::second_opens),
    scenario("the same in protobuf", lives::first_opens).by(Way::PROTOBUF),
    scenario("the same in protobuf under TLS", lives::first_opens).by(Way::PROTOBUF_TLS),
    scenario("a thousand payments each way", mixed::thousands),
    scenario("coins and tokens in one channel", lives::coins_and_tokens),
    scenario("both dial", mixed::both_dial),
    scenario("only go-perun dials", mixed::they_dial),
    scenario("a rejected proposal", lives::rejected_proposal),
    scenario("a challenge that is too short is rejected", mixed::short_challenge),
    scenario("an update that they reject", mixed::rejected_update),
    scenario("both pay at once", mixed::at_once),
    scenario("both propose at once", mixed::proposals_at_once),
    scenario("either one of both may be the second to settle", mixed::secondary),
    scenario("a channel is settled without a final state", disputes::not_final),
    scenario("they register an old state and we refute it", breaks::they_cheat),
    scenario("we register an old state and their watcher refutes it", breaks::we_cheat),
    scenario("go-perun starts again, pays and settles", breaks::they_start_again),
    scenario("our node is killed, starts again, pays and settles", breaks::we_start_again),
    scenario("go-perun is gone before it answers", breaks::no_answer),
    scenario("an opening is cut after each message", cuts::openings),
    scenario("an update is cut after each message", cuts::updates),
];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("the scenarios did not run: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the table and returns how many failed.
fn run() -> Result<usize> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let program = theirs::build()?;
    let chain = Chain::start()?;
    let contracts = [Contracts::ours(&chain)?, Contracts::perun(&chain, &program)?];
    let (mut passed, mut failed) = (0, 0);
    let casts = [
        (Cast::TheirsTheirs, &contracts[0], TABLE),
        (Cast::TheirsTheirs, &contracts[1], TABLE),
        (Cast::OursTheirs, &contracts[0], WITH_OURS),
        (Cast::TheirsOurs, &contracts[0], WITH_OURS),
    ];
    for (cast, contracts, table) in casts {
        for row in table.iter().filter(|row| row.on_both || contracts.ours) {
            let name = format!("{}, {}: {}", cast.name(), contracts.name(), row.name);
            if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word)) {
                continue;
            }
            print!("{name} ... ");
            let _ = std::io::stdout().flush();
            let mut stage = Stage::new(&chain, contracts, &program, row.way, cast);
            match (row.story)(&mut stage) {
                Ok(()) => {
                    passed += 1;
                    println!("passed");
                }
                Err(trouble) => {
                    failed += 1;
                    println!("FAILED\n    {trouble}{}", stage.last_words());
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if passed + failed == 0 { Err("no scenario has such a name".into()) } else { Ok(failed) }
}
