/**
 * Masks, and codes of weights: with the positions of what is kept, or under the
 * model of their neighbours.
 */
(function (root, factory) {
  if (typeof module === 'object') module.exports = factory(require('./streams.js'));
  else root.jczCodes = factory(root.jczStreams);
})(typeof self !== 'undefined' ? self : this, function (streams) {
  'use strict';

  const { Reader, checkCount, decodeStream, fail, maxOf, narrow } = streams;
  const product = (shape) => shape.reduce((a, b) => a * b, 1);

  // ------------------------------------------------- the model of neighbours

  const CLASSES = 64;
  const SLOTS = 4096;
  const MANY = 2 ** 20;

  let lgs = null;

  /** `64 log2 n`, rounded, of 0 .. 65535; no n is near a tie. */
  function logarithms() {
    if (!lgs) {
      lgs = new Int32Array(65536);
      for (let n = 1; n < 65536; n++) lgs[n] = Math.round(64 * Math.log2(n));
    }
    return lgs;
  }

  function lg(n) {
    let whole = 0;
    for (; n >= 65536; n = Math.floor(n / 2)) whole += 64;
    return logarithms()[n] + whole;
  }

  function isqrt(n) {
    let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
    for (;;) {
      const y = (x + n / x) >> 1n;
      if (y >= x) return x;
      x = y;
    }
  }

  /** How often each class is not 0, in 1 / 65536. */
  function priors(unit, cap, shift) {
    const steps = 11 - shift;
    const out = [];
    for (let c = -32; c < 32; c++) {
      const whole = c >> steps;
      const part = c & ((1 << steps) - 1);
      let root = 1n << BigInt((30 << steps) + part);
      for (let i = 0; i < steps; i++) root = isqrt(root);
      const odds = (BigInt(unit) * root) << BigInt(Math.max(whole, 0));
      const against = BigInt(cap === 1 ? 16 - unit : 16);
      const total = odds + (against << BigInt(30 + Math.max(-whole, 0)));
      const prior = Number((131072n * odds + total) / (2n * total));
      out.push(Math.min(Math.max(prior, 400), 65100));
    }
    return out;
  }

  /** floor(65536 a / b) for a <= b < 2^45. */
  function share16(a, b) {
    let out = Math.floor(a / b);
    let rest = a - out * b;
    for (let i = 0; i < 2; i++) {
      const q = Math.floor((rest * 256) / b);
      rest = rest * 256 - q * b;
      out = out * 256 + q;
    }
    return out;
  }

  /** Shares of 4096 for the sizes of one class, and the size of each slot. */
  function build(table, pool, prior) {
    const { counts, freq, start, slots } = table;
    const most = freq.length - 1;
    let others = 0;
    let all = 0;
    for (let k = 1; k <= most; k++) {
      others += counts[k];
      all += pool[k];
    }
    const n = counts[0] + others;
    const above = Math.floor((others * 65536 + 6 * prior) / (n + 6));
    const free = SLOTS - most - 1;
    freq[0] = Math.floor(((65536 - above) * free) / 65536) + 1;
    const share = Math.floor((above * free) / 65536);
    let total = freq[0];
    let best = 0;
    for (let k = 1; k <= most; k++) {
      const part = share16(counts[k] * all + 24 * pool[k], (others + 24) * all);
      freq[k] = Math.floor((share * part) / 65536) + 1;
      total += freq[k];
      if (freq[k] > freq[best]) best = k;
    }
    freq[best] += SLOTS - total;
    let at = 0;
    for (let k = 0; k <= most; k++) {
      start[k] = at;
      slots.fill(k, at, at + freq[k]);
      at += freq[k];
    }
  }

  function halve(counts, more) {
    let total = 0;
    for (let k = 0; k < counts.length; k++) {
      counts[k] = (counts[k] + more) >> 1;
      total += counts[k];
    }
    return total;
  }

  function readModel(reader) {
    const kind = reader.byte();
    const [zero, highest, near, far] = [0, 0, 0, 0].map(() => reader.varint());
    const unit = reader.byte();
    const cap = kind & 8 ? 1 : 8;
    const weights = [0, 0, 0, 0, 0, 0, 0];
    if (kind & 4) {
      const [a, b, c] = reader.take(3);
      weights[0] = ((a << 8) | (b << 16) | (c << 24)) >> 8;
      reader.take(6).forEach((w, i) => (weights[i + 1] = (w << 24) >> 24));
    }
    const most = Math.max(zero, highest - zero);
    if (
      kind >> 6 || (kind & 3) > 2 || kind >> 4 > 2 || zero > highest ||
      most < 1 || most > 255 || near < 1 || !(far === 0 || near < far) ||
      unit < 1 || unit > 16 * cap
    ) {
      fail(reader.what, 'an impossible model');
    }
    const shift = 9 + (kind >> 4);
    return { way: kind & 3, zero, highest, near, far, cap, unit, shift, weights };
  }

  /** The state of the coder, 32 bits, and its words of 16, high bytes first. */
  class Words {
    constructor(data, what) {
      if (data.length % 2) fail(what, 'half a word');
      Object.assign(this, { data, what, at: 0 });
      this.x = 65536 * this.next() + this.next();
    }
    next() {
      if (this.at === this.data.length) fail(this.what, 'the code is too short');
      this.at += 2;
      return this.data[this.at - 2] * 256 + this.data[this.at - 1];
    }
    slot() {
      return this.x % SLOTS;
    }
    take(start, freq) {
      this.x = freq * Math.floor(this.x / SLOTS) + this.slot() - start;
      if (this.x < 65536) this.x = this.x * 65536 + this.next();
    }
    end() {
      if (this.x !== 65536 || this.at !== this.data.length) {
        fail(this.what, 'the code does not end with its symbols');
      }
    }
  }

  /** The symbols of a matrix, row by row. */
  function walk(rows, columns, model, words) {
    const { zero, highest, near, cap, unit, shift, weights } = model;
    const below = zero;
    const above = highest - zero;
    const most = Math.max(below, above);
    const tables = Array.from({ length: CLASSES }, () => null);
    const prior = priors(unit, cap, shift);
    const pool = new Float64Array(most + 1);
    let pooled = 0;
    for (let k = 1; k <= most; k++) {
      const step = Math.floor((k - 1) / Math.max(1, most >> 3));
      pool[k] = Math.max(1, 16 >> Math.min(step, 6));
      pooled += pool[k];
    }
    const minus = new Array(9).fill(2048);
    const age = new Array(9).fill(4);
    const far = model.far || columns + near;
    const pad = Math.max(2 * near, far);
    const size = new Uint8Array(pad + columns);
    const side = new Uint8Array(pad + columns).fill(1);
    const beside = [3, 4, 5, 6].map((w) =>
      Array.from({ length: cap + 1 }, (_, k) => weights[w] * lg(16 * k + unit))
    );
    const ahead = new Float64Array(columns);
    for (let j = 0; j < columns; j++) {
      ahead[j] = weights[0] - weights[2] * lg((j + 6) * unit);
    }
    const column = new Float64Array(columns);
    const columnPart = new Float64Array(columns).fill(weights[1] * lg(6 * unit));
    const flat = weights.every((w) => w === 0);
    const out = narrow(rows * columns, highest);
    let to = 0;
    for (let i = 0; i < rows; i++) {
      let row = 0;
      const depth = weights[1] * lg((i + 6) * unit);
      let rowPart = weights[2] * lg(6 * unit) - depth;
      for (let j = 0; j < columns; j++) {
        const p = pad + j;
        let c = CLASSES / 2;
        if (!flat) {
          const sum =
            ahead[j] + columnPart[j] + rowPart +
            beside[0][size[p - near]] + beside[1][size[p - 2 * near]] +
            beside[2][size[p - far]] + beside[3][size[p - far + near]];
          c = Math.min(Math.max((sum >> shift) + 32, 0), 63);
        }
        const t = (tables[c] = tables[c] || {
          counts: new Int32Array(most + 1), freq: new Int32Array(most + 1),
          start: new Int32Array(most + 1), slots: new Uint8Array(SLOTS),
          seen: 0, left: 0,
        });
        if (t.left === 0) {
          build(t, pool, prior[c]);
          t.left = Math.min(Math.max(t.seen >> 1, 8), 2048);
        }
        t.left--;
        const k = t.slots[words.slot()];
        words.take(t.start[k], t.freq[k]);
        t.counts[k]++;
        t.seen++;
        if (t.seen === MANY) t.seen = halve(t.counts, 0);
        if (k === 0) {
          size[p] = 0;
          side[p] = 1;
          out[to++] = zero;
          continue;
        }
        pool[k]++;
        pooled++;
        if (pooled === MANY) pooled = halve(pool, 1);
        let negative = k > above;
        if (k <= below && k <= above) {
          const pair = 3 * side[p - near] + side[p - far];
          let share = minus[pair];
          negative = words.slot() < share;
          if (negative) words.take(0, share);
          else words.take(share, SLOTS - share);
          if (negative) share += Math.floor((SLOTS - share) / age[pair]);
          else share -= Math.floor(share / age[pair]);
          minus[pair] = Math.min(Math.max(share, 64), SLOTS - 64);
          age[pair] = Math.min(age[pair] + 1, 200);
        }
        out[to++] = negative ? zero - k : zero + k;
        side[p] = negative ? 0 : 2;
        const m = Math.min(k, cap);
        size[p] = m;
        row += m;
        column[j] += m;
        columnPart[j] = weights[1] * lg(16 * column[j] + 6 * unit);
        rowPart = weights[2] * lg(16 * row + 6 * unit) - depth;
      }
    }
    words.end();
    return out;
  }

  /** Axes in the order in which they are walked. */
  function walkedAxes(axes, way) {
    const all = Array.from({ length: axes }, (_, i) => i);
    if (way === 0 || axes < 2) return all;
    if (way === 1) return [axes - 1, ...all.slice(0, -1)];
    return [axes - 1, axes - 2, ...all.slice(0, -2)];
  }

  /** Where each entry of a transposed array lies in the array, in order. */
  function transposedPlaces(shape, axes) {
    const strides = new Array(shape.length).fill(1);
    for (let a = shape.length - 2; a >= 0; a--) {
      strides[a] = strides[a + 1] * shape[a + 1];
    }
    const out = new Uint32Array(product(shape));
    const index = axes.map(() => 0);
    let place = 0;
    for (let i = 0; i < out.length; i++) {
      out[i] = place;
      for (let a = axes.length - 1; a >= 0; a--) {
        place += strides[axes[a]];
        if (++index[a] < shape[axes[a]]) break;
        place -= index[a] * strides[axes[a]];
        index[a] = 0;
      }
    }
    return out;
  }

  function decodeNeighbours(record, shape) {
    const what = 'context stream';
    checkCount(product(shape), record.length, what);
    const reader = new Reader(record, what);
    const model = readModel(reader);
    const last = shape.length ? shape.at(-1) : 1;
    const rest = product(shape.slice(0, -1));
    const [rows, columns] = model.way ? [last, rest] : [rest, last];
    if (Math.max(model.near, model.far) > columns || columns > 2 ** 20) {
      fail(what, `distances ${model.near}, ${model.far} in ${columns} columns`);
    }
    const walked = walk(rows, columns, model, new Words(reader.rest(), what));
    if (model.way === 0 || shape.length < 2) return walked;
    const out = narrow(walked.length, model.highest);
    const places = transposedPlaces(shape, walkedAxes(shape.length, model.way));
    for (let i = 0; i < out.length; i++) out[places[i]] = walked[i];
    return out;
  }

  // ------------------------------------------------------------------ masks

  function decodeGaps(record, size) {
    const reader = new Reader(record, 'gap stream');
    const p = reader.byte();
    const n = reader.varint();
    if (p < 1 || p > 12 || n > size) {
      fail('gap stream', `${n} fields of ${p} bits for ${size} places`);
    }
    const fields = decodeStream(reader.rest(), n);
    const mask = new Uint8Array(size);
    let at = -1;
    for (const field of fields) {
      if (field > 1 << p) fail('gap stream', `a field beyond 2^${p}`);
      if (field === 1 << p) {
        at += field;
        continue;
      }
      at += field + 1;
      if (at >= size) fail('gap stream', `position ${at} of ${size} places`);
      mask[at] = 1;
    }
    return mask;
  }

  function readLevels(reader, size, stored, bySteps) {
    if (!stored) return new Uint8Array(size).fill(1);
    const found = decodeStream(reader.prefixed(), size);
    const out = new Uint8Array(size);
    let level = 0;
    found.forEach((x, i) => {
      level = bySteps ? level + (x & 1 ? -(x + 1) / 2 : x / 2) : x;
      if (level < 0 || level > 60) fail('mask', 'a level beyond 60');
      out[i] = level;
    });
    return out;
  }

  /** Weights of 0 and 1. */
  function pairOf(code) {
    const few = 8 + (code & 7);
    const many = 2 ** (((code >> 3) & 15) + 4) - few;
    return code >> 7 ? [few, many] : [many, few];
  }

  /** A mask under a model of its rows and columns. */
  function decodeLevels(record, rows, columns) {
    const reader = new Reader(record, 'mask');
    const kind = reader.byte();
    const row = readLevels(reader, rows, kind & 1, kind & 4);
    const column = readLevels(reader, columns, kind & 2, kind & 8);
    const counts = new Array(121).fill(0);
    const [inRows, inColumns] = [row, column].map((levels) => {
      const found = new Array(61).fill(0);
      levels.forEach((l) => found[l]++);
      return found;
    });
    for (let a = 1; a <= 60; a++) {
      for (let b = 1; b <= 60; b++) counts[a + b] += inRows[a] * inColumns[b];
    }
    const present = counts.map((_, l) => l).filter((l) => counts[l]);
    const codes = reader.take(present.length);
    const groups = present.map((l, i) => [counts[l], pairOf(codes[i])]);
    const parts = streams.unpackGroups(reader.rest(), groups, 'mask');
    const of = [];
    present.forEach((l, i) => (of[l] = { symbols: parts[i], at: 0 }));
    const mask = new Uint8Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      if (!row[i]) continue;
      for (let j = 0; j < columns; j++) {
        if (!column[j]) continue;
        const group = of[row[i] + column[j]];
        mask[i * columns + j] = group.symbols[group.at++];
      }
    }
    return mask;
  }

  /** A mask of a shape, as Uint8Array of 0 and 1. */
  function decodeMask(record, shape) {
    const columns = shape.length ? shape.at(-1) : 1;
    const rows = product(shape.slice(0, -1));
    const size = rows * columns;
    checkCount(size, record.length, 'mask');
    const reader = new Reader(record, 'mask');
    let kind = reader.byte();
    if (kind & 128) reader.prefixed();
    kind &= 127;
    if (kind === 0) return streams.unpack(reader.rest(), size, 1, 'mask');
    if (kind === 1) return decodeGaps(reader.rest(), size);
    if (kind === 2 && size) return decodeLevels(reader.rest(), rows, columns);
    if (kind === 3) {
      const found = decodeNeighbours(reader.rest(), shape);
      if (maxOf(found) > 1) fail('mask', 'an entry beyond 1');
      return found;
    }
    throw new streams.JczError(`Unknown kind of mask ${kind}: a newer file?`);
  }

  // ------------------------------------------------------------------ codes

  const [FLAT, SPLIT, JOINT] = [0, 1, 2];

  /** Codes of a shape; `ordered` are the codes by rising weights, if given. */
  function decodeCodes(reader, way, shape, ordered) {
    const size = product(shape);
    if (way === FLAT) return decodeStream(reader.rest(), size);
    if (way === JOINT) {
      const found = decodeNeighbours(reader.rest(), shape);
      if (!ordered) return found;
      if (size && maxOf(found) >= ordered.length) {
        fail(reader.what, `a code of ${ordered.length} centers`);
      }
      const out = narrow(size, ordered.length - 1);
      for (let i = 0; i < size; i++) out[i] = ordered[found[i]];
      return out;
    }
    const common = reader.varint();
    const mask = decodeMask(reader.prefixed(), shape);
    let count = 0;
    for (const m of mask) count += m;
    const kept = decodeStream(reader.rest(), count);
    let largest = common;
    for (const k of kept) {
      const code = k >= common ? k + 1 : k;
      if (code > largest) largest = code;
    }
    if (largest > 0xffffffff) fail(reader.what, `${largest} is not a code`);
    const out = narrow(size, largest).fill(common);
    let at = 0;
    for (let i = 0; i < size; i++) {
      if (!mask[i]) continue;
      const k = kept[at++];
      out[i] = k >= common ? k + 1 : k;
    }
    return out;
  }

  return { FLAT, JOINT, SPLIT, decodeCodes, decodeMask, logarithms, product,
    transposedPlaces };
});
