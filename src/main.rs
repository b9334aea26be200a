//! The program; see [`ifmatch::cli`].

use std::process::ExitCode;

/// Measured against the system's allocator: docs/decisions/0006-beliefs.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ifmatch::cli::main()
}
