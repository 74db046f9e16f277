import { once } from './loading.js';
import load, * as portable from './portable.js';

/** The module that checks signatures where WebCrypto cannot. */
// The script is imported at once, as service workers cannot later; the module only when needed.
export const loadPortable = once(async () => {
  await load({ module_or_path: new URL('./portable_bg.wasm', import.meta.url) });
  return portable;
});
