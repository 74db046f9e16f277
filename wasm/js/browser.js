// Entry for browsers and bundlers: the module is fetched once, when first needed.
import load from './engine.js';
import { api } from './verifier.js';

export { VerifierError } from './verifier.js';
export const { decode, createVerifier } = api(() => load());
