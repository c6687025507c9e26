//! The command line of Perun: show the software at work, run a chain to develop against, explain
//! what stands on a chain.
//!
//! A door of the house: it reads arguments, asks the floors below and writes answers. No rule about
//! money is decided here. The invariant: whatever somebody types or hands in, the program ends with
//! an answer or with a sentence that says what is wrong, and one of the codes of
//! [`problem::exit_code`].
//!
//! ```
//! use perun_cli::text::amount::{parse_ckb, show_ckb};
//!
//! let price = parse_ckb("12.5 CKB")?;
//! assert_eq!(show_ckb(price.get()), "12.5 CKB");
//! # Ok::<(), perun_cli::text::amount::AmountError>(())
//! ```

mod args;
pub mod deed;
pub mod demo;
pub mod devnet;
pub mod inspect;
pub mod narrate;
pub mod output;
pub mod problem;
pub mod programs;
pub mod report;
pub mod text;

use args::{Args, Command};
use clap::Parser;
use narrate::{Human, JsonLines, Narrator};
use output::Output;
use problem::Problem;
use std::io::{Write, stdout};
use std::process::ExitCode;
use text::screen::Look;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn run() -> ExitCode {
    match Args::parse().command {
        Command::Demo(demo) => {
            let mut narrator: Box<dyn Narrator> = if demo.json {
                Box::new(JsonLines::new(stdout()))
            } else {
                Box::new(Human::new(stdout(), Look::of_stdout()))
            };
            let options = demo::DemoOptions {
                ckb_rpc: demo.ckb_rpc,
                evm_rpc: demo.evm_rpc,
                real_node: demo.real_node,
            };
            let foreign = options.clone();
            let interrupted = move || {
                let farewell = demo::interrupt(&foreign);
                eprintln!("perun: {}", text::clean(&farewell));
                std::process::exit(problem::INTERRUPTED.into());
            };
            if let Err(error) = ctrlc::set_handler(interrupted) {
                return finish(demo.json, Err(Problem::Signals(error.to_string())));
            }
            let code = demo::run(options, narrator.as_mut());
            match narrator.trouble() {
                Some(error) => finish(demo.json, Err(Problem::Output(error.to_string()))),
                None => code,
            }
        }
        Command::Devnet(devnet) => {
            let json = devnet.json;
            finish(json, devnet_until_stopped(&devnet))
        }
        Command::Inspect(inspect) => {
            let json = inspect.json;
            let asked = inspect::Question { what: inspect.what, ckb_rpc: inspect.ckb_rpc };
            finish(json, inspect::answer(&asked).and_then(|report| print(&report, json)))
        }
    }
}

fn devnet_until_stopped(devnet: &args::Devnet) -> Result<(), Problem> {
    let (stop, stopped) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more when the chain has stopped for another reason.
        let _ = stop.send(());
    })
    .map_err(|error| Problem::Signals(error.to_string()))?;
    let pace = if devnet.instant {
        devnet::Pace::Instant
    } else {
        devnet::Pace::Every(std::time::Duration::from_secs(devnet.block_interval))
    };
    let options = devnet::Options { listen: devnet.listen, pace };
    let mut listener = devnet::Listener::new(stdout(), Look::of_stdout(), devnet.json);
    devnet::run(&options, &stopped, &mut listener)
}

fn print(report: &report::Report, json: bool) -> Result<(), Problem> {
    let text = if json { report.json() + "\n" } else { report.text(Look::of_stdout()) };
    let mut output = Output::new(stdout());
    // The output remembers what went wrong.
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    output.trouble().map_or(Ok(()), |error| Err(Problem::Output(error.to_string())))
}

fn finish(json: bool, result: Result<(), Problem>) -> ExitCode {
    let Err(problem) = result else { return ExitCode::SUCCESS };
    eprintln!("perun: {}", text::clean(&problem.to_string()));
    if json {
        let code = problem::exit_code(&problem);
        let line = serde_json::json!({ "error": problem.to_string(), "exit_code": code });
        let _ = writeln!(stdout(), "{line}");
    }
    ExitCode::from(problem::exit_code(&problem))
}
