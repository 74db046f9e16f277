// The inspector in a real Chromium, from the real service, by keyboard. A page that breaks its
// content security policy, asks another origin, or logs an error fails its test.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { base64url } from 'jose';
import { chromium } from 'playwright-core';

import { tool } from './service.mjs';
import { inspect, openInspector, rows, steps, tabTo, type } from './ui_page.mjs';
import { claims, POLICY, startSite } from './ui_site.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCREENSHOTS = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../target/screenshots');
const STEPS = [
  'form', 'algorithm', 'type', 'issuer', 'key', 'signature', 'subject', 'audience', 'times', 'profile',
  'binding',
];

let site;
let browser;

before(async () => {
  site = await startSite();
  browser = await chromium.launch({
    executablePath: tool('TOKENSMITH_CHROMIUM'),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
});

after(async () => {
  await browser?.close();
  site?.stop();
});

const later = (condition, page, argument) => page.waitForFunction(condition, argument, { timeout: 20_000 });

test('a good token: claims, steps, principal and permissions', async () => {
  const { page, seen, finish } = await openInspector(browser, site);
  // The first stop of the Tab key leads past the navigation.
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the token');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'token');

  const token = await site.sign();
  assert.equal(await inspect(page, `Authorization: Bearer ${token}\n`), 'Verified: ann, a user.');
  assert.deepEqual(await steps(page), Object.fromEntries(STEPS.map((step) => [step, 'pass'])));
  assert.match(await page.locator('#principal').innerText(), /role|operator/);

  const payload = Object.fromEntries((await rows(page, '#payload')).map(([name, ...cells]) => [name, cells]));
  assert.deepEqual(Object.keys(payload).sort(), Object.keys(claims()).sort());
  assert.equal(payload.sub[1], 'Whom it is about: the caller.');
  assert.match(payload.exp[0], /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 59 minutes$/);
  assert.match(payload.iat[0], /UTC, (now|\d+ seconds? ago)$/);
  const header = await rows(page, '#header');
  assert.deepEqual(header.map(([name, value]) => [name, value]), [['alg', 'ES256'], ['kid', site.kid], ['typ', 'JWT']]);

  await page.locator('#permissions table').waitFor();
  assert.deepEqual((await rows(page, '#permissions')).map(([object, action, decision]) => [object, action, decision]), [
    ['/nodes', 'GET', 'allowed'],
    ['metadata:nodes', 'read', 'allowed'],
    ['metadata:nodes', 'update', 'allowed'],
  ]);
  const [, read] = await rows(page, '#permissions');
  assert.match(read[3], /p, role:viewer, metadata:nodes, read\s+site\.csv:1, through role:operator → role:viewer/);
  await tabTo(page, '#permissions-filter');
  await type(page, 'UPD');
  await later(() => document.querySelectorAll('#permissions tbody tr').length === 1, page);
  await tabTo(page, '#permissions-show');
  await page.keyboard.press('ArrowDown');
  await tabTo(page, '#permissions-filter', 'Shift+Tab');
  await type(page, 'delete');
  await later(() => /denied\s+no row allows it/.test(document.querySelector('#permissions').innerText), page);

  // The token is in the field and nowhere else.
  const kept = await page.evaluate(async () => ({
    stored: localStorage.length + sessionStorage.length,
    databases: (await indexedDB.databases()).length,
    cookies: document.cookie,
    caches: (await caches.keys()).length,
    address: location.href,
  }));
  assert.deepEqual(kept, { stored: 0, databases: 0, cookies: '', caches: 0, address: `${site.url}/ui/#main` });
  const [, , signature] = token.split('.');
  assert.deepEqual(seen.requests.filter((own) => own.includes(signature)), []);

  await tabTo(page, '#clear', 'Shift+Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#token').inputValue(), '');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'token');
  assert.equal((await page.content()).includes('metadata:nodes, update</code>'), false);
  assert.equal(await page.locator('#payload').textContent(), '');
  await finish();
});

