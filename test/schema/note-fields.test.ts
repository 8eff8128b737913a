import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { normalizeNoteTags, prepareNote } from '../../lib/schema/note-fields.ts';
import { SchemaError } from '../../lib/schema/schema-error.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';

const SCRIPT = fileURLToPath(new URL('../oracle/rules-notes.py', import.meta.url));

interface Case {
  fields: [string, string];
  sortField: 0 | 1;
}

interface Stored {
  flds: string;
  type: string;
  /** Hex, or the number where it is stored as a real: how SQLite prints those depends on its version. */
  sfld: string | number;
  csum: number;
}

/** The rows that real Anki stores, against ours put into a column of the same affinity. */
async function assertSameAsAnki(cases: Case[]): Promise<void> {
  const answer = await run(await ankiPython(), [SCRIPT], { input: JSON.stringify(cases), env: ankiEnvironment() });
  const official = JSON.parse(answer) as Stored[];
  const db = new Database(':memory:');
  db.exec('create table notes (flds text, sfld integer not null, csum integer)');
  const insert = db.prepare('insert into notes values (?, ?, ?)');
  for (const { fields, sortField } of cases) {
    const note = prepareNote(fields.join('\x1f'), sortField, 2);
    insert.run(note.fields, note.sfld, note.csum);
  }
  const ours = db
    .prepare(
      `select hex(flds) flds, typeof(sfld) type, iif(typeof(sfld) = 'real', sfld, hex(cast(sfld as blob))) sfld, csum
       from notes order by rowid`,
    )
    .all() as Stored[];
  db.close();
  assert.equal(ours.length, official.length);
  for (const [index, row] of ours.entries()) assert.deepEqual(row, official[index], JSON.stringify(cases[index]!.fields).slice(0, 300));
}

const eachField = (texts: string[]): Case[] =>
  texts.flatMap((text): Case[] => [
    { fields: [text, ''], sortField: 0 },
    { fields: ['', text], sortField: 1 },
  ]);

test('chosen texts: sort field and checksum are those of Anki', async () => {
  await assertSameAsAnki(
    eachField([
      '', 'plain', '<b>bold</b> text', 'a<br>b', '<div>one</div><div>two</div>', '<>', '< >', 'a < b', 'a < b > c', '<<b>>',
      'line\nbreak\tand tab', '\x00nul\x01\x07bell\x1b\x7f', 'ü\x80\x9f\u200b', '\u{1f600}<i>\u{1f469}\u200d\u{1f680}</i>',
      'e\u0301 not NFC \ufb01',
      '<!-- comment -->x', '<!-- a > b', '<!-->x-->y', '<!--->x', '<!-- a <!-- b --> c -->', '<!---->z', '<!-- never',
      '<!--\n--\n-->after',
      '<style>b {}</style>x', '<STYLE type="a>b">c</Style>d', '<style>never', '<style>a<style>b</style>c</style>',
      '<stylex>y</style>', '<ſtyle>x</STYLE>y',
      '<script>alert("</b>")</script>x', '<script src="a.js">', '<ſcript>x</ſcript >y</script>z',
      '<style><script></style></script>',
      '<img src="a.jpg">', "<img src='a b.jpg'>", '<img src=a.jpg>', '<img src=a.jpg alt=x>', '<img src= a.jpg>',
      '<img src=>', '<img src="">', "<img src=''>x",
      '<img src="a.jpg', '<img src="a>b.jpg">', '<img alt="a>b" src="c.jpg">', "<img alt='>' title=\">\" src=x.png>",
      '<img alt=">" x=\'>">\' src="y">',
      '<imgsrc="a">', '<img-src="a.jpg">', '<img/src="a.jpg"/>', '<img data-src="a.jpg">', '<img xsrc="a.jpg">',
      '<img src ="a.jpg">', '<IMG SRC="A.JPG">',
      '<img ſrc="long-s.jpg">', '<ſource src="s.mp3">', '<source src="s.mp3">', '<image src="a">', '<imgé src="a">',
      '<img é src="a">', '<img ésrc="a">', '<img \u{1d54f}src="a">',
      '<audio src="a.mp3"></audio>', '<video src=v.mp4 controls>', '<object data="o.swf">',
      '<object data="o">inner</object>', '<object src=a data=b>', '[sound:a.mp3]', '[sound:a&amp;b.mp3]<br>',
      '<img src="a&amp;b.jpg">', '<img src="<b>.jpg">', '<img src="a.jpg"><img src="b.jpg"> text <img src=c>',
      '<img <img src=x>>', '<img src="x><img src=\'y>', '<img "src="a">',
      '<img a=" src=b.jpg>c" src=d>', '<img \'" src=1>\' "> src=2>', '<img " \' > src=a> " src=b \' >', '<img src=\'a"b\'>',
      '<img src="a" src="b">', '<img\nsrc=\n"a">',
      'a & b', 'a &amp; b', '&lt;b&gt;', '&amp;lt;', '&nbsp;x', 'a\u00a0b', 'a\u00a0b &amp;', 'a\u00a0b &', '&apos;',
      '&Amp;', '&amp', '&;', '&#;', '&#x;', '&#65;', '&#x41;', '&#X41;',
      '&#x1F600;', '&#128512;', '&#xD800;', '&#55296;', '&#x110000;', '&#1114111;', '&#0;', '&#00000000000000000000065;',
      '&#99999999999999999999;', '&#x00000000000041;', '&#+65;', '&# 65;',
      '&#10;', '&#160;', '&unknown;', '&&amp;', '&amp;&unknown;', '&lt;script&gt;', '<b>&lt;</b>', '&<b>amp;</b>',
      'Q&A; &copy;', '&hellip;&mdash;&euro;&alefsym;&zwnj;',
      ' 12', '12', '12 ', '+12', '-5', '007', '1e5', '1E5', '1.0', '1.5', '.5', '5.', '0x10', '9223372036854775807',
      '9223372036854775808', '-9223372036854775808', '1234567890123456', '12345678901234567890123',
      '\u00a012', '<b>42</b>', '&#52;2', '1\n', '12\x0034', '１２', 'Infinity', 'nan', '1_000', '1,5', '<img src=5>',
    ]),
  );
});

