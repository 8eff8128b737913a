/**
 * Reads the `CREATE` texts of a schema of which nothing is trusted, by an allow-list of grammar: a plain table of plain
 * columns, or an index on plain columns. Whatever could run code when the file is used (triggers, views, virtual tables,
 * generated columns, CHECK, expressions in DEFAULT or in an index) does not parse, and so is refused.
 */
import { CorruptFile } from './anki2-corrupt.ts';

export interface PlainColumn {
  name: string;
  /** As declared, lower case, words only; empty when none. */
  type: string;
  /** Lower case; `binary` when none is given. */
  collation: string;
}

export interface PlainTable {
  kind: 'table';
  name: string;
  columns: PlainColumn[];
  /** Lower case names in the order of the key; empty when none. */
  primaryKey: string[];
  withoutRowid: boolean;
  /** Has nothing but types, NOT NULL, PRIMARY KEY, COLLATE and DEFAULT: no UNIQUE, REFERENCES, AUTOINCREMENT, STRICT, … */
  simple: boolean;
  /** Offsets in the text of each word `unicase` that names a collation. */
  unicaseAt: number[];
}

export interface PlainIndex {
  kind: 'index';
  name: string;
  table: string;
  unique: boolean;
  columns: { name: string; collation: string | undefined }[];
  /** The words of WHERE, joined by a blank, lower case: only to be compared with Anki's own. */
  where: string | undefined;
  unicaseAt: number[];
}

interface Token {
  kind: 'word' | 'quoted' | 'text' | 'number' | 'symbol';
  /** Without quotes. */
  value: string;
  at: number;
}

const COLLATIONS = ['binary', 'nocase', 'rtrim', 'unicase'];
const COLUMN_CONSTRAINTS = ['constraint', 'primary', 'not', 'null', 'unique', 'check', 'default', 'collate', 'references', 'generated', 'as'];
const TABLE_CONSTRAINTS = ['constraint', 'primary', 'unique', 'check', 'foreign'];
/** Beyond this, the text is no hand's work. */
const MAX_TOKENS = 20_000;

/** Throws CorruptFile for any text but a plain table or a plain index. */
export function parseCreate(sql: string): PlainTable | PlainIndex {
  const reader = tokenReader(tokens(sql));
  reader.expect('create');
  if (reader.take('table')) return createTable(reader);
  const unique = reader.take('unique');
  reader.expect('index');
  return createIndex(reader, unique);
}

