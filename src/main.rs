//! The `tsm` program: see the library.

use std::process::ExitCode;

/// The allocator of the static build, musl's, asks the kernel for every few objects, which costs a fifth of a listing.
/// This one does not, and keeps an idle supervisor as small.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    tsm::cli::main()
}
