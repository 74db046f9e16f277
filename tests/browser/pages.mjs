// A real Chromium, and the pages it opens: under the policy that a careful site sets, with the
// package and what Vite built of its user.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { chromium } from 'playwright-core';

import { tool } from './service.mjs';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const pkg = path.join(here, '../../wasm/pkg');
export const built = path.join(here, '../../target/tmp/verifier-consumer');

const manifest = JSON.parse(await readFile(path.join(pkg, 'package.json'), 'utf8'));
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm',
};

const entry = (name, condition) => path.join(pkg, manifest.exports[name][condition]);
const url = (name) => `/pkg/${path.basename(entry(name, 'default'))}`;

/** The package as Node.js takes it. */
export const inNode = () => import(pathToFileURL(entry('.', 'node')));
export const policyInNode = () => import(pathToFileURL(entry('./policy', 'node')));

export async function launch() {
  return chromium.launch({
    executablePath: tool('TOKENSMITH_CHROMIUM'),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/**
 * Serves `/` (an empty page), `/without-wasm` (one that may not compile), `/pkg/`, `/built/`, the
 * modules of this folder under `/tests/`, `jose` under `/jose/`, and `documents`, texts by path. Connections are allowed to
 * `origins` only.
 */
export async function serve(origins = [], documents = {}) {
  const jose = path.join(here, 'node_modules/jose/dist/webapi');
  const folders = { pkg, built, tests: here, jose };
  const policy = (scripts) => [
    "default-src 'none'", `script-src ${scripts}`, "worker-src 'self'",
    `connect-src ${["'self'", ...origins].join(' ')}`,
  ].join('; ');
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    const scripts = pathname === '/without-wasm' ? "'self'" : "'self' 'wasm-unsafe-eval'";
    const answer = (type, body) => {
      response.writeHead(200, { 'content-type': type, 'content-security-policy': policy(scripts) });
      response.end(body);
    };
    if (pathname === '/' || pathname === '/without-wasm') {
      return answer('text/html', '<!doctype html><title>page</title>');
    }
    if (Object.hasOwn(documents, pathname)) return answer('text/plain', documents[pathname]);
    const [, folder, ...names] = pathname.split('/');
    try {
      if (names.includes('..') || !Object.hasOwn(folders, folder)) throw new Error('no such folder');
      const file = path.join(folders[folder], ...names);
      return answer(TYPES[path.extname(file)] ?? 'text/plain', await readFile(file));
    } catch {
      response.writeHead(404);
      return response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return Object.assign(server, { origin, url: `${origin}/` });
}

/** An empty page with the package as `verifier` and `policy`. */
export async function openPage(browser, pages, at = '/') {
  const page = await browser.newPage();
  await page.goto(new URL(at, pages.url).href);
  await page.evaluate(async ([verifier, policy]) => {
    globalThis.verifier = await import(verifier);
    globalThis.policy = await import(policy);
  }, [url('.'), url('./policy')]);
  return page;
}
