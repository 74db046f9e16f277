//! The TokenSmith command line over the engine.

pub mod cli;
