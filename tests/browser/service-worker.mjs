// A service worker that verifies what pages send it. It must not import later on.
import { createVerifier } from '/pkg/browser.js';
import { loadPolicy } from '/pkg/policy-browser.js';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => {
  const { options, token, port } = { ...event.data, port: event.ports[0] };
  event.waitUntil(answer(options, token).then(
    (seen) => port.postMessage(seen),
    (error) => port.postMessage({ error: error.code ?? String(error) }),
  ));
});

async function answer(options, token) {
  const verifier = await createVerifier(options);
  const { principal } = await verifier.verify(token);
  const policy = await loadPolicy({ baseline: true });
  return { id: principal.id, may: policy.can(principal, 'metadata:nodes', 'read') };
}
