//! Laws that hold for every value: drawn by the thousand, shrunk to the smallest that breaks one.

mod abi;
mod codec;
mod draw;
mod money;
mod signatures;

use proptest::test_runner::Config;

/// How many values each law is tried on. The seeds of past failures are kept as vectors, not in
/// files beside the tests.
fn config() -> Config {
    Config { cases: 2_000, failure_persistence: None, ..Config::default() }
}