test('each refusal names its step and code', async () => {
  const { page, finish } = await openInspector(browser, site);
  const now = Math.floor(Date.now() / 1000);
  const good = await site.sign();
  const [head, body, signature] = good.split('.');
  const altered = base64url.encode(JSON.stringify(claims({ sub: 'root' })));
  const none = base64url.encode(JSON.stringify({ alg: 'none' }));
  const cases = [
    ['not a token', 'form', 'token_malformed'],
    [`${head}.${body}`, 'form', 'token_malformed'],
    [`${head}.${altered}.${signature}`, 'signature', 'signature_invalid'],
    [`${none}.${body}.`, 'algorithm', 'alg_refused'],
    [await site.sign({}, { typ: 'dpop+jwt' }), 'type', 'typ_refused'],
    [await site.sign({ exp: 'soon' }), 'form', 'claim_type'],
    [await site.sign({ iss: 'https://elsewhere.test' }), 'issuer', 'issuer_refused'],
    [await site.sign({}, { kid: 'mine' }), 'key', 'kid_malformed'],
    [await site.sign({ sub: undefined }), 'subject', 'claim_missing'],
    [await site.sign({ aud: undefined }), 'audience', 'claim_missing'],
    [await site.sign({ exp: now - 3600 }), 'times', 'token_expired'],
    [await site.sign({ nbf: now + 3600 }), 'times', 'token_not_yet_valid'],
    [await site.sign({ session_exp: now - 3600 }), 'times', 'session_expired'],
    [await site.sign({ session_id: undefined }), 'profile', 'claim_missing'],
    [await site.sign({ auth_factors: 1 }), 'profile', 'auth_factors_too_few'],
    [await site.sign({ cnf: { 'x5t#S256': 'A'.repeat(43) } }), 'binding', 'certificate_missing'],
  ];
  for (const [token, step, code] of cases) {
    assert.match(await inspect(page, token), new RegExp(`^Refused: ${code}, `), token);
    const shown = await steps(page);
    assert.equal(shown[step], 'fail', code);
    assert.deepEqual(Object.values(shown).filter((state) => state === 'fail').length, 1, code);
    assert.equal(await page.locator('#steps .fail code', { hasText: code }).count(), 1, code);
    for (const after of STEPS.slice(STEPS.indexOf(step) + 1)) {
      if (code !== 'claim_type') assert.equal(shown[after], 'open', `${code} ${after}`);
    }
    assert.equal(await page.locator('#principal-section').isHidden(), true);
    assert.equal(await page.locator('#permissions-body').isHidden(), true);
    assert.equal(await page.locator('input[name=who][value=principal]').isDisabled(), true);
  }

  await tabTo(page, '#audience', 'Shift+Tab');
  await type(page, 'other');
  assert.match(await inspect(page, good), /^Refused: audience_mismatch, /);
  assert.equal((await steps(page)).audience, 'fail');
  await tabTo(page, '#audience', 'Shift+Tab');
  await type(page, '');
  await tabTo(page, '#profile');
  await page.keyboard.press('ArrowDown');
  assert.equal(await inspect(page, await site.sign({ session_id: undefined })), 'Verified: ann, a user.');
  await finish();
});

test('what a token says is shown, never run', async () => {
  const { page, finish } = await openInspector(browser, site);
  const markup = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
  const token = await site.sign({ sub: markup, [markup]: markup, roles: [markup] });
  assert.equal(await inspect(page, token), `Verified: ${markup}, a user.`);
  assert.equal(await page.locator('main img:not(#roles img), main script').count(), 0);
  assert.equal(await page.title(), 'TokenSmith inspector');
  await finish();
});

test('why a request is allowed or denied', async () => {
  const { page, finish } = await openInspector(browser, site);
  const ask = async (object, action) => {
    await tabTo(page, '#object');
    await type(page, object);
    await tabTo(page, '#action');
    await type(page, action);
    await page.keyboard.press('Enter');
    await page.locator('#why-status:not(:empty)').waitFor();
    return page.locator('#why-status').textContent();
  };
  await tabTo(page, '#subject');
  await type(page, 'role:viewer');
  assert.equal(await ask('metadata:nodes', 'update'), 'Denied: update on metadata:nodes. No row allows it.');
  const near = await rows(page, '#why');
  assert.equal(near.length, 2);
  assert.match(near[0].join(' '), /p, role:viewer, metadata:nodes, read\s+site\.csv:1.* act is read, not update/s);
  assert.match(near[1].join(' '), /p, role:operator, metadata:nodes, update\s+site\.csv:3.* sub is role:operator, not role:viewer/s);

  await inspect(page, await site.sign());
  await tabTo(page, 'input[name=what]:checked');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.locator('label[for=object]').textContent(), 'Path');
  assert.equal(
    await ask('/nodes', 'GET'),
    'Allowed: GET on /nodes. By the row p, role:viewer, /nodes, GET (site.csv:2).',
  );
  await tabTo(page, '#object', 'Shift+Tab');
  assert.equal(await ask('/nodes', 'DELETE'), 'Denied: DELETE on /nodes. No row allows it.');
  await finish();
});

