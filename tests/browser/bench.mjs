// The package beside `jose`, in Node.js and in Chromium.
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import * as jose from 'jose';

import { measure } from './contestants.mjs';
import { here, inNode, launch, openPage, pkg, policyInNode, serve } from './pages.mjs';

const root = path.join(here, '../..');
const STARTS = 15;
// What instantiating a module may take, in milliseconds.
const START_LIMIT_MS = 30;

const median = (all) => all.sort((one, other) => one - other)[Math.floor(all.length / 2)];

async function nodeGroups() {
  const [{ createVerifier, decode }, { loadPolicy }] = [await inNode(), await policyInNode()];
  return measure({ createVerifier, decode, loadPolicy, jose });
}

// In a process of its own each: a module is instantiated once.
function nodeStarts() {
  const script = `const { decode } = await import(${JSON.stringify(path.join(pkg, 'node.js'))});
    const start = performance.now(); await decode('e30.e30.'); console.log(performance.now() - start);`;
  return Array.from({ length: STARTS }, () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })));
}

async function chromium() {
  const pages = await serve();
  const browser = await launch();
  try {
    const starts = [];
    for (let index = 0; index < STARTS; index += 1) {
      const page = await openPage(browser, pages);
      starts.push(await page.evaluate(async () => {
        const start = performance.now();
        await globalThis.verifier.decode('e30.e30.');
        return performance.now() - start;
      }));
      await page.close();
    }
    const page = await openPage(browser, pages);
    const groups = await page.evaluate(async () => {
      const jose = await import('/jose/index.js');
      const { measure } = await import('/tests/contestants.mjs');
      return measure({ ...globalThis.verifier, ...globalThis.policy, jose });
    });
    return { starts, groups, version: browser.version() };
  } finally {
    await browser.close();
    pages.close();
  }
}

function print(where, groups, starts) {
  for (const { what, limit_us: limit, contestants } of groups) {
    console.log(`\n${what} in ${where}${limit === null ? '' : `, at most ${limit} us`}`);
    for (const { name, median_us: middle, best_us: best } of contestants) {
      const ratio = (contestants[0].median_us / middle).toFixed(2);
      console.log(`  ${name.padEnd(28)} ${middle.toFixed(2).padStart(9)} us ${best.toFixed(2).padStart(9)} us  ${ratio}x speed`);
    }
  }
  const start = median(starts);
  console.log(`\nfetch and instantiate the verifier in ${where}, at most ${START_LIMIT_MS} ms\n  ${start.toFixed(1)} ms`);
  return { where, groups, instantiate_ms: start };
}

const results = [print(`Node.js ${process.version}`, await nodeGroups(), nodeStarts())];
const { starts, groups, version } = await chromium();
results.push(print(`Chromium ${version}`, groups, starts));
const sizes = {};
for (const name of ['engine_bg.wasm', 'policy_engine_bg.wasm', 'portable_bg.wasm']) {
  sizes[name] = gzipSync(await readFile(path.join(pkg, name)), { level: 9 }).length;
  console.log(`${name}: ${sizes[name]} bytes after gzip`);
}
await mkdir(path.join(root, 'target/bench'), { recursive: true });
await writeFile(path.join(root, 'target/bench/wasm.json'), `${JSON.stringify({ bench: 'wasm', results, sizes }, null, 2)}\n`);
console.log('\nJSON: target/bench/wasm.json');
