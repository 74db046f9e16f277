//! The browser and node verifier: not built yet.
