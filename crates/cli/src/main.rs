//! The program `perun`. Everything it does is in the library beside it.

fn main() -> std::process::ExitCode {
    perun_cli::run()
}
