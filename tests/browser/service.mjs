// The real `tokensmith` binary, serving from a folder of its own.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const ISSUER = 'https://tokensmith.test';

export function tool(name) {
  const value = process.env[name];
  if (!value) throw new Error(`\`${name}\` is not set: run the tests with \`cargo xtask test\``);
  return value;
}

export async function startService() {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokensmith-browser-'));
  const child = spawn(
    tool('TOKENSMITH_BIN'),
    ['serve', '--issuer', ISSUER, '--listen-address', '127.0.0.1', '--port', '0'],
    { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, RUST_LOG: 'error' } },
  );
  const { value: line } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (!line) throw new Error('the service printed nothing');
  const url = line.split(' ').at(-1);
  return {
    url,
    jwksUri: `${url}/.well-known/jwks.json`,
    async accessToken(subject, audience) {
      const bootstrap = execFileSync(
        tool('TOKENSMITH_BIN'),
        ['bootstrap-token', 'create', '--subject', subject, '--audience', audience],
        { cwd: folder, encoding: 'utf8' },
      );
      const response = await fetch(`${url}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token_type: 'urn:openchami:params:oauth:token-type:bootstrap-token',
          subject_token: bootstrap,
        }),
      });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()).access_token;
    },
    stop() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
