/** Deck configs (presets), as Anki's `deckconfig/schema11.rs` writes them into `col.dconf`. */
import type { Json } from '../json.ts';
import { decodeBlob } from '../proto/decode.ts';
import { DeckConfigSchema } from '../proto/schema18_pb.ts';
import type { DeckConfig } from '../proto/schema18_pb.ts';
import { Schema18Error } from './losses.ts';
import type { Losses } from './losses.ts';
import { float32, integer, wholeProduct } from './numbers.ts';
import { isObject, keysOf, otherKeys, parseForAnki } from './other-keys.ts';
import type { JsonObject } from './other-keys.ts';
import { refuseDuplicates } from './rows.ts';
import type { DeckConfigRow } from './rows.ts';

const DECK_CONFIG_KEYS = new Set([
  'id', 'mod', 'name', 'usn', 'maxTaken', 'autoplay', 'timer', 'replayq', 'dyn', 'newMix', 'newPerDayMinimum',
  'interdayLearningMix', 'reviewOrder', 'newSortOrder', 'newGatherPriority', 'buryInterdayLearning', 'fsrsWeights', 'fsrsParams5',
  'fsrsParams6', 'desiredRetention', 'ignoreRevlogsBeforeDate', 'easyDaysPercentages', 'stopTimerOnAnswer', 'secondsToShowQuestion',
  'secondsToShowAnswer', 'questionAction', 'answerAction', 'waitForAudio', 'sm2Retention', 'weightSearch',
]);
const NEW_KEYS = new Set(['bury', 'delays', 'initialFactor', 'ints', 'order', 'perDay']);
const REV_KEYS = new Set(['bury', 'ease4', 'ivlFct', 'maxIvl', 'perDay', 'hardFactor']);
const LAPSE_KEYS = new Set(['delays', 'leechAction', 'leechFails', 'minInt', 'mult']);

/** Rows in any order, of schema 15 to 18. Throws Schema18Error. */
export function deckConfigsToSchema11(rows: DeckConfigRow[], schemaVersion: number, losses: Losses): JsonObject {
  refuseDuplicates('deck_config', 'id', rows, (row) => row.id);
  return Object.fromEntries(rows.map((row) => [String(row.id), deckConfigToSchema11(row, schemaVersion, losses)]));
}

/** Schema 14 has the JSON of schema 11 in the blob. Throws Schema18Error. */
export function deckConfigsFromSchema14(rows: DeckConfigRow[]): JsonObject {
  refuseDuplicates('deck_config', 'id', rows, (row) => row.id);
  return Object.fromEntries(
    rows.map((row) => {
      let value: Json | undefined;
      try {
        ({ value } = parseForAnki(row.config));
      } catch {
        // refused below
      }
      if (!isObject(value)) throw new Schema18Error(`deck config ${row.id} is damaged: no JSON object`);
      return [String(row.id), value];
    }),
  );
}

