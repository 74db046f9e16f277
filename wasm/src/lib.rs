//! TokenSmith.