test('every named entity of HTML 4, and neighbours that are none', async () => {
  const names = `${[...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'].join(' ')} ${ENTITY_WORDS}`.split(' ');
  await assertSameAsAnki(names.map((name) => ({ fields: [`&${name};`, ''], sortField: 0 })));
});

test('texts thrown together by chance', async () => {
  const next = random(20260101);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const pieces = [
    '<', '>', '<', '>', '"', "'", '"', "'", ' ', '=', '/', 'src=', 'data=', ' src=', ' SRC="', " data='", 'a', 'b.jpg', '1',
    '\n', '<img', '<img ', '<IMG ', '<object ', '<source ', '<video', '<audio ',
    '<!--', '-->', '--', '<style', '<style>', '</style>', '<script>', '</script>', '<script ', '<b>', '</b>', '<br>',
    '&amp;', '&lt;', '&gt;', '&#', '&#x', ';', '65;', '&', '&nbsp;', '\u00a0', 'ſ', 'é', '\u{1f600}', '_', '-',
  ];
  const cases: Case[] = [];
  for (let index = 0; index < 6000; index++) {
    const length = 1 + Math.floor(next() * 24);
    const text = Array.from({ length }, () => pick(pieces)).join('');
    cases.push(index % 2 ? { fields: [text, 'x'], sortField: 0 } : { fields: ['x', text], sortField: 1 });
  }
  await assertSameAsAnki(cases);
});

