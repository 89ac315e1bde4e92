/**
 * Bounded reading of bytes, and streams of symbols under every coder: constant,
 * raw bits, Huffman lanes, zstd, asymmetric numeral systems.
 */
(function (root, factory) {
  if (typeof module === 'object') module.exports = factory(require('./zstd.js'));
  else root.jczStreams = factory(root.jczZstd);
})(typeof self !== 'undefined' ? self : this, function (zstd) {
  'use strict';

  const { inflate, JczError } = zstd;
  const SYMBOLS_A_BYTE = 65536;

  function fail(what, why) {
    throw new JczError(`Damaged ${what}: ${why}.`);
  }

  // How many entries may be read: what the header says of a leaf.
  let allowance = null;

  /** Calls `f`, in which no array may have more entries than are allowed. */
  function atMost(entries, f) {
    const before = allowance;
    allowance = { most: entries, total: 16 * entries };
    try {
      return f();
    } finally {
      allowance = before;
    }
  }

  /** Refuses more entries than `size` bytes or the header allow. */
  function checkCount(n, size, what) {
    if (allowance) {
      allowance.total -= n;
      if (n > allowance.most || allowance.total < 0) {
        fail(what, `${n} entries, where the file allows ${allowance.most}`);
      }
    }
    if (!(n <= SYMBOLS_A_BYTE * (size + 1))) {
      fail(what, `${n} symbols in ${size} bytes`);
    }
  }

  /** Reads bytes and never beyond their end. */
  class Reader {
    constructor(data, what) {
      Object.assign(this, { data, what, at: 0 });
    }
    left() {
      return this.data.length - this.at;
    }
    take(size) {
      if (!(size <= this.left())) {
        throw new JczError(
          `Truncated ${this.what}: ${size} bytes wanted, ${this.left()} left.`
        );
      }
      this.at += size;
      return this.data.subarray(this.at - size, this.at);
    }
    byte() {
      return this.take(1)[0];
    }
    /** Seven bits a byte, low ones first, below 2^62. */
    bigVarint() {
      let value = 0n;
      for (let shift = 0n; shift < 63n; shift += 7n) {
        const part = this.byte();
        value |= BigInt(part & 127) << shift;
        if (part < 128) {
          if (value >> 62n) break;
          return value;
        }
      }
      return fail(this.what, 'an integer beyond 2^62');
    }
    /** The same as a Number; above 2^53 it is rounded, and too large for all. */
    varint() {
      return Number(this.bigVarint());
    }
    prefixed() {
      return this.take(this.varint());
    }
    rest() {
      return this.take(this.left());
    }
    end() {
      if (this.left()) fail(this.what, `${this.left()} bytes too many`);
    }
  }

  const packedSize = (n, width) => Math.floor((n * width + 7) / 8);

  /** `n` values of `width` bits, low bits first. */
  function unpack(data, n, width, what) {
    if (width < 1 || width > 32) fail(what, `${width} bits a value`);
    if (data.length !== packedSize(n, width)) {
      fail(what, `${data.length} bytes for ${n} values of ${width} bits`);
    }
    const out = width <= 8 ? new Uint8Array(n) : new Uint32Array(n);
    let buffer = 0; // below 2^39
    let have = 0;
    let at = 0;
    const size = 2 ** width;
    for (let i = 0; i < n; i++) {
      while (have < width) {
        buffer += data[at++] * 2 ** have;
        have += 8;
      }
      out[i] = buffer % size;
      buffer = Math.floor(buffer / size);
      have -= width;
    }
    return out;
  }

  const maxOf = (values) => {
    let most = 0;
    for (const v of values) if (v > most) most = v;
    return most;
  };

  const narrow = (n, largest) =>
    largest < 256 ? new Uint8Array(n) : new Uint32Array(n);

  // ---------------------------------------------------------------- Huffman

  const LIMIT = 12;

  function decodeHuffman(data, n) {
    const what = 'Huffman stream';
    const reader = new Reader(data, what);
    const first = reader.varint();
    const span = reader.varint();
    if (span < 2 || span > Math.min(4096, 2 * reader.left())) {
      fail(what, `${span} letters`);
    }
    if (first > 0xffffffff - span) fail(what, `letters from ${first}`);
    const packed = reader.take(packedSize(span, 4));
    const lengths = unpack(packed, span, 4, what);
    let kraft = 0;
    for (const l of lengths) if (l) kraft += 2 ** LIMIT / 2 ** l;
    if (maxOf(lengths) > LIMIT || kraft !== 2 ** LIMIT) {
      fail(what, 'no full prefix code');
    }
    const table = prefixTable(lengths);
    return readLanes(reader, n, first, span, lengths, table);
  }

  /** The letter of each 12 bits; canonical codes, their first bit lowest. */
  function prefixTable(lengths) {
    const table = new Uint16Array(2 ** LIMIT);
    let code = 0;
    for (let length = 1; length <= LIMIT; length++, code <<= 1) {
      for (let letter = 0; letter < lengths.length; letter++) {
        if (lengths[letter] !== length) continue;
        let turned = 0;
        for (let i = 0; i < length; i++) {
          turned |= ((code >> (length - 1 - i)) & 1) << i;
        }
        for (let i = turned; i < 2 ** LIMIT; i += 1 << length) table[i] = letter;
        code++;
      }
    }
    return table;
  }

  function readLanes(reader, n, first, span, lengths, table) {
    const what = reader.what;
    if (!(n > 0 && n <= 8 * reader.left())) fail(what, `${n} do not fit`);
    const wanted = Math.min(Math.max(Math.floor(n / 1024), 1), 4096);
    const size = Math.ceil(n / wanted);
    const lanes = Math.ceil(n / size);
    let low = 0;
    let spans = [];
    if (lanes > 1) {
      low = Math.min(reader.varint(), 8 * reader.left());
      const width = reader.byte();
      const data = reader.take(packedSize(lanes - 1, width));
      spans = unpack(data, lanes - 1, width, what);
    }
    const data = reader.rest();
    const out = narrow(n, first + span - 1);
    let bit = 0;
    let end = 0;
    for (let i = 0; i < n; i++) {
      const at = bit >> 3;
      const bytes = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
      const letter = table[(bytes >>> (bit & 7)) & 4095];
      out[i] = first + letter;
      bit += lengths[letter];
      if ((i + 1) % size === 0 && i + 1 < n) {
        end += low + spans[(i + 1) / size - 1];
        if (bit !== end) fail(what, 'the codes do not end as stated');
      }
    }
    if (Math.ceil(bit / 8) !== data.length) {
      fail(what, 'the codes do not end as stated');
    }
    return out;
  }

  // -------------------------------------------- asymmetric numeral systems

  const SHARES = 2 ** 24;

  /** Where the share of each letter begins; the last entry is the whole. */
  function quantized(weights) {
    const k = weights.length;
    let total = 0;
    for (const w of weights) total += w;
    const scale = (SHARES - k) / total;
    const starts = new Uint32Array(k + 1);
    let sum = 0;
    for (let i = 0; i < k; i++) {
      starts[i] = Math.floor(sum * scale) + i;
      sum += weights[i];
    }
    starts[k] = SHARES;
    return starts;
  }

  /** A stack of 32-bit words below a state of 64 bits, in two halves. */
  class Stack {
    constructor(data) {
      let size = data.length;
      while (size && data[size - 1] === 0) size--;
      this.words = Math.ceil(size / 4);
      this.data = new Uint8Array(4 * this.words);
      this.data.set(data.subarray(0, size));
      this.high = 0;
      this.low = 0;
      for (let i = 0; i < 2 && this.words; i++) this.refill();
    }
    refill() {
      this.words--;
      const at = 4 * this.words;
      const d = this.data;
      this.high = this.low;
      this.low =
        (d[at] | (d[at + 1] << 8) | (d[at + 2] << 16) | (d[at + 3] << 24)) >>> 0;
    }
    /** One letter of a model. */
    pop(starts) {
      const slot = this.low & (SHARES - 1);
      let a = 0;
      let b = starts.length - 1;
      while (b - a > 1) {
        const middle = (a + b) >> 1;
        if (starts[middle] <= slot) a = middle;
        else b = middle;
      }
      // state = share * (state >> 24) + slot - start, in pieces below 2^53
      const share = starts[a + 1] - starts[a];
      const rest = this.high * 256 + (this.low >>> 24);
      const above = Math.floor(rest / 2 ** 20);
      const t = (rest % 2 ** 20) * share + slot - starts[a];
      const u = above * share + Math.floor(t / 2 ** 20);
      this.high = Math.floor(u / 2 ** 12);
      this.low = (u % 2 ** 12) * 2 ** 20 + (t % 2 ** 20);
      if (this.high === 0 && this.words) this.refill();
      return a;
    }
    /** The symbol below all others, and nothing else. */
    end(what) {
      if (this.pop(quantized([1, 1])) !== 1 || this.high || this.low || this.words) {
        fail(what, 'the code does not end with its symbols');
      }
    }
  }

  /** Groups of symbols `[n, weights]` from one stack. */
  function unpackGroups(data, groups, what) {
    const stack = new Stack(data);
    const out = groups.map(([n, weights]) => {
      const starts = quantized(weights);
      const symbols = narrow(n, weights.length - 1);
      for (let i = 0; i < n; i++) symbols[i] = stack.pop(starts);
      return symbols;
    });
    stack.end(what);
    return out;
  }

  /** Letters and their weights. */
  function readTable(reader) {
    const { what } = reader;
    const kind = reader.byte();
    const width = ((kind >> 3) & 15) + 1;
    const mantissa = kind & 7;
    if (width < 2 || width > 10 || mantissa >= Math.min(width, 6)) {
      fail(what, `a table of kind ${kind}`);
    }
    const first = reader.varint();
    const count = reader.varint();
    if (count < 1 || count > 8 * reader.left()) {
      fail(what, `a table of ${count} letters`);
    }
    let gaps = null;
    if (kind >> 7) {
      const gap = reader.byte();
      gaps = unpack(reader.take(packedSize(count - 1, gap)), count - 1, gap, what);
    }
    const codes = unpack(reader.take(packedSize(count, width)), count, width, what);
    const letters = [];
    const weights = [];
    let letter = first;
    for (let i = 0; i < count; i++) {
      if (i) letter += gaps ? gaps[i - 1] + 1 : 1;
      const c = codes[i];
      if (!c) continue;
      const one = 2 ** mantissa;
      const shift = Math.floor(c / one) - 1;
      const weight = c < 2 * one ? c : (one + (c % one)) * 2 ** shift;
      if (weight > 2 ** 22) fail(what, 'a weight beyond 2^22');
      letters.push(letter);
      weights.push(weight);
    }
    if (!letters.length || first > 0xffffffff || letters.at(-1) > 0xffffffff) {
      fail(what, 'a table with impossible letters');
    }
    return { letters, weights };
  }

  function decodeAns(data, n) {
    const reader = new Reader(data, 'ANS stream');
    const { letters, weights } = readTable(reader);
    if (letters.length < 2 || letters.length > 65536) {
      fail(reader.what, `${letters.length} letters`);
    }
    const [found] = unpackGroups(reader.rest(), [[n, weights]], reader.what);
    const out = narrow(n, letters.at(-1));
    for (let i = 0; i < n; i++) out[i] = letters[found[i]];
    return out;
  }

  // ------------------------------------------------------------- any stream

  /** `n` symbols, as Uint8Array or Uint32Array. */
  function decodeStream(record, n) {
    checkCount(n, record.length, 'stream');
    const reader = new Reader(record, 'stream');
    const byte = reader.byte();
    const kind = byte & 7;
    const width = (byte >> 3) + 1;
    if (kind === 0) {
      const value = reader.varint();
      if (value > 0xffffffff || reader.rest().some((b) => b)) {
        fail('stream', 'not a constant');
      }
      return narrow(n, value).fill(value);
    }
    if (kind === 1) return unpack(reader.rest(), n, width, 'stream');
    if (kind === 2) return decodeHuffman(reader.rest(), n);
    if (kind === 3) {
      const size = (width + 7) >> 3;
      const planes = inflate(reader.rest(), n * size, 'stream');
      if (size === 1) return planes;
      const out = new Uint32Array(n);
      for (let p = 0; p < size; p++) {
        for (let i = 0; i < n; i++) out[i] |= planes[p * n + i] << (8 * p);
      }
      return out;
    }
    if (kind === 4) return decodeAns(reader.rest(), n);
    throw new JczError(`Unknown coder ${kind} in a stream: a newer file?`);
  }

  return {
    JczError, Reader, atMost, checkCount, decodeStream, fail, inflate, maxOf,
    narrow, packedSize, unpack, unpackGroups,
  };
});
