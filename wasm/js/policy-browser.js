// Entry for policies in browsers, workers and bundlers.
import { policyApi } from './policy.js';
import load from './policy_engine.js';
import { loadPortable } from './portable-browser.js';

export { VerifierError } from './errors.js';
export const { loadPolicy } = policyApi(
  () => load({ module_or_path: new URL('./policy_engine_bg.wasm', import.meta.url) }),
  loadPortable,
);