test('the picture of roles', async () => {
  const { page, finish } = await openInspector(browser, site);
  const words = () => page.$$eval('#roles-list li', (all) => all.map((own) => own.textContent));
  assert.ok((await words()).includes('role:operator has role:viewer'));
  assert.ok((await words()).includes('role:viewer may metadata:nodes: read'));
  const whole = (await words()).length;
  assert.ok(await page.$eval('#roles img', (own) => own.decode().then(() => own.naturalWidth)) > 100);
  await tabTo(page, '#roles-subject');
  await type(page, 'role:viewer');
  await page.keyboard.press('Enter');
  await later((count) => document.querySelectorAll('#roles-list li').length < count, page, whole);
  await type(page, 'role:nobody');
  await page.keyboard.press('Enter');
  await later(() => document.querySelector('#roles-status').textContent.startsWith('subject_unknown: '), page);
  assert.equal(await page.locator('#roles').isHidden(), true);
  await finish();
});

test('the service as it is now', async () => {
  const { page, finish } = await openInspector(browser, site);
  const [[kid, alg, state, published]] = await rows(page, '#keys');
  assert.deepEqual([kid, alg, state], [site.kid, 'ES256', 'signs']);
  assert.match(published, /^\d{4}-.* UTC, .* ago \(\d+ (second|minute)s? old\)$/);
  await inspect(page, await site.sign());
  await page.locator('#permissions table').waitFor();
  const former = await page.locator('#policy-version').textContent();
  assert.match(former, /^v2:[0-9a-f]{64}$/);
  site.replacePolicy(`${POLICY}p, role:operator, metadata:nodes, create\n`);
  try {
    await tabTo(page, '#refresh');
    for (let presses = 0; presses < 50; presses += 1) {
      await page.keyboard.press('Enter');
      await page.waitForTimeout(200);
      if (await page.locator('#policy-version').textContent() !== former) break;
    }
    assert.notEqual(await page.locator('#policy-version').textContent(), former);
    // What was shown of the former policy goes with it.
    await later(() => document.querySelector('#permissions').innerText.includes('metadata:nodes, create'), page);
  } finally {
    site.replacePolicy(POLICY);
  }
  await finish();
});

test('a token of the provider is exchanged', async () => {
  const { page, finish } = await openInspector(browser, site, { refuses: true });
  await tabTo(page, '#profile');
  const exchanged = async (token) => {
    assert.match(await inspect(page, token), /^Refused: issuer_refused, /);
    await tabTo(page, '#exchange');
    await page.keyboard.press('Enter');
    await later(() => !/^(Refused|$)/.test(document.querySelector('#status').textContent), page);
    return page.locator('#status').textContent();
  };
  const token = await site.idToken('alice');
  assert.match(await exchanged(`${token.slice(0, -8)}AAAAAAAA`), /^signature_invalid: /);
  assert.equal(await exchanged(token), 'Verified: alice, a user.');
  assert.equal((await rows(page, '#payload')).find(([name]) => name === 'iss')[1], 'https://tokensmith.test');
  await finish();
});

for (const scheme of ['light', 'dark']) {
  test(`accessible, ${scheme}`, async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    const { page, finish } = await openInspector(browser, site, { colorScheme: scheme, reducedMotion: 'reduce' });
    const audit = async (when) => {
      // As Chromium's own evaluation: the page's content security policy stays as it is.
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }));
      const found = violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
      assert.deepEqual(found, [], when);
    };
    await audit('empty');
    await inspect(page, await site.sign({ exp: 1 }));
    await audit('refused');
    await inspect(page, await site.sign());
    await page.locator('#permissions table').waitFor();
    await tabTo(page, '#object');
    await type(page, 'metadata:nodes');
    await tabTo(page, '#action');
    await type(page, 'delete');
    await page.keyboard.press('Enter');
    await page.locator('#why table').waitFor();
    await audit('verified');
    await page.screenshot({ path: path.join(SCREENSHOTS, `inspector-${scheme}.png`), fullPage: true });
    await page.setViewportSize({ width: 360, height: 740 });
    await audit('narrow');
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `the page is ${width} px wide`);
    await page.screenshot({ path: path.join(SCREENSHOTS, `inspector-${scheme}-360.png`), fullPage: true });
    const [back, ink] = await page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [backgroundColor, color].map((own) => Number(/\d+/.exec(own)[0]));
    });
    assert.equal(back > ink, scheme === 'light');
    await finish();
  });
}
