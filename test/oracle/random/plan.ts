/**
 * Plans of random rounds: what two or three devices of one user do, and when they sync. Everything is drawn from the seed, and nothing
 * is left to the clock, so that a plan plays the same on every server, and again tomorrow.
 *
 * Left out, because the official server differs there on purpose or by luck (docs/differences.md):
 * syncs of two devices at the same moment (objects under an older usn); undo of a deletion that was synced (graves);
 * unfolded tags and settings beyond schema 11; times of decks, notes and cards that depend on the second in which they run.
 */

export interface Step {
  device: string;
  /** An action of actions.py, or `sync`, `media`, `cut`, `one_way` of player.py. */
  do: string;
  /** Stamp of what changes, in seconds since the start of the plan's time. Two steps may share one. */
  secs?: number;
  args?: Record<string, unknown>;
}

export interface Plan {
  seed: number;
  devices: string[];
  steps: Step[];
  /** One per step, from which ids are made: a step keeps its own when others are taken out of the plan. */
  numbers: number[];
}

/** Mulberry32: small, and the same everywhere. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761) >>> 0;
  }

  /** 0 or more, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  some<T>(of: readonly T[], atMost: number): T[] {
    return Array.from({ length: this.below(atMost + 1) }, () => this.one(of));
  }
}

const TEXTS = ['one', 'two', 'Ärger', '日本語 😀', '<b>bold</b> &amp; &lt;x&gt;', '<img src="ü b.png"> [sound:a.mp3]', '12', '007', '1e3', '-5.5', '',
  ' spaces ', 'e\u0301 decomposed', 'tab\there', 'line<br>break\nline', '"quotes" \\ and \u2028', '<!-- comment -->hidden', '{{field}}',
  '<style>a{}</style>styled', '&nbsp;&nbsp;x', '<div>div</div><div>2</div>', 'a\u0007b', 'long '.repeat(400), '\u{1F468}\u200D\u{1F469}',
  '<img src="one.txt">', '<img src=two.txt alt="x">', '9223372036854775808', '0x10', '&#x41;&#66;&bogus;', '<script>x</script>y'];
const TAGS = ['a', 'b::c', 'B::C', 'Ärger', 'ärger', '日本', 'marked', 'leech', 'x-y', 'b::c::d', 'e\u0301', 'Straße', 'STRASSE', 'ǅ'];
const NAMES = ['Alpha', 'alpha', 'Beta', 'Ärger', 'ärger', '日本', 'Straße', 'STRASSE', 'Q "x" \\', 'Gamma', 'ALPHA', 'İ'];
const CONFIG_KEYS = ['addon.x', 'addon.ü', 'newSpread', 'timeLim', 'collapseTime', 'dueCounts', 'estTimes', 'sortBackwards', 'nextPos', '__proto__'];
const CONFIG_VALUES = ['1', '0', 'true', 'false', '1200', '"text ü"', '{"deep":[1,2.5,{"a":null}]}', '9007199254740993', '-7290854878769846350', '1.5',
  '[]', '"\\u2028"'];
const MEDIA = ['one.txt', 'two.txt', 'größe.png', '日本 語.jpg', '_css.css', 'a b.mp3', 'Case.txt', 'case.txt', 'e\u0301.txt'];
const UNKNOWN = ['{"xBig": -7290854878769846350}', '{"xAddon": {"deep": [1.5, null, true]}}', '{"xOdd": 9007199254740993, "xFloat": 1.5}', '{"xText": "ü 😀 \\u0000"}'];
const METHODS = ['meta', 'start', 'applyGraves', 'applyChanges', 'chunk', 'applyChunk', 'sanityCheck2', 'finish', 'finish', 'finish'];
const MEDIA_METHODS = ['begin', 'mediaChanges', 'uploadChanges', 'downloadFiles', 'mediaSanity'];

type Draw = (dice: Dice) => Record<string, unknown>;

const pick = (dice: Dice): number => dice.below(1_000_000);
const few = (dice: Dice): number => 1 + dice.below(4);
const texts = (dice: Dice): string[] => Array.from({ length: 3 }, () => dice.one(TEXTS));

/** [how often, action, arguments] */
const ACTIONS: [number, string, Draw][] = [
  [12, 'add_notes', (d) => ({ pick: pick(d), deck: pick(d), count: few(d), texts: texts(d), tags: d.some(TAGS, 2) })],
  [10, 'edit_note', (d) => ({ pick: pick(d), field: d.below(3), text: d.one(TEXTS), tags: d.chance(0.4) ? d.some(TAGS, 3) : null })],
  [2, 'edit_notes', (d) => ({ pick: pick(d), count: 2 + d.below(10), text: d.one(TEXTS) })],
  [5, 'remove_notes', (d) => ({ pick: pick(d), count: few(d) })],
  [3, 'remove_cards', (d) => ({ pick: pick(d), count: few(d) })],
  [4, 'add_tags', (d) => ({ pick: pick(d), count: few(d), tags: [d.one(TAGS), d.one(TAGS)] })],
  [2, 'remove_tags', (d) => ({ pick: pick(d), count: few(d), tags: [d.one(TAGS)] })],
  [2, 'rename_tag', (d) => ({ pick: pick(d), name: d.one(TAGS) })],
  [1, 'clear_unused_tags', () => ({})],
  [10, 'answer', (d) => ({ pick: pick(d), count: few(d), rating: d.below(4) })],
  [3, 'flag', (d) => ({ pick: pick(d), count: few(d), color: d.below(8) })],
  [2, 'suspend', (d) => ({ pick: pick(d), count: few(d) })],
  [2, 'bury', (d) => ({ pick: pick(d), count: few(d) })],
  [2, 'unbury_and_unsuspend', (d) => ({ pick: pick(d), count: few(d) })],
  [3, 'set_due', (d) => ({ pick: pick(d), count: few(d), days: d.one(['0', '3', '10!', '400']) })],
  [2, 'forget', (d) => ({ pick: pick(d), count: few(d) })],
  [1, 'reposition', (d) => ({ pick: pick(d), count: few(d), start: d.below(100) })],
  [2, 'set_custom_data', (d) => ({ pick: pick(d), data: d.one(['{"x":1.5}', '{"ü":"y"}', '', '{"a":12345678}']) })],
  [4, 'move_cards', (d) => ({ pick: pick(d), count: few(d), deck: pick(d) })],
  [4, 'add_deck', (d) => ({ name: d.one(NAMES), ...(d.chance(0.5) ? { parent: pick(d) } : {}) })],
  [1, 'add_deck', (d) => ({ name: d.one(NAMES), filtered: d.one(['', 'is:new', 'deck:Default', 'is:due']) })],
  [4, 'rename_deck', (d) => ({ pick: pick(d), name: d.one(NAMES), ...(d.chance(0.5) ? { parent: pick(d) } : {}) })],
  [3, 'patch_deck', (d) => ({ pick: pick(d), patch_json: d.one([...UNKNOWN, `{"desc": "by ${d.below(100)}"}`, '{"collapsed": true}', '{"newLimit": 7}']) })],
  [2, 'remove_deck', (d) => ({ pick: pick(d) })],
  [2, 'swap_deck_names', (d) => ({ pick: pick(d) })],
  [1, 'swap_notetype_names', (d) => ({ pick: pick(d) })],
  [1, 'filtered_deck', (d) => ({ pick: pick(d), rebuild: d.chance(0.6) })],
  [2, 'add_notetype', (d) => ({ name: `Type ${d.one(NAMES)}`, fields: d.one([['F', 'B'], ['Front', 'Back', 'Ü'], ['日本', 'x']]), templates: 1 + d.below(2), cloze: d.chance(0.2) })],
  [4, 'patch_notetype', (d) => ({ pick: pick(d), patch_json: d.one([...UNKNOWN, `{"css": ".card { order: ${d.below(100)} }"}`, `{"tmpls.0": {"afmt": "{{FrontSide}} ${d.below(100)}"}}`,
    '{"flds.1": {"size": 30, "xNew": {"big": 18446744073709551615}}}', `{"name": "Type ${d.one(NAMES)}"}`, '{"tmpls.0": {"did": 1}}', '{"flds.0": {"rtl": true}}']) })],
  [2, 'add_preset', (d) => ({ name: d.one(NAMES) })],
  [3, 'patch_preset', (d) => ({ pick: pick(d), patch_json: d.one([...UNKNOWN, `{"new.perDay": ${d.below(100)}}`, '{"rev.perDay": 5, "xBy": "ü"}', `{"name": "${d.one(['P', 'p', 'Ä'])}"}`,
    '{"new.delays": [1.5, 10, 1440]}', '{"desiredRetention": 0.87}']) })],
  [2, 'use_preset', (d) => ({ deck: pick(d), pick: pick(d) })],
  [1, 'deck_options', (d) => ({ deck: pick(d), fsrs: d.chance(0.5), new_per_day: d.below(100), new_limit: d.chance(0.5) ? d.below(50) : null })],
  [4, 'set_config', (d) => ({ key: d.one(CONFIG_KEYS), value_json: d.one(CONFIG_VALUES) })],
  [1, 'set_config', () => ({ key: 'lastUnburied', value_json: '100' })],
  [1, 'remove_config', (d) => ({ key: d.one(CONFIG_KEYS) })],
  [6, 'write_media', (d) => ({ name: d.one(MEDIA), text: `bytes ${d.below(1000)}` })],
  [3, 'replace_media', (d) => ({ pick: pick(d), text: `other bytes ${d.below(1000)}` })],
  [5, 'trash_media', (d) => ({ pick: pick(d) })],
];

