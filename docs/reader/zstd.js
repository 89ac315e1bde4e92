/**
 * Reads one zstd frame without its magic number (RFC 8878): no checksums, which
 * no file of jcompress has.
 *
 * inflate(data, size, what, known) gives exactly `size` bytes or throws a
 * JczError; the frame may refer to the bytes `known`, as if they stood before it.
 */
(function (root, factory) {
  if (typeof module === 'object') module.exports = factory();
  else root.jczZstd = factory();
})(typeof self !== 'undefined' ? self : this, function () {
  'use strict';

  /** A file that is not one, or is damaged. */
  class JczError extends Error {}

  const MAX_BLOCK = 1 << 17;
  const MAX_WINDOW = 1 << 27;

  function fail(why) {
    throw new JczError(`Damaged zstd frame: ${why}.`);
  }

  const highBit = (x) => 31 - Math.clz32(x);

  /** Bits from the first byte on, low ones first: tables of FSE codes. */
  class ForwardBits {
    constructor(data, start, end) {
      Object.assign(this, { data, start, end, bit: 0 });
    }
    read(count) {
      let value = 0;
      for (let i = 0; i < count; i++, this.bit++) {
        const at = this.start + (this.bit >> 3);
        if (at >= this.end) fail('a table is cut off');
        value |= ((this.data[at] >> (this.bit & 7)) & 1) << i;
      }
      return value;
    }
    back(count) {
      this.bit -= count;
    }
    byteAfter() {
      return this.start + ((this.bit + 7) >> 3);
    }
  }

  /** Bits from the last one on; a one marks where they begin. */
  class BackwardBits {
    constructor(data, start, end) {
      if (end <= start || data[end - 1] === 0) fail('no bits where some must be');
      this.data = data;
      this.start = start;
      this.left = 8 * (end - start) - 8 + highBit(data[end - 1]);
    }
    /** Up to 25 bits; zeros stand before the first one. */
    peek(count) {
      const low = this.left - count;
      let value = 0;
      const first = Math.floor(low / 8);
      for (let i = 0; i < 4; i++) {
        const at = first + i;
        if (at >= 0 && 8 * at < this.left) {
          value |= this.data[this.start + at] << (8 * i);
        }
      }
      return (value >>> (low - 8 * first)) & ((1 << count) - 1);
    }
    read(count) {
      if (count > 16) {
        const high = this.read(count - 16);
        return high * 65536 + this.read(16);
      }
      const value = count ? this.peek(count) : 0;
      this.left -= count;
      return value;
    }
  }

  /** Reads the distribution of an FSE code: `{counts, log, end}`. */
  function readCounts(data, start, end, maxLog, maxSymbol) {
    const bits = new ForwardBits(data, start, end);
    const log = bits.read(4) + 5;
    if (log > maxLog) fail(`a table of ${log} bits`);
    let remaining = (1 << log) + 1;
    const counts = [];
    while (remaining > 1) {
      if (counts.length > maxSymbol) fail('too many symbols in a table');
      const width = highBit(remaining) + 1;
      let value = bits.read(width);
      const low = (1 << (width - 1)) - 1;
      const threshold = (1 << width) - 1 - remaining;
      if ((value & low) < threshold) {
        bits.back(1);
        value &= low;
      } else if (value > low) {
        value -= threshold;
      }
      const count = value - 1;
      remaining -= Math.abs(count);
      if (remaining < 1) fail('a table of too many slots');
      counts.push(count);
      if (count === 0) {
        let repeat;
        do {
          repeat = bits.read(2);
          for (let i = 0; i < repeat; i++) counts.push(0);
          if (counts.length > maxSymbol + 1) fail('too many symbols in a table');
        } while (repeat === 3);
      }
    }
    if (counts.length > maxSymbol + 1) fail('too many symbols in a table');
    return { counts, log, end: bits.byteAfter() };
  }

  /** The states of an FSE decoder. */
  function buildTable(counts, log) {
    const size = 1 << log;
    const symbol = new Uint8Array(size);
    const bits = new Uint8Array(size);
    const base = new Uint16Array(size);
    const next = counts.slice();
    let high = size - 1;
    counts.forEach((count, s) => {
      if (count === -1) {
        symbol[high--] = s;
        next[s] = 1;
      }
    });
    const step = (size >> 1) + (size >> 3) + 3;
    let at = 0;
    counts.forEach((count, s) => {
      for (let i = 0; i < count; i++) {
        symbol[at] = s;
        do at = (at + step) & (size - 1);
        while (at > high);
      }
    });
    if (at !== 0) fail('a table that does not close');
    for (let i = 0; i < size; i++) {
      const n = next[symbol[i]]++;
      bits[i] = log - highBit(n);
      base[i] = (n << bits[i]) - size;
    }
    return { symbol, bits, base, log };
  }

  /** Weights of the Huffman code of literals: `{table, log, end}`. */
  function readHuffman(data, start, end) {
    if (start >= end) fail('no Huffman table');
    const head = data[start++];
    const weights = [];
    if (head >= 128) {
      const count = head - 127;
      const stop = start + ((count + 1) >> 1);
      if (stop > end) fail('a Huffman table is cut off');
      for (let i = 0; i < count; i++) {
        const byte = data[start + (i >> 1)];
        weights.push(i & 1 ? byte & 15 : byte >> 4);
      }
      start = stop;
    } else {
      const stop = start + head;
      if (stop > end) fail('a Huffman table is cut off');
      const found = readCounts(data, start, stop, 6, 255);
      const t = buildTable(found.counts, found.log);
      const bits = new BackwardBits(data, found.end, stop);
      const states = [bits.read(t.log), bits.read(t.log)];
      if (bits.left < 0) fail('a Huffman table is cut off');
      for (let turn = 0; ; turn ^= 1) {
        const state = states[turn];
        weights.push(t.symbol[state]);
        if (weights.length > 254) fail('too many Huffman weights');
        states[turn] = t.base[state] + bits.read(t.bits[state]);
        if (bits.left < 0) {
          weights.push(t.symbol[states[turn ^ 1]]);
          break;
        }
      }
      start = stop;
    }
    return { ...huffmanTable(weights), end: start };
  }

  function huffmanTable(weights) {
    let total = 0;
    for (const w of weights) {
      if (w > 12) fail('a Huffman weight beyond 12');
      total += w ? 1 << (w - 1) : 0;
    }
    if (!total) fail('no Huffman weights');
    const log = highBit(total) + 1;
    const rest = (1 << log) - total;
    if (log > 11 || rest !== 1 << highBit(rest)) fail('no full Huffman code');
    const all = [...weights, highBit(rest) + 1];
    const symbol = new Uint8Array(1 << log);
    const length = new Uint8Array(1 << log);
    let at = 0;
    for (let w = 1; w <= log; w++) {
      all.forEach((weight, s) => {
        if (weight !== w) return;
        symbol.fill(s, at, at + (1 << (w - 1)));
        length.fill(log + 1 - w, at, at + (1 << (w - 1)));
        at += 1 << (w - 1);
      });
    }
    if (at !== 1 << log) fail('no full Huffman code');
    return { symbol, length, log };
  }

  function huffmanStream(data, start, end, code, out, from, to) {
    const bits = new BackwardBits(data, start, end);
    for (let i = from; i < to; i++) {
      const at = bits.peek(code.log);
      out[i] = code.symbol[at];
      bits.left -= code.length[at];
    }
    if (bits.left !== 0) fail('literals do not end with their bits');
  }

  const LENGTHS = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24,
      28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768,
      65536],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4,
      6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  ];
  const MATCHES = [
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
      23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 37, 39, 41, 43, 47,
      51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771,
      65539],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11,
      12, 13, 14, 15, 16],
  ];
  // Of literal lengths, offsets, match lengths: the predefined counts with the
  // bits of a state, the most bits, the highest symbol.
  const CODES = [
    [[4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2,
      3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6, 9, 35],
    [[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1,
      -1, -1, -1, -1], 5, 8, 31],
    [[1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1,
      -1, -1, -1, -1], 6, 9, 52],
  ];

  /** What blocks of a frame hand on. */
  class Frame {
    constructor(out) {
      this.out = out;
      this.at = 0;
      this.offsets = [1, 4, 8];
      this.huffman = null;
      this.tables = [null, null, null];
    }

    literals(data, start, end) {
      if (start >= end) fail('no literals');
      const kind = data[start] & 3;
      const form = (data[start] >> 2) & 3;
      const byte = (i) => {
        if (start + i >= end) fail('literals are cut off');
        return data[start + i];
      };
      if (kind < 2) {
        let size = byte(0) >> 3;
        let head = 1;
        if (form === 1) [size, head] = [(byte(0) >> 4) | (byte(1) << 4), 2];
        if (form === 3) {
          size = (byte(0) >> 4) | (byte(1) << 4) | (byte(2) << 12);
          head = 3;
        }
        if (size > MAX_BLOCK) fail('too many literals');
        const from = start + head;
        if (kind === 1) {
          const literals = new Uint8Array(size).fill(byte(head));
          return { literals, end: from + 1 };
        }
        if (from + size > end) fail('literals are cut off');
        return { literals: data.subarray(from, from + size), end: from + size };
      }
      const [width, head] = [[10, 3], [10, 3], [14, 4], [18, 5]][form];
      const bits = new ForwardBits(data, start, end);
      bits.read(4);
      const size = bits.read(width);
      const packed = bits.read(width);
      const stop = start + head + packed;
      if (size > MAX_BLOCK || stop > end) fail('literals are cut off');
      let from = start + head;
      if (kind === 2) {
        this.huffman = readHuffman(data, from, stop);
        from = this.huffman.end;
      }
      if (!this.huffman) fail('literals without a Huffman table');
      const literals = new Uint8Array(size);
      if (form === 0) {
        huffmanStream(data, from, stop, this.huffman, literals, 0, size);
        return { literals, end: stop };
      }
      if (from + 6 > stop) fail('literals are cut off');
      const each = (size + 3) >> 2;
      if (3 * each > size) fail('four streams of too few literals');
      let at = from + 6;
      for (let i = 0; i < 4; i++) {
        const length = data[from + 2 * i] | (data[from + 2 * i + 1] << 8);
        const next = i < 3 ? at + length : stop;
        if (next > stop) fail('literals are cut off');
        const to = i < 3 ? (i + 1) * each : size;
        huffmanStream(data, at, next, this.huffman, literals, i * each, to);
        at = next;
      }
      return { literals, end: stop };
    }

    table(which, mode, data, start, end) {
      const [counts, log, maxLog, maxSymbol] = CODES[which];
      if (mode === 0) this.tables[which] = buildTable(counts, log);
      if (mode === 1) {
        if (start >= end || data[start] > maxSymbol) fail('a bad symbol');
        this.tables[which] = {
          symbol: [data[start++]], bits: [0], base: [0], log: 0,
        };
      }
      if (mode === 2) {
        const found = readCounts(data, start, end, maxLog, maxSymbol);
        this.tables[which] = buildTable(found.counts, found.log);
        start = found.end;
      }
      if (!this.tables[which]) fail('a table is repeated that never was');
      return start;
    }

    block(data, start, end) {
      const found = this.literals(data, start, end);
      const { literals } = found;
      let at = found.end;
      if (at >= end) fail('no sequences');
      let count = data[at++];
      if (count >= 128) {
        if (at + (count === 255 ? 1 : 0) >= end) fail('sequences are cut off');
        if (count === 255) {
          count = data[at] + (data[at + 1] << 8) + 0x7f00;
          at += 2;
        } else {
          count = ((count - 128) << 8) + data[at++];
        }
      }
      if (!count) {
        if (at !== end) fail('bytes behind a block');
        return this.append(literals, 0, literals.length);
      }
      if (at >= end) fail('sequences are cut off');
      const modes = data[at++];
      if (modes & 3) fail('reserved bits are set');
      for (let i = 0; i < 3; i++) {
        at = this.table(i, (modes >> (6 - 2 * i)) & 3, data, at, end);
      }
      const bits = new BackwardBits(data, at, end);
      this.sequences(bits, count, literals);
    }

    sequences(bits, count, literals) {
      const [L, O, M] = this.tables;
      let l = bits.read(L.log);
      let o = bits.read(O.log);
      let m = bits.read(M.log);
      let used = 0;
      const begin = this.at;
      for (let i = 0; i < count; i++) {
        const [lc, oc, mc] = [L.symbol[l], O.symbol[o], M.symbol[m]];
        const value = 2 ** oc + bits.read(oc);
        const match = MATCHES[0][mc] + bits.read(MATCHES[1][mc]);
        const length = LENGTHS[0][lc] + bits.read(LENGTHS[1][lc]);
        const offset = this.offset(value, length);
        if (i < count - 1) {
          l = L.base[l] + bits.read(L.bits[l]);
          m = M.base[m] + bits.read(M.bits[m]);
          o = O.base[o] + bits.read(O.bits[o]);
        }
        if (bits.left < 0) fail('sequences are cut off');
        this.append(literals, used, used + length);
        used += length;
        this.copy(offset, match);
        if (this.at - begin > MAX_BLOCK) fail('a block of more than 128 KiB');
      }
      if (bits.left !== 0) fail('sequences do not end with their bits');
      this.append(literals, used, literals.length);
    }

    offset(value, length) {
      const past = this.offsets;
      if (value > 3) {
        past.unshift(value - 3);
        past.pop();
        return value - 3;
      }
      const which = value - 1 + (length === 0 ? 1 : 0);
      const offset = which === 3 ? past[0] - 1 : past[which];
      if (which > 0) {
        past.splice(Math.min(which, 2), 1);
        past.unshift(offset);
      }
      return offset;
    }

    append(bytes, from, to) {
      if (to > bytes.length) fail('more literals used than there are');
      if (this.at + to - from > this.out.length) fail('more bytes than stated');
      this.out.set(bytes.subarray(from, to), this.at);
      this.at += to - from;
    }

    copy(offset, length) {
      if (offset < 1 || offset > this.at) fail('an offset before the start');
      if (this.at + length > this.out.length) fail('more bytes than stated');
      for (let i = 0; i < length; i++, this.at++) {
        this.out[this.at] = this.out[this.at - offset];
      }
    }
  }

  /** Reads the frame header: where the blocks begin. */
  function readHeader(data) {
    if (!data.length) fail('it is empty');
    const flags = data[0];
    if (flags & 8) fail('a reserved bit is set');
    if (flags & 4) fail('a checksum, which files of jcompress do not have');
    if (flags & 3) fail('a dictionary, which files of jcompress do not have');
    const single = (flags >> 5) & 1;
    const sizeBytes = [single, 2, 4, 8][flags >> 6];
    if (!single && data.length > 1) {
      const base = 2 ** (10 + (data[1] >> 3));
      const window = base + (base / 8) * (data[1] & 7);
      if (window > MAX_WINDOW) fail(`a window of ${window} bytes`);
    }
    return 1 + (single ? 0 : 1) + sizeBytes;
  }

  function inflate(data, size, what, known = new Uint8Array()) {
    if (size > 65536 * (data.length + 1)) {
      throw new JczError(`Damaged ${what}: ${size} bytes in ${data.length}.`);
    }
    const all = known.length + size;
    const frame = new Frame(new Uint8Array(all));
    frame.append(known, 0, known.length);
    let at = readHeader(data);
    for (let last = 0; !last; ) {
      if (at + 3 > data.length) fail('it is cut off');
      const head = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
      at += 3;
      last = head & 1;
      const kind = (head >> 1) & 3;
      const length = head >> 3;
      const stop = at + (kind === 1 ? 1 : length);
      if (length > MAX_BLOCK || stop > data.length) fail('it is cut off');
      if (kind === 3) fail('a reserved kind of block');
      if (kind === 0) frame.append(data, at, stop);
      if (kind === 1) {
        if (frame.at + length > all) fail('more bytes than stated');
        frame.out.fill(data[at], frame.at, frame.at + length);
        frame.at += length;
      }
      if (kind === 2) frame.block(data, at, stop);
      at = stop;
    }
    if (frame.at !== all || at !== data.length) {
      throw new JczError(`Damaged ${what}: not one frame of ${size} bytes.`);
    }
    return frame.out.subarray(known.length);
  }

  return { inflate, JczError };
});
