/** Notetypes with their fields and templates, as Anki's `notetype/schema11.rs` writes them into `col.models`. */
import type { Json } from '../json.ts';
import { decodeBlob } from '../proto/decode.ts';
import { FieldConfigSchema, NotetypeConfigSchema, TemplateConfigSchema } from '../proto/schema18_pb.ts';
import { cut, integer } from './numbers.ts';
import { Schema18Error } from './losses.ts';
import type { Losses } from './losses.ts';
import { otherKeys } from './other-keys.ts';
import type { JsonObject } from './other-keys.ts';
import { refuseDuplicates } from './rows.ts';
import type { FieldRow, NotetypeRow, TemplateRow } from './rows.ts';

const NOTETYPE_KEYS = new Set([
  'id', 'name', 'type', 'mod', 'usn', 'sortf', 'did', 'tmpls', 'flds', 'css', 'latexPre', 'latexPost', 'latexsvg', 'req',
  'originalStockKind', 'originalId',
]);
const FIELD_KEYS = new Set([
  'name', 'ord', 'sticky', 'rtl', 'font', 'size', 'description', 'plainText', 'collapsed', 'excludeFromSearch', 'id', 'tag',
  'preventDeletion',
]);
const TEMPLATE_KEYS = new Set(['name', 'ord', 'qfmt', 'afmt', 'bqfmt', 'bafmt', 'did', 'bfont', 'bsize', 'id']);
const REQUIREMENT_KINDS = ['none', 'any', 'all'];

/** Rows in any order. Throws Schema18Error. */
export function notetypesToSchema11(notetypes: NotetypeRow[], fields: FieldRow[], templates: TemplateRow[], losses: Losses): JsonObject {
  refuseDuplicates('notetypes', 'id', notetypes, (row) => row.id);
  refuseDuplicates('notetypes', 'name', notetypes, (row) => row.name);
  const fieldsOf = groupByNotetype('fields', fields, notetypes, losses);
  const templatesOf = groupByNotetype('templates', templates, notetypes, losses);
  return Object.fromEntries(
    notetypes.map((row) => [
      String(row.id),
      notetypeToSchema11(row, fieldsOf.get(row.id) ?? [], templatesOf.get(row.id) ?? [], losses),
    ]),
  );
}

function groupByNotetype<Row extends FieldRow>(table: string, rows: Row[], notetypes: NotetypeRow[], losses: Losses): Map<bigint, Row[]> {
  const groups = new Map<bigint, Row[]>(notetypes.map((row) => [row.id, []]));
  for (const row of rows) {
    const group = groups.get(row.ntid);
    if (group === undefined) losses.add(`${table} without a notetype`, `notetype ${row.ntid}`);
    else group.push(row);
  }
  for (const [ntid, group] of groups) {
    refuseDuplicates(`${table} of notetype ${ntid}`, 'ord', group, (row) => row.ord);
    refuseDuplicates(`${table} of notetype ${ntid}`, 'name', group, (row) => row.name);
    group.sort((a, b) => a.ord - b.ord);
  }
  return groups;
}

function notetypeToSchema11(row: NotetypeRow, fields: FieldRow[], templates: TemplateRow[], losses: Losses): Json {
  const where = `notetype ${row.id}`;
  const config = decodeBlob(NotetypeConfigSchema, row.config, 'notetype', where, losses);
  if (config.kind !== 0 && config.kind !== 1) throw new Schema18Error(`${where} is of a kind that this server does not know`);
  return {
    id: integer(row.id),
    name: row.name,
    type: config.kind,
    mod: integer(row.mtimeSecs),
    usn: row.usn,
    sortf: cut(config.sortFieldIdx, 'u16', 'notetype: sort field', where, losses),
    did: config.targetDeckIdUnused === 0n ? null : integer(config.targetDeckIdUnused),
    tmpls: templates.map((template) => templateToSchema11(template, losses)),
    flds: fields.map((field) => fieldToSchema11(field, losses)),
    css: config.css,
    latexPre: config.latexPre,
    latexPost: config.latexPost,
    latexsvg: config.latexSvg,
    req: config.reqs.map((req) => {
      const kind = REQUIREMENT_KINDS[req.kind];
      if (kind === undefined) losses.add('notetype: card requirement of an unknown kind', where);
      return [
        cut(req.cardOrd, 'u16', 'notetype: card requirement', where, losses),
        kind ?? 'none',
        req.fieldOrds.map((ord) => cut(ord, 'u16', 'notetype: card requirement', where, losses)),
      ];
    }),
    ...(config.originalStockKind !== 0 && { originalStockKind: config.originalStockKind }),
    ...(config.originalId !== undefined && { originalId: integer(config.originalId) }),
    ...otherKeys(config.other, NOTETYPE_KEYS, 'notetype', where, losses),
  };
}

function fieldToSchema11(row: FieldRow, losses: Losses): Json {
  const where = `field ${row.ord} of notetype ${row.ntid}`;
  const config = decodeBlob(FieldConfigSchema, row.config, 'field', where, losses);
  return {
    name: row.name,
    ord: cut(row.ord, 'u16', 'field: position', where, losses),
    sticky: config.sticky,
    rtl: config.rtl,
    font: config.fontName,
    size: cut(config.fontSize, 'u16', 'field: font size', where, losses),
    description: config.description,
    plainText: config.plainText,
    collapsed: config.collapsed,
    excludeFromSearch: config.excludeFromSearch,
    id: config.id === undefined ? null : integer(config.id),
    tag: config.tag ?? null,
    preventDeletion: config.preventDeletion,
    ...otherKeys(config.other, FIELD_KEYS, 'field', where, losses),
  };
}

function templateToSchema11(row: TemplateRow, losses: Losses): Json {
  const where = `template ${row.ord} of notetype ${row.ntid}`;
  const config = decodeBlob(TemplateConfigSchema, row.config, 'template', where, losses);
  if (config.targetDeckId < 0n) losses.add('template: deck override with a negative id', where);
  return {
    name: row.name,
    ord: cut(row.ord, 'u16', 'template: position', where, losses),
    qfmt: config.qFormat,
    afmt: config.aFormat,
    bqfmt: config.qFormatBrowser,
    bafmt: config.aFormatBrowser,
    did: config.targetDeckId > 0n ? integer(config.targetDeckId) : null,
    bfont: config.browserFontName,
    bsize: cut(config.browserFontSize, 'u8', 'template: browser font size', where, losses),
    id: config.id === undefined ? null : integer(config.id),
    ...otherKeys(config.other, TEMPLATE_KEYS, 'template', where, losses),
  };
}
