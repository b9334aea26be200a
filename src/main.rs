//! The program; see [`ifmatch::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ifmatch::cli::main()
}
