// A page that is watched: what it asks for, what its policy forbids it, what it logs.
import assert from 'node:assert/strict';

/** Opens the inspector, waits for the policy, and returns the page with `finish`, which fails when
 * the page did what it must not. */
export async function openInspector(browser, site, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  const seen = { elsewhere: [], forbidden: [], logged: [], requests: [] };
  await context.exposeFunction('noteViolation', (text) => seen.forbidden.push(text));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.noteViolation(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  page.on('request', (request) => {
    const url = request.url();
    seen.requests.push(`${request.method()} ${url} ${request.postData() ?? ''}`);
    if (!url.startsWith(`${site.url}/`) && !url.startsWith('data:')) seen.elsewhere.push(url);
  });
  page.on('pageerror', (error) => seen.logged.push(String(error)));
  page.on('console', (message) => {
    // A refused exchange is an answer, which Chromium logs as an error of the network.
    const expected = options.refuses && message.text().includes('the server responded with a status of 401');
    if (['error', 'warning'].includes(message.type()) && !expected) seen.logged.push(message.text());
  });
  await page.goto(`${site.url}/ui/`);
  await page.locator('#policy-version').waitFor();
  await page.locator('#roles img').waitFor();
  return {
    page,
    seen,
    async finish() {
      const { elsewhere, forbidden, logged } = seen;
      assert.deepEqual({ elsewhere, forbidden, logged }, { elsewhere: [], forbidden: [], logged: [] });
      await context.close();
    },
  };
}

/** Moves the focus with the Tab key alone until it is at the element. */
export async function tabTo(page, selector, key = 'Tab') {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await page.evaluate((own) => document.activeElement?.matches(own) ?? false, selector)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`the Tab key does not lead to \`${selector}\``);
}

/** Puts text into the field that has the focus, in the place of what is there. */
export async function type(page, text) {
  await page.keyboard.press('Control+A');
  if (text === '') await page.keyboard.press('Delete');
  else await page.keyboard.insertText(text);
}

/** Inspects a token by the keyboard, and returns what is said about it. */
export async function inspect(page, token) {
  await tabTo(page, '#token', 'Shift+Tab');
  await type(page, token);
  await tabTo(page, '#token-form button[type=submit]');
  await page.keyboard.press('Enter');
  await page.locator('#status:not(:empty)').waitFor();
  return page.locator('#status').textContent();
}

/** The steps as `{name: state}`. */
export const steps = (page) => page.$$eval('#steps li', (all) =>
  Object.fromEntries(all.map((own) => [own.dataset.step, own.className])));

/** The cells of a table's body. */
export const rows = (page, selector) => page.$$eval(`${selector} tbody tr`, (all) =>
  all.map((own) => [...own.children].map((cell) => cell.innerText.trim())));
