/**
 * The arrays that leaves stand for. Sums and products are those of float32,
 * rounded after each step; only LowRank leaves, Factors and HashedFrequencies
 * add in float64, and so may be off by what the order of a sum in float32 makes.
 */
(function (root, factory) {
  const node = typeof module === 'object';
  const names = ['./streams.js', './codes.js', './leaves.js', './transforms.js'];
  if (node) module.exports = factory(...names.map((n) => require(n)));
  else {
    const { jczStreams, jczCodes, jczLeaves, jczTransforms } = root;
    root.jczDecode = factory(jczStreams, jczCodes, jczLeaves, jczTransforms);
  }
})(typeof self !== 'undefined' ? self : this, function (streams, codes, leaves, transforms) {
  'use strict';

  const { JczError } = streams;
  const { product, transposedPlaces } = codes;
  const { fromNumbers, isFloat, numbers } = leaves;
  const { sized, need } = transforms;

  /** `f(i, j)` gives an entry from places in two arrays that broadcast. */
  function broadcast(a, b, f) {
    const n = Math.max(a.length, b.length);
    const full = (s) => [...new Array(n - s.length).fill(1), ...s];
    const [x, y] = [full(a), full(b)];
    const shape = x.map((m, i) => {
      need(m === y[i] || m === 1 || y[i] === 1, `[${a}] and [${b}] do not fit`);
      return m === 1 ? y[i] : m;
    });
    const count = sized(shape);
    const strides = (s) => {
      const out = new Array(n).fill(0);
      for (let i = n - 1, step = 1; i >= 0; step *= s[i--]) {
        out[i] = s[i] === 1 ? 0 : step;
      }
      return out;
    };
    const [sx, sy] = [strides(x), strides(y)];
    const index = new Array(n).fill(0);
    let [i, j] = [0, 0];
    for (let at = 0; at < count; at++) {
      f(i, j, at);
      for (let axis = n - 1; axis >= 0; axis--) {
        i += sx[axis];
        j += sy[axis];
        if (++index[axis] < shape[axis]) break;
        i -= sx[axis] * index[axis];
        j -= sy[axis] * index[axis];
        index[axis] = 0;
      }
    }
    return shape;
  }

  /** Repeats the entries of tiles, so that a scale broadcasts to a weight. */
  function spread(scale, shape, tile) {
    let { values } = scale;
    let own = scale.shape;
    need(own.length <= shape.length, 'a scale of too many axes');
    if (tile !== null) {
      const [axis, size] = Array.isArray(tile) ? tile : [];
      const fits =
        own.length === shape.length && axis >= 0 && axis < own.length &&
        size > 0 && own[axis] === Math.ceil(shape[axis] / size);
      need(fits, `tiles [${tile}] of a scale [${own}]`);
      const inner = product(own.slice(axis + 1));
      const wide = own.map((n, i) => (i === axis ? shape[axis] : n));
      const out = new Float64Array(sized(wide));
      for (let i = 0; i < out.length; i++) {
        const row = Math.floor(i / inner);
        const outer = Math.floor(row / shape[axis]);
        const at = outer * own[axis] + Math.floor((row % shape[axis]) / size);
        out[i] = values[at * inner + (i % inner)];
      }
      [values, own] = [out, wide];
    }
    const aligned = shape.slice(shape.length - own.length);
    const fits = own.every((n, i) => n === 1 || n === aligned[i]);
    need(fits, `a scale [${own}] of a weight [${shape}]`);
    return { shape: own, values };
  }

  const float32 = (array) => ({
    shape: array.shape,
    values: numbers(array).map(Math.fround),
  });

  function multiplied(a, scale, dtype, most = Infinity) {
    const out = new Float64Array(sized(a.shape));
    broadcast(a.shape, scale.shape, (i, j, at) => {
      const x = Math.fround(a.values[i] * scale.values[j]);
      out[at] = x > most ? most : x < -most ? -most : x;
    });
    return fromNumbers(dtype, a.shape, out);
  }

  const decoders = {
    ...transforms.decoders,

    Dense: ({ values }) => values,

    Signs({ signs, scale }) {
      need(signs.dtype === 'bool' && isFloat(scale.dtype), 'no signs');
      const factor = numbers(scale);
      const out = [];
      const shape = broadcast(signs.shape, scale.shape, (i, j, at) => {
        out[at] = signs.words[i] ? factor[j] : -factor[j];
      });
      return fromNumbers(scale.dtype, shape, out);
    },

    Sparse({ values, mask }) {
      const words = new values.words.constructor(values.words.length);
      need(`${values.shape}` === `${mask.shape}`, 'a mask of another shape');
      for (let i = 0; i < words.length; i++) {
        if (mask.words[i]) words[i] = values.words[i];
      }
      return { ...values, words };
    },

    Codebook({ centers, codes: { shape, words } }) {
      const [k, ...row] = centers.shape;
      leaves.checkCodes(words, k, 'Codebook leaf');
      const each = product(row);
      sized([...shape, ...row]);
      const out = new centers.words.constructor(words.length * each);
      for (let i = 0; i < words.length; i++) {
        const from = Number(words[i]) * each;
        out.set(centers.words.subarray(from, from + each), i * each);
      }
      return { dtype: centers.dtype, shape: [...shape, ...row], words: out };
    },

    LowRank({ left, right, shape }) {
      const [[m, rank], [other, n]] = [left.shape, right.shape];
      const fits =
        left.shape.length === 2 && right.shape.length === 2 && rank === other &&
        left.dtype === right.dtype && sized(shape) === m * n;
      need(fits, `factors [${left.shape}] and [${right.shape}]`);
      const [a, b] = [numbers(left), numbers(right)];
      const out = new Float64Array(m * n);
      for (let i = 0; i < m; i++) {
        for (let r = 0; r < rank; r++) {
          const x = a[i * rank + r];
          for (let j = 0; j < n; j++) out[i * n + j] += x * b[r * n + j];
        }
      }
      return fromNumbers(left.dtype, shape, out);
    },

    Quantized({ codes: steps, scale, zero, tile, dtype }) {
      const values = numbers(steps);
      if (zero) {
        const round = isFloat(zero.dtype) ? Math.fround : (x) => x | 0;
        const from = { shape: zero.shape, values: numbers(zero).map(round) };
        const wide = spread(from, steps.shape, tile);
        broadcast(steps.shape, wide.shape, (i, j) => {
          values[i] = round(values[i] - wide.values[j]);
        });
      }
      const multiples = { shape: steps.shape, values: values.map(Math.fround) };
      return multiplied(multiples, spread(float32(scale), steps.shape, tile), dtype);
    },

    Blocks({ codes: { shape, words }, scale, centers, tile, dtype }) {
      need(centers.shape.length === 1 && centers.shape[0], 'no centers');
      const grid = float32(centers).values;
      const values = Float64Array.from(words, (c) => grid[Number(c)]);
      let factor = float32(scale);
      if (!isFloat(scale.dtype)) {
        const power = (e) => 2 ** Math.min(Math.max(e, -126), 127);
        factor = { shape: scale.shape, values: numbers(scale).map(power) };
      }
      const wide = spread(factor, shape, tile);
      return multiplied({ shape, values }, wide, dtype, largestOf(dtype));
    },

    Stacked({ parts, axes, sizes }) {
      const layers = parts.map(decode);
      const [{ dtype, shape }] = layers;
      for (const x of layers) {
        const same = x.dtype === dtype && `${x.shape}` === `${shape}`;
        need(same, 'layers of several forms');
      }
      const count = product(shape);
      const whole = [...sizes, ...shape];
      const words = new layers[0].words.constructor(sized(whole));
      const fits = axes.every((a, i) => a < whole.length && (!i || axes[i - 1] < a));
      need(fits, `layers along the axes [${axes}]`);
      layers.forEach((x, i) => words.set(x.words, i * count));
      // The axes of the result, as those of the layers one after the other.
      const order = [];
      let next = axes.length;
      for (let a = 0; a < whole.length; a++) {
        const which = axes.indexOf(a);
        order.push(which < 0 ? next++ : which);
      }
      const places = transposedPlaces(whole, order);
      return {
        dtype, shape: order.map((a) => whole[a]),
        words: words.map((_, i) => words[places[i]]),
      };
    },

    Scaled({ part, factor, dtype }) {
      const values = float32(decode(part));
      const fits =
        factor.shape.length === values.shape.length &&
        factor.shape.every((n, i) => n === 1 || n === values.shape[i]);
      need(fits, `factors [${factor.shape}] of a weight [${values.shape}]`);
      return multiplied(values, float32(factor), dtype);
    },

    Tied({ part, kind, shape, inputs }) {
      const base = decode(part);
      const count = sized(shape);
      const place = tiedPlaces(kind, base.shape, shape, inputs);
      const words = new base.words.constructor(count);
      const negative = kind === 'negation' ? numbers(base).map((x) => -x) : [];
      const minus = kind === 'negation' && isFloat(base.dtype)
        ? fromNumbers(base.dtype, base.shape, negative).words : null;
      const own = base.shape.at(-1);
      for (let i = 0; i < count; i++) {
        const opposite = kind === 'negation' && i % shape.at(-1) >= own;
        need(!opposite || minus, 'opposites of integers');
        words[i] = (opposite ? minus : base.words)[place(i)];
      }
      return { dtype: base.dtype, shape, words };
    },
  };

  function largestOf(dtype) {
    if (dtype === 'float32') return Math.fround(3.4028234663852886e38);
    if (dtype === 'float64') return Infinity;
    const finite = leaves.tableOf(dtype).filter(Number.isFinite);
    return finite.reduce((a, b) => Math.max(a, b), 0);
  }

  /** Where each entry of a kernel lies in its base. */
  function tiedPlaces(kind, base, shape, inputs) {
    const last = shape.at(-1);
    const own = base.at(-1);
    need(!inputs || kind === 'p4' || kind === 'p4m', `inputs of ${kind}`);
    const same = (from, to) =>
      base.length === shape.length && base.length > 0 &&
      base.slice(from, to).every((n, i) => n === shape[from + i]);
    if (kind === 'negation' || kind === 'repeat') {
      const fits = kind === 'repeat' ? own > 0 && last % own === 0 : 2 * own - (last % 2) === last;
      need(fits && same(0, -1) && last / own <= 1024, `no ${kind}`);
      return (i) => Math.floor(i / last) * own + ((i % last) % own);
    }
    need(base.length === 4 && shape.length === 4, `no ${kind}`);
    const [h, w, channels] = shape;
    const [H, W] = base;
    const split = (i) => {
      const out = i % last;
      const rest = Math.floor(i / last);
      const c = rest % channels;
      const x = Math.floor(rest / channels);
      return [Math.floor(x / w), x % w, c, Math.floor(out / own), out % own];
    };
    if (kind === 'translation') {
      const copies = (H - h + 1) * (W - w + 1);
      const fits = H >= h && h > 0 && W >= w && w > 0 && copies * own === last;
      need(fits && same(2, 3) && copies <= 1024, 'no translation');
      return (i) => {
        const [y, x, c, copy, f] = split(i);
        const dy = Math.floor(copy / (W - w + 1));
        const dx = copy % (W - w + 1);
        return (((y + dy) * W + x + dx) * channels + c) * own + f;
      };
    }
    const n = { p4: 4, p4m: 8 }[kind];
    need(n && h === w && n * own === last && same(0, 3), `no ${kind}`);
    need(!inputs || channels % n === 0, `no ${kind} of inputs`);
    const each = channels / n;
    return (i) => {
      let [y, x, c, g, f] = split(i);
      // Turned back, then mirrored back.
      for (let turn = g % 4; turn; turn--) [y, x] = [x, w - 1 - y];
      if (g >= 4) x = w - 1 - x;
      if (inputs) c = relative(g, Math.floor(c / each)) * each + (c % each);
      return ((y * w + x) * channels + c) * own + f;
    };
  }

  /** Of elements `g` and `h` of p4 or p4m the number of `g^-1 h`. */
  function relative(g, h) {
    const [mirror, turns, other, more] = [g >> 2, g & 3, h >> 2, h & 3];
    const difference = mirror ? turns - more : more - turns;
    return 4 * (mirror ^ other) + (((difference % 4) + 4) % 4);
  }

  const isDecoded = (kind) => Object.hasOwn(decoders, kind);

  /** The array of a leaf; a JczError if its kind is only listed here. */
  function decode({ kind, fields }) {
    if (!isDecoded(kind)) throw new JczError(`${kind} leaves are not decoded here.`);
    return decoders[kind](fields);
  }

  return { decode, isDecoded };
});
