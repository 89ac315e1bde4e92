/**
 * The page: lists the leaves of a file that is dropped, chosen, or named behind
 * `#` in the address (on the same site), and draws what they decode to.
 */
(function () {
  'use strict';

  const BINS = 60;
  const find = (id) => document.getElementById(id);
  const table = find('table');
  let latest = 0;

  function make(tag, text, attributes = {}) {
    const node = document.createElement(tag);
    if (text !== null) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) {
      node.setAttribute(name, value);
    }
    return node;
  }

  const count = (n) => n.toLocaleString('en');
  const short = (x) => String(Number(x.toPrecision(4)));

  function fail(error) {
    find('error').textContent = error.message;
    find('status').textContent = '';
    if (!(error instanceof jcz.JczError)) console.error(error);
  }

  /** Lists a file at once, then decodes leaf after leaf. */
  async function show(name, bytes) {
    const turn = ++latest;
    find('error').textContent = '';
    table.hidden = true;
    table.querySelectorAll('tbody').forEach((body) => body.remove());
    document.body.dataset.state = 'reading';
    try {
      const file = jcz.open(bytes);
      const bodies = file.leaves.map((leaf, i) => row(file, leaf, i));
      table.append(...bodies);
      table.hidden = false;
      find('status').textContent =
        `${name}: ${count(bytes.length)} bytes, ${count(file.leaves.length)} ` +
        `leaves, layout ${file.version}` + describe(file.metadata);
      for (let i = 0; i < bodies.length; i++) {
        await new Promise((resolve) => setTimeout(resolve));
        if (turn !== latest) return;
        picture(file, i, bodies[i]);
      }
      document.body.dataset.state = 'done';
    } catch (error) {
      fail(error);
      document.body.dataset.state = 'failed';
    }
  }

  function describe(metadata) {
    const text = JSON.stringify(metadata);
    return text === '{}' ? '' : `; ${text.slice(0, 500)}`;
  }

  function row(file, { path, kind, shape, dtype, size }, i) {
    const body = make('tbody', null);
    const tr = body.appendChild(make('tr', null));
    tr.append(
      make('th', path || '(the leaf)', { scope: 'row' }),
      make('td', kind, { 'data-name': 'kind' }),
      make('td', shape ? `[${shape.join(', ')}]` : '?', { 'data-name': 'shape' }),
      make('td', dtype ?? '', { 'data-name': 'dtype' }),
      make('td', size ? count(size) : 'with another', {
        'data-name': 'bytes', class: 'number',
      })
    );
    return body;
  }

  /** Adds a histogram, or what is wrong with the leaf. */
  function picture(file, i, body) {
    const tr = body.appendChild(make('tr', null));
    const td = tr.appendChild(make('td', null, { colspan: 5, class: 'picture' }));
    try {
      const array = file.decode(i);
      const cells = body.rows[0].cells;
      if (!file.leaves[i].shape) {
        cells[2].textContent = `[${array.shape.join(', ')}]`;
        cells[3].textContent = array.dtype;
      }
      td.append(...histogram(jcz.numbers(array)));
    } catch (error) {
      td.append(make('p', error.message, { class: 'soft' }));
      if (!(error instanceof jcz.JczError)) console.error(error);
    }
  }

  /** Bars as high as the logarithm of their counts, and a line of numbers. */
  function histogram(values) {
    let [low, high, zeros, odd, sum] = [Infinity, -Infinity, 0, 0, 0];
    for (const v of values) {
      if (!Number.isFinite(v)) {
        odd++;
        continue;
      }
      if (v < low) low = v;
      if (v > high) high = v;
      if (v === 0) zeros++;
      sum += v;
    }
    const finite = values.length - odd;
    if (!finite) {
      return [make('p', `${count(values.length)} values, none finite`, { class: 'soft' })];
    }
    const bins = new Array(BINS).fill(0);
    const width = (high - low) / BINS || 1;
    for (const v of values) {
      if (Number.isFinite(v)) bins[Math.min(BINS - 1, Math.floor((v - low) / width))]++;
    }
    const share = ((100 * zeros) / values.length).toFixed(1);
    const text =
      `${count(values.length)} values, ${share} % zero, mean ${short(sum / finite)}` +
      (odd ? `, ${count(odd)} not finite` : '');
    const svg = drawn(bins, `Histogram from ${short(low)} to ${short(high)}: ${text}`);
    const ends = make('div', null, { class: 'ends soft' });
    ends.append(make('span', short(low)), make('span', short(high)));
    return [svg, ends, make('p', `${text}; heights are logarithms of counts`, { class: 'soft' })];
  }

  function drawn(bins, label) {
    const space = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(space, 'svg');
    svg.setAttribute('viewBox', `0 0 ${BINS} 100`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
    const most = Math.log2(1 + bins.reduce((a, b) => Math.max(a, b), 0));
    bins.forEach((n, i) => {
      if (!n) return;
      const height = Math.max(2, (100 * Math.log2(1 + n)) / most);
      const bar = document.createElementNS(space, 'rect');
      const box = { x: i + 0.05, y: 100 - height, width: 0.9, height };
      for (const [k, v] of Object.entries(box)) bar.setAttribute(k, v);
      svg.append(bar);
    });
    return svg;
  }

  async function showFile(file) {
    try {
      show(file.name, new Uint8Array(await file.arrayBuffer()));
    } catch (error) {
      fail(error);
    }
  }

  async function showNamed() {
    const name = decodeURIComponent(location.hash.slice(1));
    if (!name) return;
    try {
      const url = new URL(name, location.href);
      if (url.origin !== location.origin) throw new jcz.JczError('Of another site.');
      const answer = await fetch(url);
      if (!answer.ok) throw new jcz.JczError(`${name}: ${answer.statusText}.`);
      show(name, new Uint8Array(await answer.arrayBuffer()));
    } catch (error) {
      fail(error);
    }
  }

  const drop = find('drop');
  addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  addEventListener('dragleave', () => drop.classList.remove('over'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const [file] = event.dataTransfer.files;
    if (file) showFile(file);
  });
  find('choose').addEventListener('change', (event) => {
    const [file] = event.target.files;
    if (file) showFile(file);
  });
  addEventListener('hashchange', showNamed);
  showNamed();
})();
