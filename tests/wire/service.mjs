// The real `tokensmith` binary with a configuration file, beside a real OpenID provider.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROVIDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../oidc-provider');

export function tool(name) {
  const value = process.env[name];
  if (!value) throw new Error(`\`${name}\` is not set: run the tests with \`cargo xtask test\``);
  return value;
}

/** A value as TOML writes it on one line. */
export function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([name, own]) => `${name} = ${toml(own)}`).join(', ')} }`;
}

/** A table of an array of tables. */
export function table(name, members) {
  const lines = Object.entries(members).map(([member, value]) => `${member} = ${toml(value)}\n`);
  return `[[${name}]]\n${lines.join('')}\n`;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function start(program, parameters, options) {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  const { value: line } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (!line) throw new Error(`\`${program} ${parameters.join(' ')}\` printed nothing`);
  return { child, line };
}

/** An OpenID provider and its user's ID tokens. */
export async function startProvider() {
  if (!existsSync(path.join(PROVIDER, 'node_modules'))) {
    throw new Error("the provider's packages are missing: run the tests with `cargo xtask test`");
  }
  const { child, line } = await start(process.execPath, [path.join(PROVIDER, 'server.mjs')]);
  const { issuer, client_id: clientId, redirect_uri: redirectUri } = JSON.parse(line);
  return {
    issuer,
    clientId,
    idToken(user) {
      const login = [path.join(PROVIDER, 'login.mjs'), issuer, clientId, redirectUri];
      const parameters = [...login, user, `${user}-password`];
      const answer = execFileSync(process.execPath, parameters, { encoding: 'utf8' });
      return JSON.parse(answer).id_token;
    },
    stop: () => child.kill(),
  };
}

/** The service, at the address that is its issuer; `configuration` is the text of the file. */
export async function startService(configuration, parameters) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokensmith-wire-'));
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const file = path.join(folder, 'tokensmith.toml');
  writeFileSync(file, configuration);
  const { child } = await start(
    tool('TOKENSMITH_BIN'),
    [
      '--config', file, 'serve', '--issuer', issuer,
      '--listen-address', '127.0.0.1', '--port', String(port), ...parameters,
    ],
    { cwd: folder, env: { ...process.env, RUST_LOG: 'error' } },
  );
  return {
    issuer,
    bootstrapToken(subject, audience, scopes) {
      return execFileSync(
        tool('TOKENSMITH_BIN'),
        [
          'bootstrap-token', 'create', '--subject', subject, '--audience', audience,
          '--scopes', scopes.join(','),
        ],
        { cwd: folder, encoding: 'utf8' },
      );
    },
    stop() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
