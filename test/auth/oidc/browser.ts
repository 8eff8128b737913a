/** What a browser does in a sign-in: cookies, redirects, and one form of the provider. */
export class Browser {
  /** By host and port: cookies of two servers on one machine do not mix here. */
  readonly #cookies = new Map<string, Map<string, string>>();

  /** What is sent to this address, as a header. */
  cookiesOf(url: string): string {
    return [...this.#cookies.get(new URL(url).host) ?? []].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request, no redirect followed. */
  async fetch(url: string | URL, init: { method?: string; form?: Record<string, string>; headers?: Record<string, string> } = {}): Promise<Response> {
    const { host } = new URL(url);
    const jar = this.#cookies.get(host) ?? new Map<string, string>();
    this.#cookies.set(host, jar);
    const response = await fetch(url, {
      method: init.method ?? (init.form === undefined ? 'GET' : 'POST'),
      ...(init.form === undefined ? {} : { body: new URLSearchParams(init.form) }),
      headers: { ...(jar.size === 0 ? {} : { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') }), ...init.headers },
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = cookie.split(';');
      const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1)];
      const ended = value === '' || attributes.some((each) => /^\s*(max-age=0|expires=Thu, 01 Jan 1970.*)$/i.test(each));
      if (ended) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  /** From a page on, through all redirects, up to (and without) the address that begins with `end`. */
  async follow(url: string, end: string, init: { form?: Record<string, string> } = {}): Promise<string | { url: string; response: Response }> {
    let at = url;
    let request: { form?: Record<string, string> } = init;
    for (let hops = 0; hops < 20; hops++) {
      if (at.startsWith(end)) return at;
      const response = await this.fetch(at, request);
      request = {};
      const location = response.headers.get('location');
      if (response.status < 300 || response.status > 399 || location === null) return { url: at, response };
      await response.body?.cancel();
      at = new URL(location, at).href;
    }
    throw new Error('too many redirects');
  }

  /** The provider's page, as a person fills it in; answers the address that the browser is sent back to. */
  async signIn(url: string, end: string, form: Record<string, string>): Promise<string> {
    const page = await this.follow(url, end);
    // signed in there already
    if (typeof page === 'string') return page;
    if (page.response.status !== 200) throw new Error(`no login page at the provider: ${page.response.status} ${await page.response.text()}`);
    await page.response.body?.cancel();
    const back = await this.follow(page.url, end, { form });
    if (typeof back !== 'string') throw new Error(`the provider did not let in: ${back.response.status} ${await back.response.text()}`);
    return back;
  }
}
