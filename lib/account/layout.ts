/** What all pages have in common. */
import { csrfTokenOf } from './csrf.ts';
import { html, type Html } from './html.ts';
import type { Notice } from './notices.ts';
import type { Page, Visit } from './room.ts';
import { SCRIPT_VERSION } from './script.ts';
import { STYLE_VERSION } from './style.ts';

const PLACES: readonly (readonly [path: string, words: string])[] = [
  ['', 'Set up Anki'],
  ['app-passwords', 'App passwords'],
  ['devices', 'Devices'],
  ['collection', 'Collection'],
];

export interface Frame {
  notice: Notice | undefined;
  isAdmin: boolean;
  hasAppPasswords: boolean;
  holdsData: boolean;
}

export function documentOf(visit: Visit, { title, body, narrow }: Page, frame: Frame): Html {
  const { notice } = frame;
  const { home, session } = visit;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} – Anki sync server</title>
<link rel="stylesheet" href="${home}/account.css?v=${STYLE_VERSION}">
<script src="${home}/account.js?v=${SCRIPT_VERSION}" defer></script>
</head>
<body>
<a class="skip" href="#content">To the content</a>
${session !== undefined && html`<header><div>
${navigation(visit, frame)}
<div class="me"><p><bdi>${session.user.loginName}</bdi></p>
${session.via !== 'portal' && html`<form method="post" action="${home}/sign-out">${csrfField(visit)}<button class="plain">Sign out</button></form>`}</div>
</div></header>
`}<main id="content" tabindex="-1"${narrow === true && NARROW}>
<h1>${title}</h1>
${notice !== undefined && html`<section class="notice${notice.kind === 'failed' && ' failed'}" tabindex="-1" role="${notice.kind === 'failed' ? 'alert' : 'status'}">
${notice.words}
</section>
`}${body}
</main>
</body>
</html>
`;
}

const NARROW = html` class="narrow"`;

function navigation({ home, path }: Visit, { isAdmin, hasAppPasswords, holdsData }: Frame): Html {
  const own = PLACES.filter(([place]) => (hasAppPasswords || place !== 'app-passwords') && (holdsData || place !== 'collection'));
  const places = isAdmin ? [...own, ['users', 'Users'] as const] : own;
  return html`<nav aria-label="Account"><ul>
${places.map(([place, words]) => html`<li><a href="${home}${place !== '' && `/${place}`}"${(path[0] ?? '') === place && html` aria-current="page"`}>${words}</a></li>
`)}</ul></nav>`;
}

/** In every form. */
export function csrfField({ token }: Visit): Html {
  return html`<input type="hidden" name="csrf" value="${csrfTokenOf(token)}">`;
}
