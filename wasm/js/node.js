// Entry for Node.js: the module is read once, when first needed.
import { readFile } from 'node:fs/promises';

import load from './engine.js';
import { loadPortable } from './portable-node.js';
import { api } from './verifier.js';

export { VerifierError } from './errors.js';
export const { decode, createVerifier } = api(async () => {
  const bytes = await readFile(new URL('./engine_bg.wasm', import.meta.url));
  return load({ module_or_path: bytes });
}, loadPortable);
