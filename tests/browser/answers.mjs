// Compares the package with what the engine answers natively. Runs in pages too.

/** The differences between the answers in `text`, JSON lines, and the package's, and how many of each kind there were. */
export async function differences(text, { createVerifier, loadPolicy }) {
  const verifiers = new Map();
  const baseline = await loadPolicy({ baseline: true });
  const found = [];
  const counts = { accepted: 0, refused: 0, policies: 0, requests: 0 };
  const compare = (about, expected, seen) => {
    if (!same(expected, seen)) found.push({ about, expected, seen });
  };
  for (const line of text.split('\n').filter(Boolean)) {
    const answer = JSON.parse(line);
    if (answer.kind === 'verifier') {
      verifiers.set(answer.name, await createVerifier(answer.options));
    } else if (answer.kind === 'token') {
      const { token, outcome } = answer;
      counts[outcome.code === undefined ? 'accepted' : 'refused'] += 1;
      // The second time it is remembered.
      for (let time = 0; time < 2; time += 1) {
        compare(token, outcome, await tokenOutcome(verifiers.get(answer.verifier), baseline, answer));
      }
    } else {
      counts.policies += 1;
      counts.requests += answer.requests?.length ?? 0;
      const { kind, texts, ...expected } = answer;
      compare(texts, expected, await policyOutcome(loadPolicy, answer));
    }
  }
  return { found: found.slice(0, 20), counts };
}

async function tokenOutcome(verifier, baseline, { token, now, outcome }) {
  try {
    const verified = await verifier.verify(token, { currentDate: new Date(now * 1000) });
    const decisions = (outcome.decisions ?? []).map(([object, action]) =>
      [object, action, baseline.decide(verified.principal, object, action)]);
    return { ...verified, decisions };
  } catch (error) {
    return { code: error.code ?? String(error), message: error.message };
  }
}

async function policyOutcome(loadPolicy, { texts, requests }) {
  let policy;
  try {
    policy = await loadPolicy(texts);
  } catch (error) {
    return { error: { code: error.code ?? String(error), message: error.message } };
  }
  const answers = (requests ?? []).map(({ request }) => {
    const [explained] = policy.explain(...request).subjects;
    const { allowed, rows } = explained;
    return { request, answer: explained.error ?? { allowed, rows } };
  });
  const { version } = policy;
  policy.free();
  return { version, requests: answers };
}

function same(one, other) {
  if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') return one === other;
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other)
    && names.length === Object.keys(other).length
    && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}
