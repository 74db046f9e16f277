import { createVerifier, type VerifierOptions } from '@tokensmith/verifier';

interface Asked {
  options: VerifierOptions;
  token: string;
}

onmessage = async ({ data: { options, token } }: MessageEvent<Asked>) => {
  const verifier = await createVerifier(options);
  const { principal } = await verifier.verify(token);
  postMessage(principal.id);
};
