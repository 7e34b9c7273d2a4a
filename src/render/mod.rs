//! Turns data into what people and programs read: text, tables, colours, JSON, shell words.
//!
//! Pure: everything that is known about the terminal and the environment is passed in.

pub mod boot;
pub mod diff;
pub mod error;
pub mod human;
pub mod json;
pub mod prometheus;
pub mod sanitize;
pub mod shell_load;
pub mod shell_quote;
pub mod style;
pub mod table;
pub mod width;
