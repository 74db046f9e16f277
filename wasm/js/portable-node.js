import { readFile } from 'node:fs/promises';

import { once } from './loading.js';
import load, * as portable from './portable.js';

/** The module that checks signatures where WebCrypto cannot. */
export const loadPortable = once(async () => {
  const bytes = await readFile(new URL('./portable_bg.wasm', import.meta.url));
  await load({ module_or_path: bytes });
  return portable;
});
