// Policies in Node.js and Chromium: signed bundles of the real service and of the command line,
// decisions, and what a policy says beyond them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';

import { inNode, launch, openPage, policyInNode, serve } from './pages.mjs';
import { ISSUER, startService, tool } from './service.mjs';

const SIGNER = 'https://signer.test';
const RULES = 'p, role:viewer, nodes, read\np, role:keeper, nodes, write\ng, role:admin, role:keeper\n';

let service;
let browser;
let pages;
let folder;
let jwks;
let loadPolicy;

before(async () => {
  service = await startService();
  pages = await serve([service.url]);
  browser = await launch();
  ({ loadPolicy } = await policyInNode());
  folder = mkdtempSync(path.join(tmpdir(), 'tokensmith-policy-'));
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  writeFileSync(path.join(folder, 'key.pem'), await exportPKCS8(privateKey), { mode: 0o600 });
  writeFileSync(path.join(folder, 'site.csv'), RULES);
  jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256' }] };
});

after(async () => {
  await browser?.close();
  pages?.close();
  service?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function signed(sequence) {
  const parameters = [
    'policy', 'bundle', 'sign', '--policy', 'site.csv', '--key-file', 'key.pem',
    '--issuer', SIGNER, '--sequence', String(sequence), '--output', `${sequence}.bundle`,
  ];
  execFileSync(tool('TOKENSMITH_BIN'), parameters, { cwd: folder });
  return readFileSync(path.join(folder, `${sequence}.bundle`), 'utf8').trim();
}

async function serviceBundle() {
  const response = await fetch(`${service.url}/policy/bundle`);
  assert.equal(response.status, 200);
  return (await response.text()).trim();
}

test('the bundle of the service, in node', async () => {
  const { createVerifier } = await inNode();
  const policy = await loadPolicy(await serviceBundle(), { issuer: ISSUER, jwksUri: service.jwksUri });
  const health = await (await fetch(`${service.url}/health`)).json();
  assert.equal(policy.version, health.policy_version);
  assert.ok(policy.bundle.expires > new Date());
  const verifier = await createVerifier({ issuer: ISSUER, audience: 'svc', jwksUri: service.jwksUri });
  const { principal } = await verifier.verify(await service.accessToken('boot-service', 'svc'));
  assert.equal(policy.can(principal, 'metadata:nodes', 'read'), true);
  assert.equal(policy.can(principal, 'metadata:nodes', 'delete'), false);
  assert.equal(policy.decide(principal, 'metadata:nodes', 'delete'), 'deny');
  assert.equal(policy.decide(principal, ' ', 'read'), 'indeterminate');
  const { decision, subjects: [subject] } = policy.explain(principal, 'metadata:nodes', 'update');
  assert.deepEqual([decision, subject.subject, subject.rows], ['deny', 'role:service', []]);
  assert.equal(subject.nearMisses[0].field, 'sub');
  const table = policy.table(principal);
  const row = table.decisions[table.objects.indexOf('metadata:groups')];
  assert.deepEqual(row, table.actions.map((action) => (action === 'read' ? 'allow' : 'deny')));
});

test('the bundle of the service, in Chromium', async () => {
  const page = await openPage(browser, pages);
  const token = await service.accessToken('boot-service', 'svc');
  const seen = await page.evaluate(async ([bundle, token, issuer, jwksUri]) => {
    const policy = await globalThis.policy.loadPolicy(bundle, { issuer, jwksUri });
    const verifier = await globalThis.verifier.createVerifier({ issuer, audience: 'svc', jwksUri });
    const { principal } = await verifier.verify(token);
    const refused = (() => {
      try {
        return policy.can({ ...principal }, 'metadata:nodes', 'read');
      } catch (error) {
        return [error instanceof globalThis.verifier.VerifierError, error.code];
      }
    })();
    const may = ['read', 'delete'].map((action) => policy.can(principal, 'metadata:nodes', action));
    return { may, refused };
  }, [await serviceBundle(), token, ISSUER, service.jwksUri]);
  assert.deepEqual(seen, { may: [true, false], refused: [true, 'principal_unverified'] });
});

test('bundles are held to key, issuer, time and sequence', async () => {
  const options = { issuer: SIGNER, jwks };
  const [one, two] = [signed(1), signed(2)];
  const first = await loadPolicy(one, options);
  assert.equal(first.bundle.sequence, 1);
  const second = await loadPolicy(two, { ...options, state: first.bundle.state });
  const { state } = second.bundle;
  assert.equal(first.version, second.version);
  await assert.rejects(loadPolicy(one, { ...options, state }), { code: 'bundle_rollback' });
  await loadPolicy(two, { ...options, state: JSON.parse(JSON.stringify(state)) });
  await assert.rejects(loadPolicy(two, { ...options, issuer: ISSUER }), { code: 'bundle_issuer' });
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const others = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256' }] };
  await assert.rejects(loadPolicy(two, { ...options, jwks: others }), { code: 'bundle_signature' });
  // Among several keys the bundle's own is found.
  await loadPolicy(two, { ...options, jwks: { keys: [...others.keys, ...jwks.keys] } });
  const [header, payload, signature] = two.split('.');
  const forged = `${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`;
  await assert.rejects(loadPolicy(forged, options), { code: 'bundle_signature' });
  const late = new Date(second.bundle.expires.getTime() + 61_000);
  await assert.rejects(loadPolicy(two, { ...options, currentDate: late }), { code: 'bundle_expired' });
  await assert.rejects(loadPolicy(two, { ...options, currentDate: new Date(0) }), { code: 'bundle_not_yet_valid' });
  await assert.rejects(loadPolicy('x', options), { code: 'bundle_malformed' });
  for (const bad of [{}, { jwks }, { ...options, jwksUri: 'https://x.test' }, { ...options, more: 1 }, { ...options, state: 7 }]) {
    await assert.rejects(loadPolicy(two, bad), { code: 'bad_options' });
  }
  const gone = { issuer: SIGNER, jwksUri: 'https://x.test', fetch: async () => new Response('', { status: 503 }) };
  await assert.rejects(loadPolicy(two, gone), { code: 'jwks_fetch', message: /503/ });
});

test('texts, who can, and the roles', async () => {
  const model = `[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act
[role_definition]\ng = _, _\n[policy_effect]\ne = some(where (p.eft == allow))
[matchers]\nm = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act\n`;
  const policy = await loadPolicy({ model, rules: [{ name: 'site.csv', text: RULES }] });
  assert.equal(policy.version, (await loadPolicy(signed(3), { issuer: SIGNER, jwks })).version);
  assert.equal(policy.bundle, undefined);
  const grants = policy.whoCan('nodes', 'write').map(({ subject, path: way, row }) => [subject, way, row.line]);
  assert.deepEqual(grants, [
    ['role:admin', ['role:admin', 'role:keeper'], 2],
    ['role:keeper', ['role:keeper'], 2],
  ]);
  const { subjects: [why] } = policy.explain('role:admin', 'nodes', 'write');
  assert.deepEqual([why.allowed, why.rows[0].source, why.rows[0].roles], [true, 'site.csv', [['role:admin', 'role:keeper']]]);
  assert.deepEqual(policy.table('role:viewer'), {
    objects: ['nodes'], actions: ['read', 'write'], decisions: [['allow', 'deny']],
  });
  const graph = policy.roleGraph();
  assert.ok(graph.nodes.some(({ name, kind }) => name === 'role:keeper' && kind === 'role'));
  assert.ok(graph.mermaid.startsWith('flowchart') && graph.svg.startsWith('<svg'));
  assert.ok(policy.roleGraph('role:viewer').nodes.length < graph.nodes.length);
  assert.throws(() => policy.roleGraph('role:nobody'), { code: 'subject_unknown' });
  assert.throws(() => policy.whoCan('nodes', 7), { code: 'bad_options' });
  await assert.rejects(loadPolicy({ model, rules: 'p, a' }), { code: 'policy_syntax', message: /^<rules>:1:1: / });
  for (const bad of [{ model }, { model, rules: '', more: 1 }, 7, null, undefined]) {
    await assert.rejects(loadPolicy(bad), { code: 'bad_options' });
  }
  policy.free();
});
