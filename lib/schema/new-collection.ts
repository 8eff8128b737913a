/**
 * What Anki's server puts into the collection of an account that was never used, in schema 11
 * (rslib: `storage/sqlite.rs`, `config/schema11.rs`). It stays until the first upload, or until a new device downloads it.
 */
import { stringifyLossless, type Json } from './json.ts';
import { stockNotetypes } from './stock-notetypes.ts';

/** Columns of `col`: texts of JSON objects, and the creation in seconds. `mod`, `usn`, `ls` are 0, `scm` is now, `ver` 11. */
export interface NewCollection {
  creationSecs: number;
  conf: string;
  models: string;
  decks: string;
  dconf: string;
  tags: string;
}

const ROLLOVER_HOUR = 4;

/** @param nowMillis also the id of the first notetype */
export function newCollection(nowMillis: number): NewCollection {
  const notetypes = stockNotetypes(nowMillis);
  return {
    creationSecs: lastRolloverSecs(nowMillis),
    conf: stringifyLossless({ ...CONFIG, curModel: nowMillis }),
    models: stringifyLossless(Object.fromEntries(notetypes.map((notetype) => [String(notetype['id']), notetype]))),
    decks: stringifyLossless({ 1: DEFAULT_DECK }),
    dconf: stringifyLossless({ 1: DEFAULT_DECK_CONFIG }),
    tags: '{}',
  };
}

/** The last time that it was 4 o'clock here, by the offset from UTC of now. */
function lastRolloverSecs(nowMillis: number): number {
  const nowSecs = Math.floor(nowMillis / 1000);
  const shiftSecs = new Date(nowMillis).getTimezoneOffset() * 60 + ROLLOVER_HOUR * 3600;
  return Math.floor((nowSecs - shiftSecs) / 86_400) * 86_400 + shiftSecs;
}

/** On a server without an offset of creation, which is a client's to say. */
const CONFIG: Record<string, Json> = {
  activeDecks: [1],
  addToCur: true,
  collapseTime: 1200,
  creationOffset: null,
  curDeck: 1,
  dayLearnFirst: false,
  dueCounts: true,
  estTimes: true,
  newSpread: 0,
  nextPos: 1,
  sched2021: true,
  schedVer: 2,
  sortBackwards: false,
  sortType: 'noteFld',
  timeLim: 0,
};

const DEFAULT_DECK: Json = {
  id: 1,
  mod: 0,
  name: 'Default',
  usn: 0,
  lrnToday: [0, 0],
  revToday: [0, 0],
  newToday: [0, 0],
  timeToday: [0, 0],
  collapsed: true,
  browserCollapsed: true,
  desc: '',
  dyn: 0,
  conf: 1,
  extendNew: 0,
  extendRev: 0,
  reviewLimit: null,
  newLimit: null,
  reviewLimitToday: null,
  newLimitToday: null,
  desiredRetention: null,
};

const DEFAULT_DECK_CONFIG: Json = {
  id: 1,
  mod: 0,
  name: 'Default',
  usn: 0,
  maxTaken: 60,
  autoplay: true,
  timer: 0,
  replayq: true,
  new: { bury: false, delays: [1, 10], initialFactor: 2500, ints: [1, 4, 0], order: 1, perDay: 20 },
  rev: { bury: false, ease4: 1.3, ivlFct: 1, maxIvl: 36_500, perDay: 200, hardFactor: 1.2 },
  lapse: { delays: [10], leechAction: 1, leechFails: 8, minInt: 1, mult: 0 },
  dyn: false,
  newMix: 0,
  newPerDayMinimum: 0,
  interdayLearningMix: 0,
  reviewOrder: 0,
  newSortOrder: 0,
  newGatherPriority: 0,
  buryInterdayLearning: false,
  fsrsWeights: [],
  fsrsParams5: [],
  fsrsParams6: [],
  desiredRetention: 0.9,
  ignoreRevlogsBeforeDate: '',
  easyDaysPercentages: [1, 1, 1, 1, 1, 1, 1],
  stopTimerOnAnswer: false,
  secondsToShowQuestion: 0,
  secondsToShowAnswer: 0,
  questionAction: 0,
  answerAction: 0,
  waitForAudio: true,
  sm2Retention: 0.9,
  weightSearch: '',
};
