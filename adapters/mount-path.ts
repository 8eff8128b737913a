/** Where in an application's URLs the core lives, for frameworks that do not take the path of a mount away. */

/**
 * As it stands in URLs, without a slash at its end: `/anki`, or `` for the root.
 *
 * @throws TypeError for a path that does not begin with a slash
 */
export function mountPathOption(path: string | undefined): string {
  if (path === undefined || path === '') return '';
  if (!path.startsWith('/') || /[?#]/.test(path)) throw new TypeError(`option "mountPath" must be a path like "/anki", and is "${path}"`);
  return new URL(`http://localhost${path}`).pathname.replace(/\/+$/, '');
}

/** Path and query below the mount, `/` for the mount itself; undefined where `url` is not below it. */
export function below(mountPath: string, url: string): string | undefined {
  if (!url.startsWith(mountPath)) return undefined;
  const rest = url.slice(mountPath.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : undefined;
}

/**
 * The part of `url` that a route's pattern covers before its wildcard: `/anki/*` covers `/anki`, and `/:team/anki/*` whatever the team's
 * name is.
 */
export function coveredBy(pattern: string, url: string): string {
  const segments = pattern.split('/').filter((segment) => segment !== '' && segment !== '*').length;
  return new RegExp(`^(?:/+[^/?#]+){0,${segments}}`).exec(url)?.[0] ?? '';
}
