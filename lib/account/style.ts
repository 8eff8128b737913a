/** The pages' look: the landing page's colours, light and dark. Served as a file, since no page may hold styles. */
import { hash } from 'node:crypto';

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --quiet: #55606f; --paper: #fbfcfd; --card: #ffffff; --line: #d5dce4; --edge: #6b7785; --accent: #14588f;
  --on-accent: #ffffff; --danger: #a3262e; --done: #1d6b36; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf3; --quiet: #a9b4c1; --paper: #14181d; --card: #1c2229; --line: #37414d; --edge: #8b98a6; --accent: #8cc4f5;
    --on-accent: #10202e; --danger: #ff9b9f; --done: #8fdba6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: .5rem; top: .5rem; background: var(--card); padding: .5rem; }
header { border-bottom: 1px solid var(--line); }
header > div, main { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header > div { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: center; padding-top: .6rem; padding-bottom: .6rem; }
.me { display: flex; align-items: center; gap: .75rem; margin-left: auto; min-width: 0; }
.me p { margin: 0; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .3rem 0; }
nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; border-bottom: 3px solid var(--accent); }
main { padding-top: 1.5rem; padding-bottom: 4rem; }
main.narrow { max-width: 30rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
p, ol, ul, dl, table { margin: .5rem 0; }
ol, main ul { padding-left: 1.4rem; }
a { color: var(--accent); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 1rem 0; }
.quiet { color: var(--quiet); font-size: .95rem; }
.url, .secret { display: block; font: 600 1.1rem/1.4 ui-monospace, monospace; color: var(--accent); border: 2px solid var(--accent); border-radius: .6rem;
  padding: .8rem 1rem; margin: .75rem 0; overflow-wrap: anywhere; user-select: all; background: var(--card); }
.notice { border-left: .4rem solid var(--done); }
.notice.failed { border-left-color: var(--danger); }
.notice:focus { outline: none; }
label, legend { display: block; font-weight: 600; margin: .75rem 0 .2rem; padding: 0; }
.check label { display: inline; font-weight: 400; margin: 0; }
fieldset { border: 0; margin: 0; padding: 0; }
input, select { display: block; font: inherit; color: inherit; background: var(--card); border: 1px solid var(--edge); border-radius: .35rem; padding: .45rem .6rem; width: 100%;
  max-width: 26rem; }
input[type=checkbox] { display: inline; width: auto; margin-right: .4rem; }
button, .button { display: inline-block; font: inherit; font-weight: 600; text-decoration: none; color: var(--on-accent); background: var(--accent);
  border: 2px solid var(--accent); border-radius: .35rem; padding: .4rem .9rem; margin: .75rem .5rem 0 0; cursor: pointer; white-space: nowrap; }
button.plain, .button.plain { color: var(--accent); background: none; }
button.danger { color: var(--danger); background: none; border-color: var(--danger); }
td button, header button, li button { margin: 0; padding: .15rem .6rem; }
.copy { font-size: .95rem; margin: 0 0 .5rem; padding: .15rem .6rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--quiet); }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
th > bdi { overflow-wrap: anywhere; min-width: 8rem; display: inline-block; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr:last-child > * { border-bottom: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.chart { display: block; width: 100%; height: auto; max-height: 14rem; }
.chart rect { fill: var(--accent); }
.chart line { stroke: var(--line); }
.chart text { fill: var(--quiet); font: 11px system-ui, sans-serif; }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .5rem; }
}
`;

/** In its address: another version is another file. */
export const STYLE_VERSION = hash('sha256', STYLE).slice(0, 12);
