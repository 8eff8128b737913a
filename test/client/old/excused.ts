/** What may differ between an old device and the newest one after a sync, each with its reason: the doing of clients, not of the server. */

interface Excuse {
  /** The releases it holds for, by position: this one and those before. */
  until: string;
  /** A "table.column" of dump.py, or a line that it writes; the old device is on the left. */
  what: string | RegExp;
  why: string;
}

export const EXCUSES: readonly Excuse[] = [
  {
    until: '24.11',
    what: 'cards.data',
    why: 'keeps only those keys of the data of a card that the release knows, and writes none where newer ones write {}',
  },
  { until: '2.1.26', what: /^notes .* tags: "  .*  " <> " /, why: 'pads the tags of its own notes with two spaces' },
  {
    until: '2.1.26',
    what: /^notetypes .*(config\.other: \{"tags": \[\]\}|target_deck_id_unused)/,
    why: 'remembers tags and deck of the last note, and leaves the stamps as they were',
  },
  { until: '2.1.26', what: /^config \["newBury"\] only on the left/, why: 'sets it at every start, and leaves the stamps as they were' },
  {
    until: '2.1.66',
    what: /^deck_config .* config\.(desired_retention|historical_retention|wait_for_audio): /,
    why: 'knows these options not yet, and their defaults are filled in by whoever converts the file: the release itself, or the server',
  },
];
