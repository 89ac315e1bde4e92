/**
 * Arrays, and the kinds of leaves: how each is read, and what it decodes to.
 *
 * An array is `{dtype, shape, words}`: its bits as unsigned words of the width
 * of the dtype. `numbers(array)` gives them as Numbers.
 */
(function (root, factory) {
  const node = typeof module === 'object';
  if (node) module.exports = factory(require('./streams.js'), require('./codes.js'));
  else root.jczLeaves = factory(root.jczStreams, root.jczCodes);
})(typeof self !== 'undefined' ? self : this, function (streams, codes) {
  'use strict';

  const { JczError, Reader, checkCount, decodeStream, fail } = streams;
  const { product } = codes;

  const DTYPES = [
    'bool', 'int8', 'int16', 'int32', 'int64',
    'uint8', 'uint16', 'uint32', 'uint64',
    'float16', 'bfloat16', 'float32', 'float64',
    'float8_e4m3fn', 'float8_e5m2', 'int4', 'uint4',
    'float8_e3m4', 'float8_e4m3', 'float8_e4m3b11fnuz', 'float8_e4m3fnuz',
    'float8_e5m2fnuz', 'float8_e8m0fnu', 'float4_e2m1fn', 'int2', 'uint2',
  ];
  // Bits of exponent and mantissa, bias, and how the largest codes are used:
  // as inf and NaN, one NaN ('fn'), a NaN in place of -0 ('fnuz'), none ('all').
  const FLOATS = {
    float16: [5, 10, 15, 'ieee'], bfloat16: [8, 7, 127, 'ieee'],
    float8_e5m2: [5, 2, 15, 'ieee'], float8_e4m3fn: [4, 3, 7, 'fn'],
    float8_e3m4: [3, 4, 3, 'ieee'], float8_e4m3: [4, 3, 7, 'ieee'],
    float8_e4m3b11fnuz: [4, 3, 11, 'fnuz'], float8_e4m3fnuz: [4, 3, 8, 'fnuz'],
    float8_e5m2fnuz: [5, 2, 16, 'fnuz'], float4_e2m1fn: [2, 1, 1, 'all'],
  };
  const isFloat = (dtype) => /float/.test(dtype);
  const WORDS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };

  /** Bytes of an entry. */
  function itemSize(dtype) {
    const bits = /^(?:u?int|b?float)(\d+)/.exec(dtype);
    return bits ? Math.ceil(bits[1] / 8) : 1;
  }

  /** The least and greatest of an integer dtype, as BigInt. */
  function limitsOf(dtype) {
    const [, unsigned, bits] = /^(u?)int(\d+)$/.exec(dtype);
    const n = BigInt(bits);
    if (unsigned) return [0n, (1n << n) - 1n];
    return [-(1n << (n - 1n)), (1n << (n - 1n)) - 1n];
  }

  const tables = {};

  /** The value of each word of a float of 4, 8 or 16 bits. */
  function tableOf(dtype) {
    if (tables[dtype]) return tables[dtype];
    if (dtype === 'float8_e8m0fnu') {
      const powers = Array.from({ length: 256 }, (_, i) => 2 ** (i - 127));
      powers[255] = NaN;
      return (tables[dtype] = Float64Array.from(powers));
    }
    const [e, m, bias, style] = FLOATS[dtype];
    const half = 2 ** (e + m);
    const out = new Float64Array(2 * half);
    for (let i = 0; i < half; i++) {
      const exponent = i >> m;
      const mantissa = i % 2 ** m;
      let value = exponent
        ? (1 + mantissa / 2 ** m) * 2 ** (exponent - bias)
        : (mantissa / 2 ** m) * 2 ** (1 - bias);
      if (style === 'ieee' && exponent === 2 ** e - 1) {
        value = mantissa ? NaN : Infinity;
      }
      if (style === 'fn' && i === half - 1) value = NaN;
      out[i] = value;
      out[half + i] = -value;
    }
    if (style === 'fnuz') out[half] = NaN;
    return (tables[dtype] = out);
  }

  /** The entries of an array as Numbers; 64-bit integers are rounded. */
  function numbers({ dtype, words }) {
    const { buffer, byteOffset, length } = words;
    const as = (type) => Float64Array.from(new type(buffer, byteOffset, length));
    if (dtype === 'float32') return as(Float32Array);
    if (dtype === 'float64') return as(Float64Array);
    if (isFloat(dtype)) {
      const table = tableOf(dtype);
      return Float64Array.from(words, (w) => table[w % table.length]);
    }
    if (dtype === 'int64') {
      return Float64Array.from(words, (w) => Number(BigInt.asIntN(64, w)));
    }
    const [, unsigned, bits] = /^(u?)(?:int|bool)(\d*)$/.exec(dtype);
    if (unsigned || !bits) return Float64Array.from(words, Number);
    const by = 32 - Number(bits);
    return Float64Array.from(words, (w) => (w << by) >> by);
  }

  /** An array of a float dtype from Numbers, rounded to nearest, ties to even. */
  function fromNumbers(dtype, shape, values) {
    if (dtype === 'float32') {
      const words = new Uint32Array(Float32Array.from(values).buffer);
      return { dtype, shape, words };
    }
    if (dtype === 'float64') {
      const words = new BigUint64Array(Float64Array.from(values).buffer);
      return { dtype, shape, words };
    }
    if (!FLOATS[dtype]) throw new JczError(`${dtype} is not decoded here.`);
    const words = new WORDS[itemSize(dtype)](values.length);
    for (let i = 0; i < words.length; i++) words[i] = rounded(dtype, values[i]);
    return { dtype, shape, words };
  }

  function rounded(dtype, value) {
    const [e, m, bias, style] = FLOATS[dtype];
    const half = 2 ** (e + m);
    const table = tableOf(dtype);
    const negative = value < 0 || Object.is(value, -0);
    const sign = negative ? half : 0;
    const infinity = (2 ** e - 1) << m;
    const nan = { ieee: infinity + 2 ** (m - 1), fn: half - 1, fnuz: half }[style];
    if (Number.isNaN(value)) return nan;
    const size = Math.abs(value);
    let largest = { ieee: infinity, fn: half - 1 }[style] ?? half;
    largest -= 1;
    const exponent = Math.max(Math.floor(Math.log2(size || 1)), 1 - bias);
    let unit = 2 ** (exponent - m);
    if (size >= 2 ** (exponent + 1)) unit *= 2; // a logarithm that was rounded
    else if (size < 2 ** exponent && exponent > 1 - bias) unit /= 2;
    let q = size / unit; // exact: a power of two
    const floor = Math.floor(q);
    const rest = q - floor;
    q = rest > 0.5 || (rest === 0.5 && floor % 2) ? floor + 1 : floor;
    const near = q * unit;
    if (near > table[largest]) {
      if (style === 'ieee') return sign + infinity;
      return style === 'all' ? sign + largest : nan;
    }
    let low = 0;
    let high = largest;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (table[middle] < near) low = middle + 1;
      else high = middle;
    }
    return style === 'fnuz' && low === 0 ? 0 : sign + low;
  }

  // ----------------------------------------------------------------- arrays

  function readHead(reader) {
    const first = reader.byte();
    const axes = reader.byte();
    if ((first & 31) >= DTYPES.length || axes > 32) {
      fail(reader.what, `dtype ${first & 31}, ${axes} axes; a newer file?`);
    }
    const shape = Array.from({ length: axes }, () => reader.varint());
    if (shape.some((n) => n >= 2 ** 31)) fail(reader.what, 'impossible shape');
    return { dtype: DTYPES[first & 31], shape, way: first >> 5 };
  }

  /** The head of codes: without axes where the shape is known and the same. */
  function readCodesHead(reader, stated) {
    const first = reader.data[reader.at];
    if (first >> 5 === 0) return readHead(reader);
    reader.byte();
    if (first >> 5 !== 1 || !stated || (first & 31) >= DTYPES.length) {
      fail(reader.what, 'a head of codes without a shape');
    }
    return { dtype: DTYPES[first & 31], shape: stated };
  }

  const [RAW, ZSTD, PLANES, LETTERS, RANGE, MASK] = [0, 1, 2, 3, 4, 5];

  function decodeArray(record) {
    const reader = new Reader(record, 'array');
    const { dtype, shape, way } = readHead(reader);
    const n = product(shape);
    const size = itemSize(dtype);
    checkCount(n, record.length, 'array');
    const made = (words) => ({ dtype, shape, words });
    if (dtype === 'bool') {
      if (way !== MASK) fail('array', `booleans in the way ${way}`);
      return made(codes.decodeMask(reader.rest(), shape));
    }
    if (way === RANGE && !isFloat(dtype)) return made(readRange(reader, n, dtype));
    if (way === RAW) {
      const data = reader.take(n * size);
      reader.end();
      return made(wordsOf(data, size));
    }
    if (way === ZSTD) {
      return made(wordsOf(streams.inflate(reader.rest(), n * size, 'array'), size));
    }
    if (way === PLANES) return made(readPlanes(reader, n, dtype, size));
    if (way === LETTERS) return made(readLetters(reader, n, size));
    throw new JczError(`Unknown way ${way} to write ${dtype}: a newer file?`);
  }

  /** Bytes as words, low ones first. */
  function wordsOf(data, size) {
    const bytes = data.slice();
    return new WORDS[size](bytes.buffer, 0, bytes.length / size);
  }

  function readRange(reader, n, dtype) {
    const offset = reader.bigVarint();
    const low = offset & 1n ? -((offset + 1n) >> 1n) : offset >> 1n;
    const symbols = decodeStream(reader.rest(), n);
    const [least, most] = limitsOf(dtype);
    const high = low + BigInt(streams.maxOf(symbols));
    if (low < least || high > most) fail('array', `${low} .. ${high} is not ${dtype}`);
    return integersFrom(symbols, low, dtype);
  }

  /** Symbols from `low` on as words of an integer dtype. */
  function integersFrom(symbols, low, dtype) {
    const words = new WORDS[itemSize(dtype)](symbols.length);
    if (itemSize(dtype) === 8) {
      symbols.forEach((s, i) => (words[i] = BigInt.asUintN(64, low + BigInt(s))));
    } else {
      const first = Number(low);
      for (let i = 0; i < words.length; i++) words[i] = symbols[i] + first;
    }
    return words;
  }

  function readPlanes(reader, n, dtype, size) {
    const bytes = new Uint8Array(n * size);
    for (let p = 0; p < size; p++) {
      const record = p < size - 1 ? reader.prefixed() : reader.rest();
      const plane = decodeStream(record, n);
      if (!(plane instanceof Uint8Array)) fail('array', 'a byte plane beyond 255');
      for (let i = 0; i < n; i++) bytes[i * size + p] = plane[i];
    }
    const words = wordsOf(bytes, size);
    if (!isFloat(dtype) || size === 1) return words;
    if (size === 8) return words.map((w) => (w >> 1n) | ((w & 1n) << 63n));
    const top = 8 * size - 1;
    return words.map((w) => (w >>> 1) | ((w & 1) << top));
  }

  function readLetters(reader, n, size) {
    const count = reader.varint();
    const letters = wordsOf(reader.take(count * size), size);
    const index = decodeStream(reader.rest(), n);
    if (n && streams.maxOf(index) >= count) fail('array', `not ${count} letters`);
    const words = new WORDS[size](n);
    for (let i = 0; i < n; i++) words[i] = letters[index[i]];
    return words;
  }

  // ---------------------------------------------------------- plain values

  /** A number that was written as a float. */
  class Float {
    constructor(value) {
      this.value = value;
    }
  }

  /** Reads msgpack: null, booleans, Numbers or BigInts, `Float`, strings,
   * Uint8Array, arrays and Maps. */
  function loads(data, what) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let at = 0;
    const skip = (n) => {
      if (at + n > data.length) fail(what, 'it ends too early');
      at += n;
      return at - n;
    };
    const uint = (n) => {
      const from = skip(n);
      if (n === 8) return safe(view.getBigUint64(from));
      return [, view.getUint8, view.getUint16, , view.getUint32][n].call(view, from);
    };
    const int = (n) => {
      const from = skip(n);
      if (n === 8) return safe(view.getBigInt64(from));
      return [, view.getInt8, view.getInt16, , view.getInt32][n].call(view, from);
    };
    const safe = (x) => (Number.isSafeInteger(Number(x)) ? Number(x) : x);
    const bytes = (n) => data.subarray(skip(n), at);
    const string = (n) => {
      try {
        return text.decode(bytes(n));
      } catch (e) {
        return fail(what, e instanceof JczError ? e.message : 'no UTF-8');
      }
    };
    const claimed = (n) => {
      if (n > data.length - at) fail(what, `${n} items claimed`);
      return n;
    };
    const list = (n, depth) => {
      const out = [];
      for (claimed(n); n; n--) out.push(read(depth + 1));
      return out;
    };
    const map = (n, depth) => {
      const out = new Map();
      for (claimed(2 * n); n; n--) {
        const key = read(depth + 1);
        if (!['string', 'number', 'bigint'].includes(typeof key) || out.has(key)) {
          fail(what, 'a key is repeated or not str or int');
        }
        out.set(key, read(depth + 1));
      }
      return out;
    };
    function read(depth) {
      if (depth > 64) fail(what, 'nested deeper than 64');
      const k = uint(1);
      if (k < 0x80) return k;
      if (k < 0x90) return map(k & 15, depth);
      if (k < 0xa0) return list(k & 15, depth);
      if (k < 0xc0) return string(k & 31);
      if (k >= 0xe0) return k - 256;
      if (k === 0xc0) return null;
      if (k === 0xc2 || k === 0xc3) return k === 0xc3;
      if (k >= 0xc4 && k <= 0xc6) return bytes(uint(1 << (k - 0xc4))).slice();
      if (k === 0xca) return new Float(view.getFloat32(skip(4)));
      if (k === 0xcb) return new Float(view.getFloat64(skip(8)));
      if (k >= 0xcc && k <= 0xcf) return uint(1 << (k - 0xcc));
      if (k >= 0xd0 && k <= 0xd3) return int(1 << (k - 0xd0));
      if (k >= 0xd9 && k <= 0xdb) return string(uint(1 << (k - 0xd9)));
      if (k === 0xdc || k === 0xdd) return list(uint(k === 0xdc ? 2 : 4), depth);
      if (k === 0xde || k === 0xdf) return map(uint(k === 0xde ? 2 : 4), depth);
      return fail(what, `a value of type 0x${k.toString(16)}`);
    }
    const value = read(0);
    if (at !== data.length) fail(what, `${data.length - at} bytes too many`);
    return value;
  }

  // ----------------------------------------------------------------- leaves

  // Arrays and static fields of each kind, in the order of a file.
  const KINDS = {
    Dense: [['values'], []],
    Key: [['data'], ['impl']],
    Signs: [['signs', 'scale'], []],
    Sparse: [['values', 'mask'], []],
    Codebook: [['centers', 'codes'], []],
    LowRank: [['left', 'right'], ['shape']],
    Quantized: [['codes', 'scale', 'zero'], ['tile', 'dtype']],
    Blocks: [['codes', 'scale', 'centers'], ['tile', 'dtype']],
    Rotated: [['codes', 'scale', 'centers', 'signs'], ['axis', 'block', 'dtype']],
    Product: [['centers', 'codes'], ['axis', 'shape']],
    Factors: [['factors'], ['equation', 'shape']],
    Hashed: [['buckets', 'seed'], ['shape']],
    HashedFrequencies: [['buckets', 'seed'], ['shape', 'counts']],
    Scaled: [['factor'], ['dtype']],
    Tied: [[], ['kind', 'shape', 'inputs']],
  };
  // Static fields that are not written where all are these.
  const DEFAULTS = { tile: null, dtype: 'float32' };
  const HOLDERS = ['Stacked', 'Scaled', 'Tied'];
  const GRIDS = {
    Quantized: ['scale', 'zero'],
    Blocks: ['scale', 'centers'],
    Rotated: ['scale', 'centers', 'signs'],
  };
  const CODEBOOK = { 2: codes.FLAT, 3: codes.SPLIT, 8: codes.JOINT };
  const QUANTIZED = { 11: codes.FLAT, 12: codes.SPLIT, 13: codes.JOINT };
  const OLD_QUANTIZED = { 4: codes.FLAT, 5: codes.SPLIT, 9: codes.JOINT };

  /** The type of a static field: a map of its number, or (older) of its name. */
  function dtypeOf(map, what) {
    const isMap = map instanceof Map && map.size === 1;
    const name = isMap && (map.has(0) ? DTYPES[map.get(0)] : map.get('dtype'));
    return DTYPES.includes(name) ? name : fail(what, 'not a dtype');
  }

  /** Reads static fields and some of the arrays of a kind. */
  function readFields(reader, kind, names) {
    const statics = KINDS[kind][1];
    const fields = {};
    const part = statics.length ? reader.prefixed() : '';
    if (statics.length && !part.length) {
      if (!statics.every((name) => name in DEFAULTS)) fail(reader.what, 'no static fields');
      statics.forEach((name) => (fields[name] = DEFAULTS[name]));
    } else if (statics.length) {
      const values = loads(part, `${reader.what} static fields`);
      if (!Array.isArray(values) || values.length !== statics.length) {
        fail(reader.what, `not the static fields ${statics}`);
      }
      statics.forEach((name, i) => (fields[name] = values[i]));
      if ('dtype' in fields) fields.dtype = dtypeOf(fields.dtype, reader.what);
    }
    for (const name of names) {
      const part = reader.prefixed();
      if (name === 'factors') {
        const inner = new Reader(part, reader.what);
        fields[name] = [];
        while (inner.left()) fields[name].push(decodeArray(inner.prefixed()));
      } else {
        if (!part.length && name !== 'zero') fail(reader.what, `no ${name}`);
        fields[name] = part.length ? decodeArray(part) : null;
      }
    }
    return fields;
  }

  /** Reads a leaf, of a shape that may be stated: `{kind, fields}`. */
  function readLeaf(record, kind, stated = null) {
    const reader = new Reader(record, `${kind} leaf`);
    let layout = reader.byte();
    if (layout & 128) reader.prefixed();
    layout &= 127;
    if (kind !== 'Stacked' && !Object.hasOwn(KINDS, kind)) {
      throw new JczError(`Unknown kind of leaf ${JSON.stringify(kind)}.`);
    }
    let fields;
    if (layout === 1 && kind === 'Sparse') fields = readSparse(reader, stated);
    else if (layout in CODEBOOK && kind === 'Codebook') {
      fields = readCodebook(reader, CODEBOOK[layout], stated);
    } else if (layout in QUANTIZED && GRIDS[kind]) {
      fields = readFields(reader, kind, GRIDS[kind]);
      const z = reader.varint();
      const low = z % 2 ? -(z + 1) / 2 : z / 2;
      readSteps(reader, fields, low, QUANTIZED[layout], stated);
    } else if (layout in OLD_QUANTIZED && GRIDS[kind]) {
      const inner = new Reader(reader.prefixed(), reader.what);
      fields = readFields(inner, kind, GRIDS[kind]);
      inner.end();
      const low = reader.varint() - 32768;
      readSteps(reader, fields, low, OLD_QUANTIZED[layout], null);
    } else if (layout === 6 && kind === 'Stacked') fields = readStacked(reader);
    else if (layout === 7 && kind === 'Scaled') {
      fields = readHolder(reader, kind, ['factor']);
    } else if (layout === 10 && kind === 'Tied') {
      fields = readHolder(reader, kind, []);
    } else if (layout === 0 && !HOLDERS.includes(kind)) {
      fields = readFields(reader, kind, KINDS[kind][0]);
      reader.end();
    } else {
      throw new JczError(`Unknown layout ${layout} of ${kind}: a newer file?`);
    }
    return { kind, fields };
  }

  function readSparse(reader, stated) {
    const { dtype, shape } = readCodesHead(reader, stated);
    const mask = codes.decodeMask(reader.prefixed(), shape);
    const kept = decodeArray(reader.rest());
    let count = 0;
    for (const m of mask) count += m;
    if (kept.dtype !== dtype || kept.shape.length !== 1 || kept.shape[0] !== count) {
      fail(reader.what, `${count} positions, values ${kept.dtype}[${kept.shape}]`);
    }
    const words = new kept.words.constructor(mask.length);
    let at = 0;
    for (let i = 0; i < mask.length; i++) if (mask[i]) words[i] = kept.words[at++];
    return {
      values: { dtype, shape, words },
      mask: { dtype: 'bool', shape, words: mask },
    };
  }

  function readCodebook(reader, way, stated) {
    const centers = decodeArray(reader.prefixed());
    const { dtype, shape } = readCodesHead(reader, stated);
    if (centers.shape.length !== 1 || isFloat(dtype) || dtype === 'bool') {
      fail(reader.what, `centers [${centers.shape}], codes ${dtype}`);
    }
    const ordered = way === codes.JOINT ? orderOf(numbers(centers)) : null;
    const found = codes.decodeCodes(reader, way, shape, ordered);
    checkCodes(found, centers.words.length, reader.what);
    const words = checkedCodes(found, 0, dtype, reader.what);
    return { centers, codes: { dtype, shape, words } };
  }

  /** Codes by rising weights, equal ones by their codes, NaN last. */
  function orderOf(values) {
    const rank = (v) => (Number.isNaN(v) ? 1 : 0);
    return Array.from(values, (_, i) => i).sort(
      (a, b) =>
        rank(values[a]) - rank(values[b]) || values[a] - values[b] || a - b
    );
  }

  function checkCodes(found, k, what) {
    if (found.length && streams.maxOf(found) >= k) {
      fail(what, `code ${streams.maxOf(found)} of ${k} centers`);
    }
  }

  function checkedCodes(found, low, dtype, what) {
    const [least, most] = limitsOf(dtype);
    const high = low + streams.maxOf(found);
    if (BigInt(low) < least || BigInt(high) > most) {
      fail(what, `codes ${low} .. ${high} are not ${dtype}`);
    }
    return integersFrom(found, BigInt(low), dtype);
  }

  /** Adds the codes to the other fields. */
  function readSteps(reader, fields, low, way, stated) {
    const { dtype, shape } = readCodesHead(reader, stated);
    if (isFloat(dtype) || dtype === 'bool' || itemSize(dtype) > 2) {
      fail(reader.what, `codes ${dtype}`);
    }
    const found = codes.decodeCodes(reader, way, shape, null);
    const words = checkedCodes(found, low, dtype, reader.what);
    fields.codes = { dtype, shape, words };
    if (fields.centers) {
      const all = numbers(fields.codes);
      if (all.some((c) => c < 0)) fail(reader.what, 'a negative code');
      checkCodes(all, fields.centers.words.length, reader.what);
    }
  }

  function readStacked(reader) {
    const head = loads(reader.prefixed(), `${reader.what} axes`);
    const lists = Array.isArray(head) && head.length === 3 && head.every(Array.isArray);
    if (!lists) fail(reader.what, 'not axes, sizes and kinds');
    const [axes, sizes, kinds] = head;
    if (
      ![...axes, ...sizes].every((n) => Number.isSafeInteger(n) && n >= 0) ||
      !kinds.every((k) => typeof k === 'string')
    ) {
      fail(reader.what, 'not axes, sizes and kinds');
    }
    const parts = [];
    while (reader.left()) {
      const kind = kinds[reader.byte()];
      if (kind === undefined || kind === 'Stacked') fail(reader.what, 'a bad layer');
      parts.push(readLeaf(reader.prefixed(), kind));
    }
    const wrong = axes.length !== sizes.length || product(sizes) !== parts.length;
    if (wrong || !parts.length) {
      fail(reader.what, `${parts.length} layers of sizes ${sizes}`);
    }
    return { parts, axes, sizes };
  }

  function readHolder(reader, kind, names) {
    const inner = new Reader(reader.prefixed(), reader.what);
    const fields = readFields(inner, kind, names);
    inner.end();
    const held = new TextDecoder().decode(reader.prefixed());
    if (HOLDERS.includes(held)) {
      fail(reader.what, `its part is ${held}`);
    }
    fields.part = readLeaf(reader.rest(), held);
    return fields;
  }

  return {
    DTYPES, Float, checkCodes, fromNumbers, isFloat, itemSize, limitsOf, loads,
    numbers, readLeaf, tableOf,
  };
});
