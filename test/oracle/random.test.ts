/** Random behaviour of several devices, once against the official server and once against ours. More rounds: `npm run oracle`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makePlan } from './random/plan.ts';
import { checkPlants, PLANTS, plantedCopy } from './random/plants.ts';
import { Oracle, stepText } from './random/rounds.ts';
import type { RoundResult } from './random/rounds.ts';

const FIRST_SEED = 1;
const ROUNDS = 20;

describe('random rounds of real devices', () => {
  let oracle: Oracle;

  before(async () => {
    oracle = await Oracle.start();
  });

  after(async () => {
    await oracle?.stop();
  });

  it('a seed makes the same plan each time, and another seed another one', () => {
    assert.deepEqual(makePlan(7), makePlan(7));
    assert.notDeepEqual(makePlan(7).steps, makePlan(8).steps);
  });

  it(`${ROUNDS} rounds from seed ${FIRST_SEED} on end as with the official server`, { timeout: 400_000 }, async (context) => {
    const played: RoundResult[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      const result = await oracle.round(seed, { keep: true });
      played.push(result);
      assert.deepEqual(result.differences, [], `official <> ours; \`npm run oracle -- --seed ${seed} --rounds 1 --shrink\` finds the steps`);
    }
    context.diagnostic(`seeds ${FIRST_SEED} to ${FIRST_SEED + ROUNDS - 1}`);

    // the rounds say little if the plans ask for what cannot be done
    const outcomes = new Map<string, number>();
    const count = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    let steps = 0;
    for (const { plan, official } of played) {
      for (const [i, step] of plan.steps.entries()) {
        steps++;
        count(step.do);
        count(official.outcomes[i] ?? 'done');
      }
    }
    for (const kind of ['media', 'cut', 'one_way', 'add_notes', 'answer', 'remove_notes', 'reshape_notetype', 'trash_media', 'set_config', 'swap_deck_names']) {
      assert.ok(outcomes.has(kind), kind);
    }
    for (const kind of ['FULL_UPLOAD', 'FULL_DOWNLOAD', 'FULL_SYNC', 'NO_CHANGES', 'sync error OTHER']) assert.ok(outcomes.has(kind), kind);
    assert.ok((outcomes.get('nothing') ?? 0) < steps * 0.15, `${outcomes.get('nothing')} of ${steps} steps found nothing to do`);
    const broken = [...outcomes.keys()].filter((outcome) => /^(Type|Attribute|Key|Index|Name|Value|OS)Error/.test(outcome));
    assert.deepEqual(broken, []);
  });

  it('each bug that can be planted still has its place in the sources', () => checkPlants());

  it('a planted bug is found', { timeout: 200_000 }, async () => {
    const plant = PLANTS.find(({ file }) => file.endsWith('graves.ts'))!;
    const copy = await plantedCopy(plant);
    try {
      await oracle.changeOurs(copy.root);
      let found: RoundResult | undefined;
      for (let seed = FIRST_SEED; found === undefined && seed < FIRST_SEED + ROUNDS; seed++) {
        const result = await oracle.round(seed, { keep: true });
        if (result.differences.length > 0) found = result;
      }
      assert.ok(found, `${plant.name}: not found within ${ROUNDS} rounds`);
      assert.ok(found.plan.steps.map(stepText).some((step) => step.includes('remove_')));
    } finally {
      await oracle.changeOurs();
      await copy.remove();
    }
  });
});