/** SQLite compares names so: ASCII letters only. */
export function lowerAscii(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function createTable(reader: TokenReader): PlainTable {
  const table: PlainTable = {
    kind: 'table',
    name: reader.name(),
    columns: [],
    primaryKey: [],
    withoutRowid: false,
    simple: true,
    unicaseAt: [],
  };
  reader.expect('(');
  do {
    if (TABLE_CONSTRAINTS.some((word) => reader.peek(word))) {
      tableConstraint(reader, table);
      // SQLite lets the comma between table constraints go
      while (TABLE_CONSTRAINTS.some((word) => reader.peek(word))) tableConstraint(reader, table);
    } else {
      table.columns.push(column(reader, table));
    }
  } while (reader.take(','));
  reader.expect(')');
  if (!reader.done()) {
    do {
      if (reader.take('without')) {
        reader.expect('rowid');
        table.withoutRowid = true;
      } else {
        reader.expect('strict');
        table.simple = false;
      }
    } while (reader.take(','));
  }
  reader.end();
  if (table.columns.length === 0) throw refused();
  return table;
}

function column(reader: TokenReader, table: PlainTable): PlainColumn {
  const name = reader.name();
  const words: string[] = [];
  for (;;) {
    const word = reader.typeWord();
    if (word === undefined) break;
    // `x int GENERATED ALWAYS AS …`: SQLite takes the two words for part of the type
    if (word === 'generated' || word === 'always') throw refused();
    words.push(word);
  }
  if (words.length > 0 && reader.take('(')) {
    do reader.signedNumber();
    while (reader.take(','));
    reader.expect(')');
  }
  const result: PlainColumn = { name, type: words.join(' '), collation: 'binary' };
  for (;;) {
    if (reader.take('constraint')) reader.name();
    else if (reader.take('primary')) {
      reader.expect('key');
      const descending = reader.take('desc');
      if (!descending) reader.take('asc');
      conflictClause(reader, table);
      if (reader.take('autoincrement')) table.simple = false;
      // only ascending, `integer primary key` is the row id
      if (descending) table.simple = false;
      table.primaryKey.push(lowerAscii(name));
    } else if (reader.take('not')) {
      reader.expect('null');
      conflictClause(reader, table);
    } else if (reader.take('null')) conflictClause(reader, table);
    else if (reader.take('unique')) {
      table.simple = false;
      conflictClause(reader, table);
    } else if (reader.take('default')) defaultValue(reader);
    else if (reader.take('collate')) result.collation = collation(reader, table);
    else if (reader.take('references')) references(reader, table);
    else return result;
  }
}

function tableConstraint(reader: TokenReader, table: PlainTable): void {
  if (reader.take('constraint')) reader.name();
  if (reader.take('primary')) {
    reader.expect('key');
    for (const column of indexedColumns(reader, table)) table.primaryKey.push(lowerAscii(column.name));
    conflictClause(reader, table);
  } else if (reader.take('unique')) {
    table.simple = false;
    indexedColumns(reader, table);
    conflictClause(reader, table);
  } else {
    reader.expect('foreign');
    reader.expect('key');
    names(reader);
    reader.expect('references');
    references(reader, table);
  }
}

function createIndex(reader: TokenReader, unique: boolean): PlainIndex {
  const index: PlainIndex = { kind: 'index', name: reader.name(), table: '', unique, columns: [], where: undefined, unicaseAt: [] };
  reader.expect('on');
  index.table = reader.name();
  index.columns = indexedColumns(reader, index);
  if (reader.take('where')) index.where = reader.rest();
  reader.end();
  return index;
}

function indexedColumns(reader: TokenReader, owner: { unicaseAt: number[] }): PlainIndex['columns'] {
  const columns: PlainIndex['columns'] = [];
  reader.expect('(');
  do {
    const name = reader.name();
    const named = reader.take('collate') ? collation(reader, owner) : undefined;
    if (!reader.take('asc')) reader.take('desc');
    columns.push({ name, collation: named });
  } while (reader.take(','));
  reader.expect(')');
  return columns;
}

function collation(reader: TokenReader, owner: { unicaseAt: number[] }): string {
  const at = reader.at();
  const name = lowerAscii(reader.name());
  if (!COLLATIONS.includes(name)) throw refused();
  if (name === 'unicase') owner.unicaseAt.push(at);
  return name;
}

function defaultValue(reader: TokenReader): void {
  if (reader.take('(')) {
    literal(reader);
    reader.expect(')');
  } else literal(reader);
}

function literal(reader: TokenReader): void {
  if (!reader.plainValue()) reader.signedNumber();
}

function references(reader: TokenReader, table: PlainTable): void {
  table.simple = false;
  reader.name();
  if (reader.peek('(')) names(reader);
  for (;;) {
    if (reader.take('on')) {
      if (!reader.take('delete')) reader.expect('update');
      if (reader.take('set')) {
        if (!reader.take('null')) reader.expect('default');
      } else if (reader.take('no')) reader.expect('action');
      else if (!reader.take('cascade')) reader.expect('restrict');
    } else if (reader.take('match')) reader.name();
    else if (reader.peek('deferrable') || (reader.peek('not') && reader.peek('deferrable', 1))) {
      reader.take('not');
      reader.expect('deferrable');
      if (reader.take('initially') && !reader.take('deferred')) reader.expect('immediate');
    } else return;
  }
}

function conflictClause(reader: TokenReader, table: PlainTable): void {
  if (!reader.take('on')) return;
  reader.expect('conflict');
  reader.name();
  table.simple = false;
}

function names(reader: TokenReader): void {
  reader.expect('(');
  do reader.name();
  while (reader.take(','));
  reader.expect(')');
}

type TokenReader = ReturnType<typeof tokenReader>;

function tokenReader(all: Token[]) {
  let next = 0;
  /** Whether the next token (or one further on) is this bare word or symbol. */
  const peek = (word: string, ahead = 0): boolean => {
    const token = all[next + ahead];
    return token !== undefined && (token.kind === 'word' || token.kind === 'symbol') && lowerAscii(token.value) === word;
  };
  const take = (word: string): boolean => {
    const found = peek(word);
    if (found) next++;
    return found;
  };
  const expect = (word: string): void => {
    if (!take(word)) throw refused();
  };
  /** The next token, if it is a word, a quoted name or a text: SQLite takes each of them for a name. */
  const wordlike = (): Token | undefined => {
    const token = all[next];
    return token === undefined || token.kind === 'symbol' || token.kind === 'number' ? undefined : token;
  };
  return {
    peek,
    take,
    expect,
    /** Offset in the text of the next token. */
    at: (): number => all[next]?.at ?? -1,
    done: (): boolean => next === all.length,
    name(): string {
      const token = wordlike();
      if (token === undefined) throw refused();
      next++;
      return token.value;
    },
    typeWord(): string | undefined {
      const token = wordlike();
      if (token === undefined) return undefined;
      const word = lowerAscii(token.value);
      if (token.kind === 'word' && COLUMN_CONSTRAINTS.includes(word)) return undefined;
      next++;
      return word;
    },
    /** A text, or a word: NULL, TRUE, CURRENT_DATE, … and any other word, which SQLite takes for a text here. */
    plainValue(): boolean {
      if (wordlike() === undefined) return false;
      next++;
      return true;
    },
    signedNumber(): void {
      if (!take('-')) take('+');
      if (all[next++]?.kind !== 'number') throw refused();
    },
    rest(): string {
      const rest = all.slice(next).map((token) => (token.kind === 'word' ? lowerAscii(token.value) : token.value));
      next = all.length;
      return rest.join(' ');
    },
    end(): void {
      if (next !== all.length) throw refused();
    },
  };
}

const LETTER = String.raw`[A-Za-z_\u0080-\u{10ffff}]`;
const LETTER_OR_DIGIT = String.raw`[\w$\u0080-\u{10ffff}]`;
/** White space and comments match without a group; the others are a name in each kind of quotes, a text, a number, a word, a symbol. */
const TOKEN = [
  String.raw`[ \t\n\f\r]+|--[^\n]*(?:\n|$)|/\*[^]*?\*/`,
  String.raw`"((?:[^"]|"")*)"`,
  '`((?:[^`]|``)*)`',
  String.raw`\[([^\]]*)\]`,
  String.raw`'((?:[^']|'')*)'`,
  String.raw`(\d+(?:\.\d*)?(?:[eE][+\-]?\d+)?|\.\d+(?:[eE][+\-]?\d+)?)(?!${LETTER_OR_DIGIT})`,
  `(${LETTER}${LETTER_OR_DIGIT}*)`,
  String.raw`([(),+\-.;]|!=|<>|[=<>])`,
].join('|');

function tokens(sql: string): Token[] {
  const found: Token[] = [];
  const pattern = new RegExp(TOKEN, 'uy');
  while (pattern.lastIndex < sql.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(sql);
    if (match === null || found.length === MAX_TOKENS) throw refused();
    const [whole, double, back, bracket, single, number, word, symbol] = match;
    // a byte order mark is white space for SQLite, and NUL ends its text: both would be read differently here
    if (/[\0\ufeff]/.test(whole)) throw refused();
    if (double !== undefined) found.push({ kind: 'quoted', value: double.replaceAll('""', '"'), at });
    else if (back !== undefined) found.push({ kind: 'quoted', value: back.replaceAll('``', '`'), at });
    else if (bracket !== undefined) found.push({ kind: 'quoted', value: bracket, at });
    else if (single !== undefined) found.push({ kind: 'text', value: single.replaceAll("''", "'"), at });
    else if (number !== undefined) found.push({ kind: 'number', value: number, at });
    else if (word !== undefined) found.push({ kind: 'word', value: word, at });
    else if (symbol !== undefined) found.push({ kind: 'symbol', value: symbol, at });
  }
  return found;
}

function refused(): CorruptFile {
  return new CorruptFile('the schema holds something other than plain tables and indexes');
}
