// Runs in the page, and answers sentences about what is wrong with it for people who see little, or nothing, or use no mouse.
(() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const isShown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== 'hidden';
  const say = (element, what) => void faults.push(`${what}: ${element.outerHTML.slice(0, 120)}`);

  if (document.documentElement.lang !== 'en') faults.push('the page has no language');
  if (document.title.trim() === '') faults.push('the page has no title');
  if (all('h1').length !== 1) faults.push(`${all('h1').length} first headings`);
  if (all('main').length !== 1) faults.push('no main part');

  let level = 0;
  for (const heading of all('h1, h2, h3, h4')) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say(heading, `a heading of level ${next} after ${level}`);
    level = next;
  }
  const ids = all('[id]').map(({ id }) => id);
  for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`the id ${id} twice`);
  for (const name of ['aria-labelledby', 'aria-describedby']) {
    for (const element of all(`[${name}]`)) {
      for (const id of element.getAttribute(name).split(' ')) if (document.getElementById(id) === null) say(element, `${name} leads nowhere`);
    }
  }
  for (const field of all('input:not([type=hidden]), select, textarea')) {
    if ((field.labels?.length ?? 0) === 0 || field.labels[0].textContent.trim() === '') say(field, 'a field without a label');
    if (field.type === 'password' && field.autocomplete === '') say(field, 'a password without autocomplete');
  }
  for (const control of all('button, a[href]')) {
    if ((control.getAttribute('aria-label') ?? control.textContent).trim() === '') say(control, 'a control without a name');
    const label = control.getAttribute('aria-label');
    if (label !== null && !label.toLowerCase().includes(control.textContent.trim().toLowerCase())) say(control, 'a name without the words that are seen');
  }
  for (const picture of all('svg, img')) {
    if (picture.getAttribute('role') !== 'img' || (picture.getAttribute('aria-label') ?? '') === '') say(picture, 'a picture without words');
  }
  for (const table of all('table')) if (table.querySelector('th[scope=col]') === null) say(table, 'a table without headings');

  // WCAG 2, 1.4.3: text against what is painted behind it
  const parse = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([red = 0, green = 0, blue = 0]) => {
    const [r = 0, g = 0, b = 0] = [red, green, blue].map((each) => each / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = (front, back) => {
    const [dark = 0, light = 0] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.textContent.trim() === '' || !isShown(element) || element.closest('script, style') !== null) continue;
    const style = getComputedStyle(element);
    const front = parse(element.closest('svg') === null ? style.color : style.fill);
    const ratio = contrast(front, behind(element));
    if (ratio < 4.5) say(element, `contrast ${ratio.toFixed(2)}`);
  }
  for (const field of all('input:not([type=hidden]):not([type=checkbox]), select')) {
    if (contrast(parse(getComputedStyle(field).borderTopColor), behind(field.parentElement)) < 3) say(field, 'an edge that can hardly be seen');
  }
  for (const target of all('button, input, select, nav a')) {
    if (!isShown(target)) continue;
    const { width, height } = target.getBoundingClientRect();
    // 2.5.8; a checkbox has its label
    if ((width < 24 || height < 24) && target.type !== 'checkbox') say(target, `a target of ${Math.round(width)} × ${Math.round(height)}`);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) faults.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  return faults;
})();
