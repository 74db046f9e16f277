// A page as its users write it: built by Vite, run in Chromium.
import { createVerifier, decode, VerifierError, type VerifierOptions } from '@tokensmith/verifier';
import { loadPolicy, type Decision } from '@tokensmith/verifier/policy';

export interface Seen {
  shown: unknown;
  id: string;
  may: readonly Decision[];
  refused: string;
  inWorker: string;
}

declare global {
  var run: (options: VerifierOptions, token: string) => Promise<Seen>;
}

globalThis.run = async (options, token) => {
  const { claims } = await decode(token);
  const verifier = await createVerifier(options);
  const { principal } = await verifier.verify(token);
  const policy = await loadPolicy({ baseline: true });
  const may = ['read', 'delete'].map((action) => policy.decide(principal, 'metadata:nodes', action));
  const refused = await verifier.verify(`${token.slice(0, -8)}AAAAAAAA`).then(
    () => 'accepted',
    (error: unknown) => (error instanceof VerifierError ? error.code : String(error)),
  );
  return { shown: claims['sub'], id: principal.id, may, refused, inWorker: await inWorker(options, token) };
};

function inWorker(options: VerifierOptions, token: string): Promise<string> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<string>) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ options, token });
  });
}