test('media tags thrown together by chance', async () => {
  const next = random(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const pieces = ['"', "'", '>', ' ', 'x', 'src=', ' src=', '<img', '<img '];
  const cases: Case[] = [];
  for (let index = 0; index < 6000; index++) {
    const length = 1 + Math.floor(next() * 16);
    const text = `<img ${Array.from({ length }, () => pick(pieces)).join('')}${pick(['', '>', ' src=z>', '">', "'>"])}`;
    cases.push({ fields: [text, ''], sortField: 0 });
  }
  await assertSameAsAnki(cases);
});

const HOSTILE = [
  '<', '<!--', '<!-->', '<style>', '<script>', '<style></script>', '&', '&#1', '<img ', '<img >', '<img src="', '<img src=>',
  '<img ">', '<img "> \'>',
  '<img src="">', '<img " src=>', "<img '\">\"'>", 'src=', '">', '"> \'>', 'src=>', '"src=>',
];

test('hostile repetitions give what Anki gives', async () => {
  // short ones: on these Anki itself takes quadratic time
  const many = HOSTILE.map((piece) => piece.repeat(2000));
  const texts = many.flatMap((text) => [text, `${text}>`, `<img ${text} src=>`]);
  await assertSameAsAnki(texts.map((text) => ({ fields: [text, ''], sortField: 0 })));
});

test('a hostile field of 300 kB is walked once', () => {
  // any search that began again at every tag or quote would take minutes to hours here, far beyond the runner's limit
  const repeat = (piece: string): string => piece.repeat(Math.ceil(3e5 / piece.length));
  for (const piece of HOSTILE) {
    for (const text of [repeat(piece), `${repeat(piece)}>`, `<img ${repeat(piece)} src=>`]) {
      assert.equal(prepareNote(text, 0, 1).fields, text);
    }
  }
  const digits = `&#${repeat('1')};`;
  assert.equal(prepareNote(digits, 0, 1).sfld, digits);
  assert.equal(prepareNote(repeat('<img '), 0, 1).sfld, repeat('<img '));
  assert.equal(prepareNote(`${repeat('<!--')}>`, 0, 1).sfld, '');
  assert.equal(prepareNote(repeat('<img src="">'), 0, 1).sfld, repeat('<img src="">').replaceAll('<img src="">', ' "" '));
});

test('a note with another number of fields than its notetype is refused', () => {
  assert.throws(() => prepareNote('a\x1fb', 0, 1), SchemaError);
  assert.throws(() => prepareNote('a', 0, 2), SchemaError);
  assert.equal(prepareNote('', 0, 0).fields, '', 'a notetype without fields has notes with one');
  assert.equal(prepareNote('a\x1f<b>b</b>', 5, 2).sfld, '', 'a sort field that does not exist is empty');
  assert.equal(prepareNote('a\x1f<b>b</b>', 1, 2).csum, 0x86f7e437, 'the checksum is that of the first field');
});

test('the tags of a note stand between spaces, in their order', () => {
  assert.equal(normalizeNoteTags(''), '');
  assert.equal(normalizeNoteTags('  \u3000 '), '');
  assert.equal(normalizeNoteTags('b a'), ' b a ');
  assert.equal(normalizeNoteTags(' A::b  a\u3000a '), ' A::b a a ');
});

/** A small generator of numbers from 0 to 1, the same at every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const ENTITY_WORDS = [
  'AElig Aacute Acirc Agrave Alpha Aring Atilde Auml Beta Ccedil Chi Dagger Delta ETH Eacute Ecirc Egrave Epsilon Eta',
  'Euml Gamma Iacute Icirc Igrave Iota Iuml Kappa Lambda Mu Ntilde Nu OElig Oacute Ocirc Ograve Omega Omicron Oslash',
  'Otilde Ouml Phi Pi Prime Psi Rho Scaron Sigma THORN Tau Theta Uacute Ucirc Ugrave Upsilon Uuml Xi Yacute Yuml Zeta',
  'aacute acirc acute aelig agrave alefsym alpha amp and ang aring asymp atilde auml bdquo beta brvbar bull cap ccedil',
  'cedil cent chi circ clubs cong copy crarr cup curren dArr dagger darr deg delta diams divide eacute ecirc egrave empty',
  'emsp ensp epsilon equiv eta eth euml euro exist fnof forall frac12 frac14 frac34 frasl gamma ge gt hArr harr hearts',
  'hellip iacute icirc iexcl igrave image infin int iota iquest isin iuml kappa lArr lambda lang laquo larr lceil ldquo',
  'le lfloor lowast loz lrm lsaquo lsquo lt macr mdash micro middot minus mu nabla nbsp ndash ne ni not notin nsub ntilde',
  'nu oacute ocirc oelig ograve oline omega omicron oplus or ordf ordm oslash otilde otimes ouml para part permil perp',
  'phi pi piv plusmn pound prime prod prop psi quot rArr radic rang raquo rarr rceil rdquo real reg rfloor rho rlm rsaquo',
  'rsquo sbquo scaron sdot sect shy sigma sigmaf sim spades sub sube sum sup sup1 sup2 sup3 supe szlig tau there4 theta',
  'thetasym thinsp thorn tilde times trade uArr uacute uarr ucirc ugrave uml upsih upsilon uuml weierp xi yacute yen yuml',
  'zeta zwj zwnj apos nosuch amP LT QUOT bigstar check',
].join(' ');
