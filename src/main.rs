//! The `tsm` program: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tsm::cli::main()
}
