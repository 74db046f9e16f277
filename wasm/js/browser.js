// Entry for browsers, workers and bundlers: the module is fetched once, when first needed.
import load from './engine.js';
import { loadPortable } from './portable-browser.js';
import { api } from './verifier.js';

export { VerifierError } from './errors.js';
export const { decode, createVerifier } = api(
  // Bundlers know this form and bring the file along.
  () => load({ module_or_path: new URL('./engine_bg.wasm', import.meta.url) }),
  loadPortable,
);
