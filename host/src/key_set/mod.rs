//! The signing keys of a folder and the states they go through: published, signing, retired,
//! withdrawn. Which state a key is in follows from the manifest and the time alone, so that
//! several replicas with the same folder, or copies of it, agree without talking.

mod error;
mod folder;
mod implicit;
mod set;
#[cfg(test)]
mod tests;

pub use error::KeySetError;
pub use folder::{Begin, KeyFolder, LoadedKeys, MANIFEST};
pub use set::{
    DEFAULT_KEEP_RETIRED, DEFAULT_PUBLISH_AHEAD, KeyEntry, KeySet, KeyState, KeyStatus, KeysAt,
};