function deckConfigToSchema11(row: DeckConfigRow, schemaVersion: number, losses: Losses): Json {
  const where = `deck config ${row.id}`;
  const config = decodeBlob(DeckConfigSchema, row.config, 'deck config', where, losses);
  const valid = validValues(config, schemaVersion);
  const { new: newOther, rev: revOther, lapse: lapseOther, ...topOther } = otherKeys(
    config.other, DECK_CONFIG_KEYS, 'deck config', where, losses,
  );
  const nested = (value: Json | undefined, reserved: ReadonlySet<string>): JsonObject =>
    value === undefined ? {} : keysOf(value, reserved, 'deck config', where, losses);
  const known = (value: number, last: number, fallback: number, what: string): number => {
    if (value >= 0 && value <= last) return value;
    losses.add(`deck config: ${what} of an unknown kind`, where);
    return fallback;
  };
  // Anki would write null for what is no number, and could not read its own preset again
  const numbers = (values: number[], what: string): Json[] => {
    if (values.every(Number.isFinite)) return values.map(float32);
    losses.add(`deck config: ${what} that are no numbers`, where);
    return [];
  };
  const seconds = (value: number, what: string): Json => {
    if (Number.isFinite(value)) return float32(value);
    losses.add(`deck config: ${what} that are no number`, where);
    return float32(0);
  };
  return {
    id: integer(row.id),
    mod: integer(row.mtimeSecs),
    name: row.name,
    usn: row.usn,
    maxTaken: valid.capAnswerTimeToSecs,
    autoplay: !config.disableAutoplay,
    timer: config.showTimer ? 1 : 0,
    replayq: !config.skipQuestionWhenReplayingAnswer,
    new: {
      bury: config.buryNew,
      delays: numbers(config.learnSteps, 'learning steps'),
      initialFactor: startingEase(valid.initialEase, where, losses),
      ints: [valid.graduatingIntervalGood, valid.graduatingIntervalEasy, 0],
      // 0 and 1 mean the opposite in schema 11
      order: 1 - known(config.newCardInsertOrder, 1, 0, 'insertion order'),
      perDay: valid.newPerDay,
      ...nested(newOther, NEW_KEYS),
    },
    rev: {
      bury: config.buryReviews,
      ease4: float32(valid.easyMultiplier),
      ivlFct: float32(valid.intervalMultiplier),
      maxIvl: valid.maximumReviewInterval,
      perDay: valid.reviewsPerDay,
      hardFactor: float32(valid.hardMultiplier),
      ...nested(revOther, REV_KEYS),
    },
    lapse: {
      delays: numbers(config.relearnSteps, 'relearning steps'),
      leechAction: known(config.leechAction, 1, 0, 'leech action'),
      leechFails: valid.leechThreshold,
      minInt: valid.minimumLapseInterval,
      mult: float32(valid.lapseMultiplier),
      ...nested(lapseOther, LAPSE_KEYS),
    },
    dyn: false,
    newMix: config.newMix,
    newPerDayMinimum: valid.newPerDayMinimum,
    interdayLearningMix: config.interdayLearningMix,
    reviewOrder: config.reviewOrder,
    newSortOrder: config.newCardSortOrder,
    newGatherPriority: config.newCardGatherPriority,
    buryInterdayLearning: config.buryInterdayLearning,
    fsrsWeights: numbers(config.fsrsParams4, 'FSRS parameters'),
    fsrsParams5: numbers(config.fsrsParams5, 'FSRS parameters'),
    fsrsParams6: numbers(config.fsrsParams6, 'FSRS parameters'),
    desiredRetention: float32(valid.desiredRetention),
    ignoreRevlogsBeforeDate: config.ignoreRevlogsBeforeDate,
    easyDaysPercentages: numbers(config.easyDaysPercentages, 'easy days'),
    stopTimerOnAnswer: config.stopTimerOnAnswer,
    secondsToShowQuestion: seconds(config.secondsToShowQuestion, 'seconds of the question'),
    secondsToShowAnswer: seconds(config.secondsToShowAnswer, 'seconds of the answer'),
    questionAction: known(config.questionAction, 1, 0, 'question action'),
    answerAction: known(config.answerAction, 4, 0, 'answer action'),
    waitForAudio: config.waitForAudio,
    sm2Retention: float32(valid.historicalRetention),
    weightSearch: config.paramSearch,
    ...topOther,
  };
}

/** Schema 11 holds thousandths. */
function startingEase(ease: number, where: string, losses: Losses): number {
  const thousandths = wholeProduct(ease, 1000);
  if (Math.fround(thousandths / 1000) !== ease) losses.add('deck config: starting ease beyond three decimals', where);
  return thousandths;
}

/**
 * Anki reads a value outside of these bounds as its default (`ensure_deck_config_values_valid`), because clients once
 * stored zeros and NaN.
 */
function validValues(config: DeckConfig, schemaVersion: number) {
  const within = (value: number, fallback: number, min: number, max: number): number =>
    value >= Math.fround(min) && value <= Math.fround(max) ? value : Math.fround(fallback);
  return {
    newPerDay: within(config.newPerDay, 20, 0, 9999),
    reviewsPerDay: within(config.reviewsPerDay, 200, 0, 9999),
    newPerDayMinimum: within(config.newPerDayMinimum, 0, 0, 9999),
    initialEase: schemaVersion === 15 ? easeOfSchema15(config.initialEase) : within(config.initialEase, 2.5, 1.31, 5),
    easyMultiplier: within(config.easyMultiplier, 1.3, 1, 5),
    hardMultiplier: within(config.hardMultiplier, 1.2, 0.5, 1.3),
    lapseMultiplier: within(config.lapseMultiplier, 0, 0, 1),
    intervalMultiplier: within(config.intervalMultiplier, 1, 0.5, 2),
    maximumReviewInterval: within(config.maximumReviewInterval, 36_500, 1, 36_500),
    minimumLapseInterval: within(config.minimumLapseInterval, 1, 1, 36_500),
    graduatingIntervalGood: within(config.graduatingIntervalGood, 1, 1, 36_500),
    graduatingIntervalEasy: within(config.graduatingIntervalEasy, 4, 1, 36_500),
    leechThreshold: within(config.leechThreshold, 8, 1, 9999),
    capAnswerTimeToSecs: within(config.capAnswerTimeToSecs, 60, 1, 9999),
    desiredRetention: within(config.desiredRetention, 0.9, 0.7, 0.99),
    historicalRetention: within(config.historicalRetention, 0.9, 0.7, 0.97),
  };
}

/**
 * Schema 15 stored 250 for 2.5, and its clients made presets with 130 % by mistake. Anki repairs those together with
 * their cards when it upgrades a collection, from schema 11 too: so the low ease must reach it.
 */
function easeOfSchema15(stored: number): number {
  const ease = Math.fround(stored / 100);
  return ease >= 0 && ease <= 5 ? ease : 2.5;
}
