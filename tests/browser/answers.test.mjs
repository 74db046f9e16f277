// The package in Node.js and in Chromium beside the engine compiled natively: recorded cases and
// 10,000 generated tokens have the same outcome, messages and decisions included.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import { differences } from './answers.mjs';
import { inNode, launch, openPage, policyInNode, serve } from './pages.mjs';
import { tool } from './service.mjs';

let native;
let pages;
let browser;

before(async () => {
  native = execFileSync(tool('TOKENSMITH_NATIVE_ANSWERS'), { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  pages = await serve([], { '/answers.jsonl': native });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  pages?.close();
});

function check({ found, counts }) {
  assert.deepEqual(found, []);
  const { accepted, refused, policies, requests } = counts;
  assert.ok(accepted + refused > 10_000, `${accepted + refused} tokens`);
  assert.ok(accepted > 1000 && refused > 1000, `${accepted} accepted, ${refused} refused`);
  assert.ok(policies > 200 && requests > 300, `${policies} policies, ${requests} requests`);
}

test('in node', async () => {
  const [{ createVerifier }, { loadPolicy }] = [await inNode(), await policyInNode()];
  check(await differences(native, { createVerifier, loadPolicy }));
});

test('in Chromium', async () => {
  const page = await openPage(browser, pages);
  const seen = await page.evaluate(async () => {
    const { differences } = await import('/tests/answers.mjs');
    const text = await (await fetch('/answers.jsonl')).text();
    const { createVerifier } = globalThis.verifier;
    const { loadPolicy } = globalThis.policy;
    return differences(text, { createVerifier, loadPolicy });
  });
  check(seen);
});
