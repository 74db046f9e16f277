import { VerifierError } from './errors.js';

/** A function that has `load` bring a module once, when it is first called. */
export function once(load) {
  let loading;
  return () => {
    loading ??= load().catch((cause) => {
      // The next call may have more luck.
      loading = undefined;
      throw new VerifierError('wasm_load', `a module of the package cannot be loaded: ${cause}`, { cause });
    });
    return loading;
  };
}
