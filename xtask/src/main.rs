//! Chores of the project, in the project's language: `cargo xtask NAME`.
//!
//! This program reads the checkout and calls cargo; it knows nothing of channels and is linked by
//! nobody. The invariant: a chore either did all of its work or ends with a non-zero code and a
//! sentence that says what to do.

mod costs;
mod scripts;
mod shell;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask CHORE
  tidy               check the budgets and the arrows between crates
  scripts            build the on-chain scripts into onchain/ckb/artifacts
  scripts --check    build them aside and compare with the committed ones
  scripts --lint     run the on-chain compiler's clippy over them
  costs              measure what operations cost on chain; write docs/costs.json and .md
  costs --check      measure and compare with them
  models             run the model checker
  models --deep      run it within larger bounds, for many minutes";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = shell::workspace_root();
    let outcome = match words.as_slice() {
        ["tidy"] => tidy::run(&root),
        ["scripts"] => scripts::build(&root),
        ["scripts", "--check"] => scripts::check(&root),
        ["scripts", "--lint"] => scripts::lint(&root),
        ["costs"] => costs::write(&root),
        ["costs", "--check"] => costs::check(&root),
        ["models"] => costs::models(&root, &[]),
        ["models", "--deep"] => costs::models(&root, &["--", "--deep"]),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
