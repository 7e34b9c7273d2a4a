//! The `tsm` program: see the library.

use std::process::ExitCode;

/// The allocator of the static build, musl's, asks the kernel for every few objects, which costs a fifth of a listing.
/// This one does not; an idle supervisor pays for it with 12 KB.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    tsm::cli::main()
}
