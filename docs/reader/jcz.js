/**
 * Reads files of jcompress: `const file = jcz.open(bytes)`, then `file.leaves`
 * (path, kind, shape, dtype, size), `file.read(i)` (its encoded fields) and
 * `file.decode(i)` (its array). What is no whole, undamaged file is a JczError.
 *
 * In a page, load zstd.js, streams.js, codes.js, leaves.js, transforms.js,
 * decode.js and this in that order. In node, `require` this.
 */
(function (root, factory) {
  const node = typeof module === 'object';
  const names = ['streams', 'codes', 'leaves', 'decode'];
  if (node) module.exports = factory(...names.map((n) => require(`./${n}.js`)));
  else {
    const { jczStreams, jczCodes, jczLeaves, jczDecode } = root;
    root.jcz = factory(jczStreams, jczCodes, jczLeaves, jczDecode);
  }
})(typeof self !== 'undefined' ? self : this, function (streams, codes, leaves, decode) {
  'use strict';

  const { JczError, Reader, fail, inflate } = streams;
  const { DTYPES, Float, itemSize, loads } = leaves;
  const MAGIC = [0x89, 0x4a, 0x43, 0x5a, 0x0d, 0x0a, 0x1a, 0x0a];
  const VERSION = 4;
  const UNKNOWN = DTYPES.length;

  // What a frame of a header may refer to, as the page on the format has it.
  const TYPICAL = Uint8Array.from(
    '\x94\x84\xa6params\x88\xa5conv1\x82\xa4bias\0\xa6kernel\x01\xa5conv2\x82' +
    '\xa4bias\x02\xa6kernel\x03\xa3fc1\x82\xa4bias\x04\xa6kernel\x05\xa3fc2\x82' +
    '\xa4bias\x06\xa6kernel\x07\xa3fc3\x82\xa4bias\x08\xa6kernel\x09\xa6Conv_0' +
    '\x82\xa4bias\x0a\xa6kernel\x0b\xa7Dense_0\x82\xa4bias\x0c\xa6kernel\x0d' +
    '\xabBatchNorm_0\x82\xa4bias\x0e\xa5scale\x0f\xabbatch_stats\x81\xabBatchNo' +
    'rm_0\x82\xa4mean\x10\xa3var\x11\xabLayerNorm_0\x12\xa9embedding\x13\x94' +
    '\xa8Codebook\xa5Dense\xa9Quantized\xa6Sparse\x91\x95\0\x0a\0\x0b\x14\x85' +
    '\xa6recipe\xa0\xa4seed\0\xa4task\xb4image_classification\xa4data\xa0\xa5mo' +
    'del\x82\xa4name\xa0\xa7options\x80',
    (c) => c.charCodeAt(0)
  );

  const uint32 = ([a, b, c, d]) => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;

  const isCount = (n) => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

  let crcTable = null;

  function crc32(data) {
    crcTable = crcTable || Uint32Array.from({ length: 256 }, (_, i) => {
      for (let k = 0; k < 8; k++) i = i & 1 ? (i >>> 1) ^ 0xedb88320 : i >>> 1;
      return i;
    });
    let crc = -1;
    for (let i = 0; i < data.length; i++) {
      crc = crcTable[(crc ^ data[i]) & 255] ^ (crc >>> 8);
    }
    return ~crc >>> 0;
  }

  // --------------------------------- BLAKE2b, of files of versions 1 and 2

  const SIGMA = [
    '0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194',
    '7931dcbe265a40f8', '905724afe1bc683d', '2c6a0b834d75fe19',
    'c51fed4a0763928b', 'db7ec13950f4862a', '6fe9b308c2d714a5',
    'a2847615fb9e3cd0', '0123456789abcdef', 'ea489fd61c02b753',
  ].map((row) => Array.from(row, (c) => parseInt(c, 16)));
  const IV = [
    '6a09e667f3bcc908', 'bb67ae8584caa73b', '3c6ef372fe94f82b',
    'a54ff53a5f1d36f1', '510e527fade682d1', '9b05688c2b3e6c1f',
    '1f83d9abfb41bd6b', '5be0cd19137e2179',
  ].map((x) => BigInt(`0x${x}`));

  /** The first 8 bytes of a digest of 8 bytes, low ones first, as BigInt. */
  function blake2b(data) {
    const h = BigUint64Array.from(IV);
    h[0] ^= 0x01010008n;
    const v = new BigUint64Array(16);
    const block = new Uint8Array(128);
    const m = new BigUint64Array(block.buffer);
    const turn = (x, by) => (x >> by) | (x << (64n - by));
    const mix = (a, b, c, d, x, y) => {
      v[a] = v[a] + v[b] + x;
      v[d] = turn(v[d] ^ v[a], 32n);
      v[c] = v[c] + v[d];
      v[b] = turn(v[b] ^ v[c], 24n);
      v[a] = v[a] + v[b] + y;
      v[d] = turn(v[d] ^ v[a], 16n);
      v[c] = v[c] + v[d];
      v[b] = turn(v[b] ^ v[c], 63n);
    };
    for (let at = 0; at === 0 || at < data.length; at += 128) {
      const part = data.subarray(at, at + 128);
      block.fill(0);
      block.set(part);
      v.set(h);
      v.set(IV, 8);
      v[12] ^= BigInt(at + part.length);
      if (at + 128 >= data.length) v[14] = ~v[14];
      for (const s of SIGMA) {
        for (let i = 0; i < 4; i++) {
          mix(i, i + 4, i + 8, i + 12, m[s[2 * i]], m[s[2 * i + 1]]);
        }
        for (let i = 0; i < 4; i++) {
          const [b, c, d] = [((i + 1) % 4) + 4, ((i + 2) % 4) + 8, ((i + 3) % 4) + 12];
          mix(i, b, c, d, m[s[2 * i + 8]], m[s[2 * i + 9]]);
        }
      }
      for (let i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
    }
    return h[0];
  }

  // ----------------------------------------------------------------- header

  function checkStart(data) {
    if (data.length < 9 || MAGIC.some((b, i) => data[i] !== b)) {
      throw new JczError('Not a jcompress file, or one that was sent as text.');
    }
    if (data[8] < 1 || data[8] > VERSION) {
      throw new JczError(
        `The file has version ${data[8]}; this reads up to ${VERSION}.`
      );
    }
  }

  function checkDigest(data) {
    const body = data.subarray(0, -8);
    const tail = data.slice(-8);
    const right = tail.length === 8 && blake2b(body) === new BigUint64Array(tail.buffer)[0];
    if (!right) {
      throw new JczError('Truncated or damaged file: its checksum is wrong.');
    }
  }

  function readHeader(data) {
    checkStart(data);
    const version = data[8];
    const isOld = version < 3;
    if (isOld) checkDigest(data);
    const reader = new Reader(data, 'file');
    reader.take(9);
    const twice = reader.varint();
    let header = reader.take(Math.floor(twice / 2));
    const sums = version > 3 ? reader.prefixed() : null;
    if (!isOld) {
      const sum = crc32(data.subarray(0, reader.at));
      if (sum !== uint32(reader.take(4))) {
        fail('file', 'the checksum of its header is wrong; is it truncated');
      }
    }
    if (twice % 2) {
      const inner = new Reader(header, 'header');
      const length = inner.varint();
      const small = inner.rest();
      if (length > 65536 + (isOld ? 64 : 16) * small.length) {
        fail('header', `${length} bytes in ${small.length}`);
      }
      header = inflate(small, length, 'header', version > 3 ? TYPICAL : undefined);
    }
    return parse(loads(header, 'header'), version, sums, reader);
  }

  function parse(header, version, sums, reader) {
    const isOld = version < 3;
    if (!Array.isArray(header) || header.length < 3 || header.length > 4) {
      fail('header', 'not tree, kinds, leaves, metadata');
    }
    const [tree, kinds, listed, metadata = new Map()] = header;
    if (!Array.isArray(kinds) || !kinds.every((k) => typeof k === 'string')) {
      fail('header', 'the kinds are not a list of names');
    }
    if (!(metadata instanceof Map)) fail('header', 'the metadata are not a map');
    if (!Array.isArray(listed) || (isOld && listed.length % 2)) {
      fail('header', 'the leaves are not a list');
    }
    let of = listed;
    if (isOld) {
      of = [];
      for (let i = 0; i < listed.length; i += 2) of.push(listed.slice(i, i + 2));
    }
    if (sums) putChecksums(of, sums);
    const entries = [];
    let at = reader.at;
    of.forEach((leaf, i) => {
      if (!isOld && isCount(leaf) && leaf < i) {
        entries.push(entries[leaf]);
        return;
      }
      const entry = { ...readEntry(leaf, kinds, isOld), number: i, start: at };
      entries.push(entry);
      at += entry.size;
    });
    checkEnd(isOld, entries, at, reader.data.length);
    const paths = [];
    walkTree(tree, '', entries.length, paths);
    if (new Set(paths.map((p) => p.number)).size !== entries.length) {
      fail('header', 'a record that no leaf has');
    }
    return { version, isOld, entries, paths, metadata };
  }

  /** Those of the records into their leaves, where version 3 has them. */
  function putChecksums(of, sums) {
    const own = of.filter(Array.isArray);
    if (sums.length !== 4 * own.length) fail('header', 'not a checksum a record');
    own.forEach((leaf, i) => {
      leaf.splice(2, 0, uint32(sums.subarray(4 * i, 4 * i + 4)));
    });
  }

  function readEntry(leaf, kinds, isOld) {
    const least = isOld ? 2 : 5;
    const fits =
      Array.isArray(leaf) && leaf.length >= least && leaf.every(isCount) &&
      leaf[0] < kinds.length;
    if (!fits) fail('header', 'a leaf that is none');
    const [k, size, crc, extra, dtype, ...shape] = leaf;
    if (isOld) return { kind: kinds[k], size };
    if (dtype > UNKNOWN || shape.length > 32 || shape.some((n) => n >= 2 ** 31)) {
      fail('header', `dtype ${dtype}, shape [${shape}]`);
    }
    const count = codes.product(shape) + extra;
    return { kind: kinds[k], size, crc, count, dtype: DTYPES[dtype] ?? null, shape };
  }

  function checkEnd(isOld, entries, end, length) {
    let wanted = end + 8;
    if (!isOld) {
      const total = entries.reduce((sum, e) => sum + e.count, 0) - 2 ** 20;
      wanted = end + Math.max(0, Math.ceil(total / 4096) - end);
    }
    if (wanted !== length) {
      throw new JczError(
        `Truncated, extended or damaged file: ${length} bytes, not ${wanted}.`
      );
    }
  }

  function walkTree(node, path, count, found) {
    const join = (key) => (path ? `${path}/${key}` : `${key}`);
    if (node === null) return;
    if (typeof node === 'number') {
      if (!(node >= 0 && node < count)) fail('header', `leaf ${node} of ${count}`);
      found.push({ path, number: node });
    } else if (node instanceof Map) {
      for (const [k, v] of node) walkTree(v, join(k), count, found);
    } else if (Array.isArray(node) && (node[0] === 0 || node[0] === 1)) {
      node.slice(1).forEach((v, i) => walkTree(v, join(i), count, found));
    } else {
      fail('header', 'a node of the tree of an unknown kind');
    }
  }

  /** Plain values as JSON has them. */
  function plain(value) {
    if (value instanceof Float) return value.value;
    if (value instanceof Map) {
      return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
    }
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    if (Array.isArray(value)) return value.map(plain);
    return typeof value === 'bigint' ? `${value}` : value;
  }

  // ------------------------------------------------------------------ files

  class File {
    constructor(data) {
      this.data = data;
      this.header = readHeader(data);
      const { version, entries, paths, metadata } = this.header;
      this.version = version;
      this.metadata = plain(metadata);
      const seen = new Set();
      this.leaves = paths.map(({ path, number }) => {
        const { kind, shape, dtype, size, number: first } = entries[number];
        const leaf = { path, kind, shape, dtype, size: seen.has(first) ? 0 : size };
        seen.add(first);
        return leaf;
      });
    }

    /** The bytes of a record, checked. */
    record(number) {
      const { start, size, crc } = this.header.entries[number];
      const record = this.data.subarray(start, start + size);
      if (!this.header.isOld && crc32(record) !== crc) {
        const { path } = this.header.paths.find((p) => p.number === number);
        fail(path || 'leaf', 'the checksum of its bytes is wrong');
      }
      return record;
    }

    /** The record with the centers that it has from an earlier one. */
    whole(number) {
      const { entries } = this.header;
      const record = this.record(number);
      const centers = centersOf(record, entries[number].kind);
      if (!centers || centers.length) return record;
      const reader = new Reader(record.subarray(2), 'Codebook leaf');
      const from = reader.varint();
      const other =
        from < number ? centersOf(this.record(from), entries[from].kind) : null;
      if (!other || !other.length) {
        fail('Codebook leaf', `its centers are said to be in record ${from}`);
      }
      return joined([record.subarray(0, 1), varint(other.length), other, reader.rest()]);
    }

    /** The encoded leaf of a number in `leaves`: `{kind, fields}`. */
    read(index) {
      const { number } = this.header.paths[index];
      const { kind, count, shape = null } = this.header.entries[number];
      const allowed = this.header.isOld
        ? 4096 * this.data.length + 2 ** 22
        : count;
      return this.named(index, () =>
        streams.atMost(allowed, () => leaves.readLeaf(this.whole(number), kind, shape))
      );
    }

    /** The array of a leaf: `{dtype, shape, words}`. */
    decode(index) {
      const leaf = this.read(index);
      const { path, shape, dtype } = this.leaves[index];
      const array = this.named(index, () => {
        if (shape && codes.product(shape) > 2 ** 31) fail('leaf', 'it is too large');
        return decode.decode(leaf);
      });
      const same = !shape || `${array.shape}` === `${shape}`;
      if (leaf.kind === 'Key') return array; // its words, an axis more
      if (!same || (dtype && array.dtype !== dtype)) {
        fail(path || 'leaf', `it is ${array.dtype}[${array.shape}], not as stated`);
      }
      return array;
    }

    named(index, f) {
      try {
        return f();
      } catch (e) {
        if (e instanceof JczError) e.message = `${this.leaves[index].path}: ${e.message}`;
        throw e;
      }
    }
  }

  /** The centers of a record, empty if another has them; null of other kinds. */
  function centersOf(record, kind) {
    if (kind !== 'Codebook' || ![2, 3, 8].includes(record[0])) return null;
    return new Reader(record.subarray(1), 'Codebook leaf').prefixed();
  }

  function varint(value) {
    const out = [];
    for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
    return [...out, value];
  }

  function joined(parts) {
    const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  return {
    JczError,
    crc32,
    isDecoded: decode.isDecoded,
    itemSize,
    numbers: leaves.numbers,
    open: (bytes) => new File(bytes),
  };
});
