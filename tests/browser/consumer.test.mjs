// The package as others take it: TypeScript checks what uses it, Vite builds it, Chromium runs it in
// pages, workers and service workers under a strict policy, and no other origin is asked.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { built, here, launch, openPage, pkg, serve } from './pages.mjs';
import { ISSUER, startService } from './service.mjs';

const consumer = path.join(here, 'consumer');
const KIB = 1024;
// Bytes after gzip.
// Policies bring regular expressions with Unicode's tables; that module is wanted smaller, never larger.
const MOST = { 'engine_bg.wasm': 150 * KIB, 'policy_engine_bg.wasm': 410 * KIB };

let service;
let browser;
let pages;

before(async () => {
  // As `npm install` would put it.
  const scope = path.join(here, 'node_modules/@tokensmith');
  mkdirSync(scope, { recursive: true });
  rmSync(path.join(scope, 'verifier'), { recursive: true, force: true });
  symlinkSync(pkg, path.join(scope, 'verifier'));
  service = await startService();
  pages = await serve([service.url]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  pages?.close();
  service?.stop();
});

function run(tool, parameters) {
  const program = path.join(here, 'node_modules/.bin', tool);
  try {
    execFileSync(program, parameters, { cwd: consumer, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, NODE_ENV: 'production' } });
  } catch (error) {
    assert.fail(`${tool}: ${error.message}\n${error.stdout}${error.stderr}`);
  }
}

// A context in which nothing is asked of other origins than the page's and the issuer's.
async function watched() {
  const context = await browser.newContext();
  const origins = new Set();
  context.on('request', (request) => origins.add(new URL(request.url()).origin));
  const allowed = [pages.origin, new URL(service.url).origin];
  return { context, check: () => assert.deepEqual([...origins].filter((own) => !allowed.includes(own)), []) };
}

const options = () => ({ issuer: ISSUER, audience: 'svc', jwksUri: service.jwksUri });

test('TypeScript, strict, with both kinds of resolution', () => {
  run('tsc', ['--project', '.']);
  run('tsc', ['--project', '.', '--module', 'nodenext', '--moduleResolution', 'nodenext']);
});

test('built by Vite, in a page and a worker', async () => {
  run('vite', ['build', '--outDir', built]);
  const modules = readdirSync(path.join(built, 'assets')).filter((name) => name.endsWith('.wasm'));
  assert.equal(modules.length, 3, `each module once: ${modules}`);
  const { context, check } = await watched();
  const page = await context.newPage();
  await page.goto(`${pages.origin}/built/index.html`);
  await page.waitForFunction(() => globalThis.run !== undefined);
  const token = await service.accessToken('boot-service', 'svc');
  const seen = await page.evaluate(([own, text]) => globalThis.run(own, text), [options(), token]);
  assert.deepEqual(seen, {
    shown: 'boot-service', id: 'boot-service', may: ['allow', 'deny'],
    refused: 'signature_invalid', inWorker: 'boot-service',
  });
  check();
  await context.close();
});

test('in a service worker', async () => {
  const { context, check } = await watched();
  const page = await context.newPage();
  await page.goto(pages.url);
  const token = await service.accessToken('boot-service', 'svc');
  const seen = await page.evaluate(async ([own, text]) => {
    await navigator.serviceWorker.register('/tests/service-worker.mjs', { type: 'module' });
    const registration = await navigator.serviceWorker.getRegistration('/tests/');
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    worker.postMessage({ options: own, token: text }, [port2]);
    return answer;
  }, [options(), token]);
  assert.deepEqual(seen, { id: 'boot-service', may: true });
  check();
  await context.close();
});

test('the modules are small enough to be fetched by every page', () => {
  for (const [name, most] of Object.entries(MOST)) {
    const size = gzipSync(readFileSync(path.join(pkg, name)), { level: 9 }).length;
    assert.ok(size <= most, `${name}: ${size} bytes after gzip, at most ${most} are allowed`);
  }
});

test('the policy module is not loaded by pages that only verify', async () => {
  const page = await openPage(browser, pages);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.evaluate(() => globalThis.verifier.decode('e30.e30.'));
  assert.deepEqual(asked, [`${pages.origin}/pkg/engine_bg.wasm`]);
});
