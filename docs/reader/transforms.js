/**
 * Leaves that are sums, rotations and hashes: Product, Rotated and Hashed to
 * the bit; Factors and HashedFrequencies with sums in float64, so up to the
 * rounding of sums in float32. Of a Key, its words.
 */
(function (root, factory) {
  const node = typeof module === 'object';
  const names = ['./streams.js', './codes.js', './leaves.js'];
  if (node) module.exports = factory(...names.map((n) => require(n)));
  else root.jczTransforms = factory(root.jczStreams, root.jczCodes, root.jczLeaves);
})(typeof self !== 'undefined' ? self : this, function (streams, codes, leaves) {
  'use strict';

  const { fail } = streams;
  const { product, transposedPlaces } = codes;
  const { fromNumbers, isFloat, numbers } = leaves;
  const MOST = 2 ** 31;

  const need = (condition, why) => condition || fail('leaf', why);

  /** Checks a shape before an array of it exists; gives its entries. */
  function sized(shape) {
    const right =
      Array.isArray(shape) && shape.length <= 32 &&
      shape.every((n) => Number.isSafeInteger(n) && n >= 0);
    need(right && product(shape) <= MOST, `the shape [${shape}]`);
    return product(shape);
  }

  /** Entries whose cut axis is the last one, with that axis in its place. */
  function placed(values, shape, axis) {
    const others = shape.map((_, a) => a).filter((a) => a !== axis);
    const places = transposedPlaces(shape, [...others, axis]);
    const out = new Float64Array(values.length);
    for (let i = 0; i < out.length; i++) out[places[i]] = values[i];
    return out;
  }

  const isAxis = (axis, shape) =>
    Number.isSafeInteger(axis) && axis >= 0 && axis < shape.length;

  function decodeProduct({ centers, codes: picked, axis, shape }) {
    const count = sized(shape);
    need(isAxis(axis, shape) && centers.shape.length === 4, 'no product');
    const [stages, blocks, k, length] = centers.shape;
    const others = shape.filter((_, a) => a !== axis);
    const wanted = [stages, ...others, blocks];
    const fits = `${picked.shape}` === `${wanted}` && isFloat(centers.dtype) &&
      blocks === Math.ceil(shape[axis] / length);
    need(fits && stages, `codes [${picked.shape}] of centers [${centers.shape}]`);
    leaves.checkCodes(picked.words, k, 'Product leaf');
    const values = numbers(centers).map(Math.fround);
    const out = new Float64Array(count);
    const rows = product(others);
    for (let i = 0; i < count; i++) {
      const row = Math.floor(i / shape[axis]);
      const block = Math.floor((i % shape[axis]) / length);
      const within = (i % shape[axis]) % length;
      for (let t = 0; t < stages; t++) {
        const code = Number(picked.words[(t * rows + row) * blocks + block]);
        const x = values[((t * blocks + block) * k + code) * length + within];
        out[i] = t ? Math.fround(out[i] + x) : x;
      }
    }
    return fromNumbers(centers.dtype, shape, placed(out, shape, axis));
  }

  /** Sizes of the pieces of an axis, powers of two. */
  function piecesOf(n, block) {
    const found = new Array(Math.floor(n / block)).fill(block);
    for (let size = block; size >= 1; size /= 2) {
      if ((n % block) & size) found.push(size);
    }
    return found;
  }

  /** The fast Walsh-Hadamard transform of `size` entries from `at` on. */
  function hadamard(x, at, size) {
    for (let half = 1; half < size; half *= 2) {
      for (let i = 0; i < size; i++) {
        if (i & half) continue;
        const [a, b] = [x[at + i], x[at + i + half]];
        x[at + i] = Math.fround(a + b);
        x[at + i + half] = Math.fround(a - b);
      }
    }
    const factor = Math.fround(size ** -0.5);
    for (let i = at; i < at + size; i++) x[i] = Math.fround(x[i] * factor);
  }

  function decodeRotated({ codes: picked, scale, centers, signs, axis, block, dtype }) {
    const { shape } = picked;
    const count = sized(shape);
    const isPower = Number.isSafeInteger(block) && block > 0 && block <= MOST &&
      Number.isInteger(Math.log2(block));
    need(isPower && isAxis(axis, shape), `blocks of ${block} along ${axis}`);
    const n = shape[axis];
    need(n / block <= scale.words.length, 'too few scales');
    const pieces = piecesOf(n, block);
    const wanted = shape.map((m, a) => (a === axis ? pieces.length : m));
    const fits = `${scale.shape}` === `${wanted}` && centers.shape.length === 1 &&
      centers.shape[0] > 0 && signs.words.length === n && signs.dtype === 'bool';
    need(fits, `a scale [${scale.shape}] of codes [${shape}]`);
    const last = (values, of) => {
      const others = of.map((_, a) => a).filter((a) => a !== axis);
      const places = transposedPlaces(of, [...others, axis]);
      return Float64Array.from(places, (p) => values[p]);
    };
    const grid = numbers(centers).map(Math.fround);
    leaves.checkCodes(picked.words, grid.length, 'Rotated leaf');
    const x = last(Float64Array.from(picked.words, (c) => grid[c]), shape);
    const factors = last(numbers(scale).map(Math.fround), wanted);
    let at = 0;
    let piece = 0;
    while (at < count) {
      for (const size of pieces) {
        const factor = factors[piece++];
        hadamard(x, at, size);
        for (let i = at; i < at + size; i++) {
          x[i] = Math.fround(x[i] * (signs.words[i % n] ? factor : -factor));
        }
        at += size;
      }
    }
    return fromNumbers(dtype, shape, placed(x, shape, axis));
  }

  /** The 32-bit xxHash of a word of four bytes. */
  function xxhash32(word, seed) {
    let h = (seed + 0x165667b1 + 4 + Math.imul(word, 0xc2b2ae3d)) | 0;
    h = Math.imul((h << 17) | (h >>> 15), 0x27d4eb2f);
    h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae3d);
    return (h ^ (h >>> 16)) >>> 0;
  }

  /** Which bucket each entry reads, of those that `band(i)` gives, and a sign. */
  function hashed({ buckets, seed, shape }, band) {
    const count = sized(shape);
    const fits = buckets.shape.length === 1 && buckets.shape[0] > 0 &&
      seed.dtype === 'uint32' && !seed.shape.length && isFloat(buckets.dtype);
    need(fits, `buckets [${buckets.shape}], a ${seed.dtype} seed`);
    const values = numbers(buckets);
    const key = seed.words[0];
    const other = (key ^ 0x9e3779b1) >>> 0;
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const [first, of] = band(i);
      const value = values[first + (xxhash32(i, key) % of)];
      out[i] = xxhash32(i, other) >>> 31 ? -value : value;
    }
    return out;
  }

  function decodeHashed(fields) {
    const { buckets, shape } = fields;
    const all = [0, buckets.words.length];
    return fromNumbers(buckets.dtype, shape, hashed(fields, () => all));
  }

  function decodeHashedFrequencies(fields) {
    const { buckets, shape, counts } = fields;
    sized(shape);
    need(shape.length >= 2, 'no kernel');
    const sides = shape.slice(0, -2);
    const bands = 1 + sides.reduce((a, n) => a + Math.max(0, n - 1), 0);
    const right = sides.every((n) => n <= 256) && product(sides) <= 65536 &&
      Array.isArray(counts) && counts.length === bands &&
      counts.every((c) => Number.isSafeInteger(c) && c > 0) &&
      counts.reduce((a, b) => a + b, 0) === buckets.words.length;
    need(right, 'bands that do not fit');
    const firsts = counts.map((_, b) => counts.slice(0, b).reduce((a, c) => a + c, 0));
    const each = shape.at(-1) * shape.at(-2);
    let x = hashed(fields, (i) => {
      let place = Math.floor(i / each);
      let band = 0;
      for (let a = sides.length - 1; a >= 0; a--) {
        band += place % sides[a];
        place = Math.floor(place / sides[a]);
      }
      return [firsts[band], counts[band]];
    });
    sides.forEach((side, axis) => (x = inverseDct(x, shape, axis, side)));
    return fromNumbers(buckets.dtype, shape, x);
  }

  function inverseDct(x, shape, axis, side) {
    const stride = product(shape.slice(axis + 1));
    const out = new Float64Array(x.length);
    const wave = (f, place) =>
      Math.cos((Math.PI * (2 * place + 1) * f) / (2 * side)) *
      Math.sqrt((f ? 2 : 1) / side);
    for (let i = 0; i < x.length; i++) {
      const place = Math.floor(i / stride) % side;
      const first = i - place * stride;
      for (let f = 0; f < side; f++) out[i] += wave(f, place) * x[first + f * stride];
    }
    return out;
  }

  function decodeFactors({ factors, equation, shape }) {
    const count = sized(shape);
    const parsed = typeof equation === 'string' &&
      /^([A-Za-z]*(?:,[A-Za-z]*)*)->([A-Za-z]*)$/.exec(equation);
    need(parsed, 'no equation');
    const terms = parsed[1].split(',');
    const out = parsed[2];
    const unique = (s) => new Set(s).size === s.length;
    need(terms.length === factors.length && unique(out), 'no equation');
    const sizes = {};
    terms.forEach((term, i) => {
      const { shape: own, dtype } = factors[i];
      const fits = own.length === term.length && unique(term) &&
        isFloat(dtype) && dtype === factors[0].dtype;
      need(fits, `a factor [${own}] of ${term}`);
      [...term].forEach((a, d) => {
        sizes[a] = sizes[a] ?? own[d];
        need(sizes[a] === own[d], `two sizes of ${a}`);
      });
    });
    need([...out].every((a) => a in sizes), 'letters of no factor');
    let done = { letters: '', values: new Float64Array([1]) };
    terms.forEach((term, i) => {
      const later = out + terms.slice(i + 1).join('');
      const seen = [...new Set(done.letters + term)].join('');
      let kept = [...seen].filter((a) => later.includes(a)).join('');
      if (i === terms.length - 1) kept = out;
      const values = contracted(done, term, numbers(factors[i]), kept, seen, sizes);
      done = { letters: kept, values };
    });
    need(done.values.length === count, `not a weight [${shape}]`);
    return fromNumbers(factors[0].dtype, shape, done.values);
  }

  /** The sum of products over the letters that are not kept. */
  function contracted(left, term, right, kept, all, sizes) {
    const stridesIn = (letters) => {
      let step = 1;
      const found = {};
      for (const a of [...letters].reverse()) {
        found[a] = step;
        step *= sizes[a];
      }
      return [...all].map((a) => found[a] ?? 0);
    };
    const lengths = [...all].map((a) => sizes[a]);
    const steps = [left.letters, term, kept].map(stridesIn);
    const out = new Float64Array(sized([...kept].map((a) => sizes[a])));
    const total = sized(lengths);
    const index = lengths.map(() => 0);
    let [i, j, k] = [0, 0, 0];
    for (let n = 0; n < total; n++) {
      out[k] += left.values[i] * right[j];
      for (let a = lengths.length - 1; a >= 0; a--) {
        i += steps[0][a];
        j += steps[1][a];
        k += steps[2][a];
        if (++index[a] < lengths[a]) break;
        i -= steps[0][a] * index[a];
        j -= steps[1][a] * index[a];
        k -= steps[2][a] * index[a];
        index[a] = 0;
      }
    }
    return out;
  }

  return {
    sized,
    need,
    decoders: {
      Factors: decodeFactors,
      Hashed: decodeHashed,
      HashedFrequencies: decodeHashedFrequencies,
      Key: ({ data }) => data,
      Product: decodeProduct,
      Rotated: decodeRotated,
    },
  };
});
