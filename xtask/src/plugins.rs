use std::path::PathBuf;

use anyhow::{Context as _, Result};
use wit_component::ComponentEncoder;

use crate::build::wasm;
use crate::command::root;

/// Packages, and the components that are made of them.
const COMPONENTS: [(&str, &str); 3] = [
    ("tokensmith-plugin-example", "example"),
    ("tokensmith-hostile-plugin", "hostile"),
    ("tokensmith-engine-module", "engine"),
];

/// Where the components are.
pub(crate) fn folder() -> PathBuf {
    root().join("target/plugins")
}

/// The example plugin, and the components of the tests: target/plugins/NAME.wasm.
pub(crate) fn components() -> Result<()> {
    std::fs::create_dir_all(folder())?;
    for (package, name) in COMPONENTS {
        // The types of the component are in a section that is to be kept.
        wasm(package, &["opt-level=3", "strip=\"none\""])?;
        let file = format!("{}.wasm", package.replace('-', "_"));
        let module = root()
            .join("target/wasm32-unknown-unknown/release")
            .join(file);
        let bytes = std::fs::read(&module)
            .with_context(|| format!("cannot read module `{}`", module.display()))?;
        let component = ComponentEncoder::default()
            .module(&bytes)
            .and_then(|encoder| encoder.validate(true).encode())
            .with_context(|| format!("cannot make a component of `{}`", module.display()))?;
        std::fs::write(folder().join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}
