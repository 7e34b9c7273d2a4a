//! The parent of one process: a tiny role of the same binary (design.md section 5).

mod backoff;
pub mod machine;