/** Without cards, a device would be asked to fetch the server's own empty collection, whose notetypes have ids of the clock. */
const FIRST = ACTIONS.filter(([, name]) => ['add_notes', 'add_deck', 'write_media'].includes(name));

/** Rare, for they end in a one-way sync of every device, which forgets what was different. */
const RESHAPING: [number, string, Draw][] = [
  [3, 'reshape_notetype', (d) => ({ pick: pick(d), how: d.one(['field', 'template', 'sort field', 'remove']), name: d.one(NAMES) })],
  [1, 'change_notetype', (d) => ({ pick: pick(d), to: pick(d) })],
  [1, 'remove_preset', (d) => ({ pick: pick(d) })],
];

export function makePlan(seed: number): Plan {
  const dice = new Dice(seed);
  const devices = ['a', 'b', 'c'].slice(0, dice.chance(0.35) ? 3 : 2);
  const steps: Step[] = [];
  let secs = 0;
  const act = (device: string, of: typeof ACTIONS): void => {
    const [, name, draw] = weighted(dice, of);
    secs += 10;
    // a clock that is off, and two changes within one second
    const shift = dice.chance(0.25) ? dice.below(600) * 10 - 3000 : 0;
    const args = draw(dice);
    steps.push({ device, do: name, secs: 10_000 + secs + shift, args });
    // the same thing in two ways on two devices: later, earlier, or in the same second
    if (steps.some((step) => step.do === 'sync') && 'pick' in args && dice.chance(0.3)) {
      const other = dice.one(devices.filter((each) => each !== device));
      const later = dice.one([-500, -1, 0, 1, 500]);
      const [, twin, drawTwin] = dice.chance(0.7) ? dice.one(of.filter(([, each]) => each === name)) : weighted(dice, of);
      const drawn = drawTwin(dice);
      if ('pick' in drawn) steps.push({ device: other, do: twin, secs: 10_000 + secs + shift + later, args: { ...drawn, pick: args['pick'] } });
    }
  };

  act('a', FIRST.slice(0, 1));
  for (let i = 4 + dice.below(6); i > 0; i--) act('a', FIRST);
  for (let i = 4 + dice.below(8); i > 0; i--) act('a', ACTIONS);
  // more than fits into one chunk
  if (dice.chance(0.06)) steps.push({ device: 'a', do: 'add_notes', secs: 9000, args: { pick: 0, deck: 0, count: 240 + dice.below(30), texts: texts(dice), tags: [] } });
  for (const device of devices) steps.push({ device, do: 'sync', args: { upload: device === 'a', media: dice.chance(0.5) } });

  const rounds = 3 + dice.below(5);
  const mayReshape = dice.chance(0.25);
  for (let i = 0; i < rounds; i++) {
    for (let n = 1 + dice.below(8); n > 0; n--) act(dice.one(devices), ACTIONS);
    if (dice.chance(0.03)) steps.push({ device: dice.one(devices), do: 'add_notes', secs: 9001 + i, args: { pick: pick(dice), deck: 0, count: 120 + dice.below(150), texts: texts(dice), tags: [] } });
    if (mayReshape && dice.chance(0.3)) act(dice.one(devices), RESHAPING);
    steps.push(someSync(dice, dice.one(devices)));
    if (dice.chance(0.4)) steps.push(someSync(dice, dice.one(devices)));
  }
  // whoever comes first decides, and the others take what it has
  const order = dice.chance(0.5) ? devices : devices.toReversed();
  for (const [i, device] of [...order, ...order].entries()) steps.push({ device, do: 'sync', args: { upload: i === 0, media: true } });
  return { seed, devices, steps, numbers: steps.map((_step, i) => i) };
}

function someSync(dice: Dice, device: string): Step {
  const upload = dice.chance(0.5);
  const chance = dice.next();
  if (chance < 0.06) return { device, do: 'media' };
  if (chance < 0.2) return { device, do: 'cut', args: { method: dice.one(METHODS), after: dice.chance(0.5), silent: dice.chance(0.5) } };
  if (chance < 0.25) return { device, do: 'cut', args: { media: true, method: dice.one(MEDIA_METHODS), after: dice.chance(0.5), silent: true } };
  if (chance < 0.28) return { device, do: 'one_way', args: { upload, media: dice.chance(0.3) } };
  return { device, do: 'sync', args: { upload, media: dice.chance(0.5) } };
}

function weighted(dice: Dice, of: typeof ACTIONS): (typeof ACTIONS)[number] {
  let left = dice.next() * of.reduce((sum, [weight]) => sum + weight, 0);
  return of.find(([weight]) => (left -= weight) < 0) ?? of.at(-1)!;
}
