/** The six notetypes of a new collection, in English, as Anki 26.9 makes them. */
import { parseLossless, type Json } from './json.ts';
import type { JsonObject } from './wire-values.ts';

const CARD_CSS = `.card {
    font-family: arial;
    font-size: 20px;
    line-height: 1.5;
    text-align: center;
    color: black;
    background-color: white;
}
`;

const CLOZE_CSS = `${CARD_CSS}.cloze {
    font-weight: bold;
    color: blue;
}
.nightMode .cloze {
    color: lightblue;
}
`;

const IMAGE_OCCLUSION_CSS = `#image-occlusion-canvas {
    --inactive-shape-color: #ffeba2;
    --active-shape-color: #ff8e8e;
    --inactive-shape-border: 1px #212121;
    --active-shape-border: 1px #212121;
    --highlight-shape-color: #ff8e8e00;
    --highlight-shape-border: 1px #ff8e8e;
}

${CARD_CSS.replace('    line-height: 1.5;\n', '')}`;

const LATEX_PRE = String.raw`\documentclass[12pt]{article}
\special{papersize=3in,5in}
\usepackage[utf8]{inputenc}
\usepackage{amssymb,amsmath}
\pagestyle{empty}
\setlength{\parindent}{0in}
\begin{document}
`;

const IMAGE_OCCLUSION_FRONT = `{{#Header}}<div>{{Header}}</div>{{/Header}}
<div style="display: none">{{cloze:Occlusion}}</div>
<div id="err"></div>
<div id="image-occlusion-container">
    {{Image}}
    <canvas id="image-occlusion-canvas"></canvas>
</div>
<script>
try {
    anki.imageOcclusion.setup();
} catch (exc) {
    document.getElementById("err").innerHTML = \`Error loading image occlusion. Is your Anki version up to date?<br><br>\${exc}\`;
}
</script>
`;

const IMAGE_OCCLUSION_BACK = `${IMAGE_OCCLUSION_FRONT}
<div><button id="toggle">Toggle Masks</button></div>
{{#Back Extra}}<div>{{Back Extra}}</div>{{/Back Extra}}
`;

const answer = (field: string): string => `{{FrontSide}}\n\n<hr id=answer>\n\n{{${field}}}`;

const FORWARD = ['Card 1', '{{Front}}', answer('Back')] as const;

interface Stock {
  name: string;
  isCloze?: boolean;
  css?: string;
  fields: string[];
  /** Name, front, back. */
  templates: (readonly [string, string, string])[];
  /** Which fields must be there for a card: [template, any or all, fields]. */
  required: [number, 'any' | 'all', number[]][];
  /** How many of the fields cannot be deleted. Fields of cloze notetypes are tagged with their number. */
  fixedFields?: number;
}

/** In Anki's order, which is also their `originalStockKind`, from 1. */
const STOCK: Stock[] = [
  { name: 'Basic', fields: ['Front', 'Back'], templates: [FORWARD], required: [[0, 'any', [0]]] },
  {
    name: 'Basic (and reversed card)',
    fields: ['Front', 'Back'],
    templates: [FORWARD, ['Card 2', '{{Back}}', answer('Front')]],
    required: [[0, 'any', [0]], [1, 'any', [1]]],
  },
  {
    name: 'Basic (optional reversed card)',
    fields: ['Front', 'Back', 'Add Reverse'],
    templates: [FORWARD, ['Card 2', '{{#Add Reverse}}{{Back}}{{/Add Reverse}}', answer('Front')]],
    required: [[0, 'any', [0]], [1, 'all', [1, 2]]],
  },
  {
    name: 'Basic (type in the answer)',
    fields: ['Front', 'Back'],
    templates: [['Card 1', '{{Front}}\n\n{{type:Back}}', '{{Front}}\n\n<hr id=answer>\n\n{{type:Back}}']],
    required: [[0, 'any', [0, 1]]],
  },
  {
    name: 'Cloze',
    isCloze: true,
    css: CLOZE_CSS,
    fields: ['Text', 'Back Extra'],
    templates: [['Cloze', '{{cloze:Text}}', '{{cloze:Text}}<br>\n{{Back Extra}}']],
    required: [[0, 'any', [0]]],
    fixedFields: 1,
  },
  {
    name: 'Image Occlusion',
    isCloze: true,
    css: IMAGE_OCCLUSION_CSS,
    fields: ['Occlusion', 'Image', 'Header', 'Back Extra', 'Comments'],
    templates: [['Image Occlusion', IMAGE_OCCLUSION_FRONT, IMAGE_OCCLUSION_BACK]],
    required: [[0, 'any', [0, 1, 2]]],
    fixedFields: 4,
  },
];

/**
 * Schema 11 notetypes, with ids counted from `firstId` on.
 * Fields and templates get random ids, by which Anki finds them again when a notetype is imported.
 */
export function stockNotetypes(firstId: number): JsonObject[] {
  return STOCK.map(({ name, isCloze = false, css = CARD_CSS, fields, templates, required, fixedFields = 0 }, index) => ({
    id: firstId + index,
    name,
    type: isCloze ? 1 : 0,
    mod: 0,
    usn: 0,
    sortf: 0,
    did: null,
    tmpls: templates.map(([templateName, qfmt, afmt], ord) => ({
      name: templateName, ord, qfmt, afmt, bqfmt: '', bafmt: '', did: null, bfont: '', bsize: 0, id: randomId(),
    })),
    flds: fields.map((fieldName, ord) => ({
      name: fieldName, ord, sticky: false, rtl: false, font: 'Arial', size: 20, description: '', plainText: false, collapsed: false,
      excludeFromSearch: false, id: randomId(), tag: isCloze ? ord : null, preventDeletion: ord < fixedFields,
    })),
    css,
    latexPre: LATEX_PRE,
    latexPost: '\\end{document}',
    latexsvg: false,
    req: required,
    originalStockKind: index + 1,
  }));
}

/** Any 64-bit integer. */
function randomId(): Json {
  return parseLossless(String(crypto.getRandomValues(new BigInt64Array(1))[0]));
}
