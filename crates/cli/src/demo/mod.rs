//! The demo: channels at work on the real scripts, told to a [`Narrator`].
//!
//! Every scene gives its people fresh keys and money, lets their nodes talk over encrypted TCP on
//! the loopback interface, and ends by holding the chains against what everybody should have, to
//! the shannon and the wei.

mod across;
mod book;
mod cheater;
mod cuts;
mod ether_book;
mod ethereum;
mod hub;
mod leftovers;
mod money;
mod party;
mod scenes;
mod stage;
mod trial;
mod wire;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use crate::narrate::{Narrator, Summary};
use stage::Stage;

/// What can be chosen for the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoOptions {
    /// The CKB node to use, instead of the chain inside this process.
    pub ckb_rpc: Option<String>,
    /// The Ethereum node to use, instead of the chain inside this process: one whose time can be
    /// moved.
    pub evm_rpc: Option<String>,
    /// Whether to start a real CKB node, and an Anvil if the environment names one.
    pub real_node: bool,
}

/// Why a scene did not end well, in people's words.
type Failure = String;

type Scene = fn(&Stage, &mut dyn Narrator, &mut Summary) -> Result<(), Failure>;

const SCENES: [(&str, Scene); 9] = [
    ("Alice and Bob open, pay 1000 times each way, and close", scenes::pay_and_close),
    ("The same with CKB and a token in one channel", scenes::pay_two_assets),
    ("Bob registers an old state, and Alice answers", scenes::cheat),
    ("Bob vanishes, and Alice gets her money after the challenge", scenes::vanish),
    ("A hub opens and closes 16 channels in batches", hub::batches),
    ("Alice tops a living channel up, and takes some out", scenes::resize),
    ("One channel on CKB and Ethereum: 1000 payments and two swaps", across::pay_and_swap),
    ("Bob shows Ethereum an old state and CKB the newest, and Alice answers", across::cheat),
    ("Bob falls silent in a swap, after each message that there is", cuts::silence),
];

/// Shows the demo.
pub fn run(options: DemoOptions, narrator: &mut dyn Narrator) -> ExitCode {
    let shown = show(&options, narrator);
    leftovers::stay_if_interrupted();
    leftovers::remove_all();
    shown
}

/// Removes what an interrupted demo would leave behind, and tells what is to be said of it: to be
/// called before the process ends by a signal.
#[must_use]
pub fn interrupt(options: &DemoOptions) -> String {
    leftovers::interrupt();
    let foreign: Vec<&str> =
        [&options.ckb_rpc, &options.evm_rpc].into_iter().flatten().map(String::as_str).collect();
    if foreign.is_empty() {
        return "the demo was interrupted; its chains and its people are gone".to_owned();
    }
    format!(
        "the demo was interrupted; its people are gone, with the keys to their play money; what \
         they did stays on the chain at {}",
        foreign.join(" and at ")
    )
}

fn show(options: &DemoOptions, narrator: &mut dyn Narrator) -> ExitCode {
    let started = Instant::now();
    narrator.step("The chains, the contracts, and money to play with");
    let stage = match Stage::set(options, narrator) {
        Ok(stage) => stage,
        Err(reason) => return fail(narrator, "setting the stage", &reason),
    };
    let mut summary = Summary { balances_ok: true, ..Summary::default() };
    for (title, scene) in SCENES {
        if narrator.trouble().is_some() {
            // Nobody would see the rest; whoever asked for the story is told why.
            return ExitCode::FAILURE;
        }
        narrator.step(title);
        if let Err(reason) = scene(&stage, narrator, &mut summary) {
            return fail(narrator, title, &reason);
        }
    }
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    narrator.summary(&summary);
    if summary.balances_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells where the story goes. Who waits at the terminal while it goes elsewhere reads it too;
/// nobody reads it twice.
fn fail(narrator: &mut dyn Narrator, step: &str, reason: &str) -> ExitCode {
    leftovers::stay_if_interrupted();
    narrator.failed(step, reason);
    if std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() {
        eprintln!("perun: {step}: {reason}");
    } else if !std::io::stdout().is_terminal() {
        eprintln!("perun: the demo failed ({step}); why stands at the end of its output");
    }
    ExitCode::FAILURE
}

/// An error in words.
fn words(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
