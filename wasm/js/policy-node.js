// Entry for policies in Node.js.
import { readFile } from 'node:fs/promises';

import { policyApi } from './policy.js';
import load from './policy_engine.js';
import { loadPortable } from './portable-node.js';

export { VerifierError } from './errors.js';
export const { loadPolicy } = policyApi(async () => {
  const bytes = await readFile(new URL('./policy_engine_bg.wasm', import.meta.url));
  return load({ module_or_path: bytes });
}, loadPortable);
