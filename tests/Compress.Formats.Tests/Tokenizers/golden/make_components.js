// Writes components.json: small tokenizers that differ in one component each, with what Hugging Face's own library
// (npm install tokenizers@0.23.2, the Rust code with its Node binding) makes of a fixed list of texts.
// Usage: node make_components.js
const { Tokenizer } = require('tokenizers');
const fs = require('fs');

const texts = [
  '', ' ', '  ', '\n', 'Hello world', ' Hello  world ', "I'm sure they've said it's John's, WE'LL see", 'The theory of the thing, and then the other.',
  'a1b22c333 4444 55555', '3.14 1,000 ½ ² Ⅷ ١٢', 'tab\tand\nnewline\r\n\r\n  indent', 'trailing   ', 'café cafe\u0301 Ångström ﬁne ｆｕｌｌ ①',
  'ÀÉÎ ß ẞ İI ı Σς', '你好，世界 日本語', '각\u1100\u1161\u11a8', 'naïve — “quotes” … (brackets) [x] {y} <z>', '😀👩🏾‍💻 🇫🇷 x\u200dy',
  'a\u00a0b\u2003c\u3000d\u200be\u0085f', 'x\u0000y\u0007z\ufffd\ufeff', 'snake_case camelCase kebab-case', '<mask>the<mask> <mask> the',
  'the mask, unmasked: masked masks, unmasked masks, (masked masks) masked masks_', '<s>the</s>', '<unk> <0x41>', '▁the▁▁theory', '##the ##', 'the the\nthe', "don't do not can 't . , ! ?",
  'hello HELLO HeLLo', 'q\u0307\u0323 q\u0323\u0307', 'aaaaaaaaaaaaaaaaaaaaaaaaa', 'zzz 𠀀𝐀𐐀',
];
const corpus = texts.join(' ') + ' the theory then other thing and there hello world said sure see they them'.repeat(3);

// A small generator, so that the vocabularies are the same in every run (Park and Miller 1988).
let seed = 12345;
const random = n => (seed = seed * 48271 % 2147483647) % n;

function byteAlphabet() {
  const bytes = [], map = {};
  for (let b = 0; b < 256; b++) if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) bytes.push(b);
  let next = 256;
  for (let b = 0; b < 256; b++) map[b] = String.fromCharCode(bytes.includes(b) ? b : next++);
  return map;
}

// The textbook loop: the most frequent pair first, over the words given as lists of symbols.
function train(words, vocab, count) {
  const merges = [];
  for (let step = 0; step < count; step++) {
    const pairs = new Map();
    for (const w of words) for (let i = 0; i + 1 < w.length; i++) {
      const key = w[i] + ' ' + w[i + 1];
      pairs.set(key, (pairs.get(key) || 0) + 1);
    }
    let best = null;
    for (const [key, n] of pairs) if (!best || n > pairs.get(best) || (n === pairs.get(best) && key < best)) best = key;
    if (!best) break;
    const [a, b] = best.split(' ');
    merges.push([a, b]);
    if (!(a + b in vocab)) vocab[a + b] = Object.keys(vocab).length;
    for (const w of words) for (let i = 0; i + 1 < w.length; i++) if (w[i] === a && w[i + 1] === b) w.splice(i, 2, a + b);
  }
  return merges;
}

const shell = model => ({
  version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null,
  decoder: null, model,
});
const bpe = (vocab, merges, more) => ({
  type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
  byte_fallback: false, ignore_merges: false, vocab, merges, ...more,
});
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };

function byteBase() {
  const map = byteAlphabet(), vocab = {};
  Object.values(map).forEach((c, i) => vocab[c] = i);
  const words = (corpus.match(/ ?\S+|\s/g)).map(w => [...Buffer.from(w)].map(b => map[b]));
  return { ...shell(bpe(vocab, train(words, vocab, 150))), pre_tokenizer: byteLevel, decoder: byteLevel };
}

function characterBase(more = {}) {
  const vocab = {};
  const add = t => { if (!(t in vocab)) vocab[t] = Object.keys(vocab).length; };
  add('<unk>');
  for (let b = 0; b < 256; b++) add('<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>');
  for (const c of ' ▁abcdefghijklmnopqrstuvwxyzHWITE,.\'') add(c);
  const words = corpus.match(/ ?[a-z]+/g).map(w => [...w.replace(' ', '▁')]);
  return shell(bpe(vocab, train(words, vocab, 120), { unk_token: '<unk>', ...more }));
}

function wordPieceBase() {
  const vocab = {};
  for (const t of ['[PAD]', '[UNK]', '[CLS]', '[SEP]']) vocab[t] = Object.keys(vocab).length;
  for (const w of corpus.match(/[\p{L}\p{M}\p{N}]+|[^\s]/gu)) {
    const letters = [...w];
    for (let cut = 1; cut <= letters.length; cut += 1 + random(2)) {
      for (const piece of [letters.slice(0, cut).join(''), '##' + letters.slice(cut).join('')]) {
        if (piece.length <= 2 || random(3) > 0) vocab[piece] ??= Object.keys(vocab).length;
      }
    }
  }
  delete vocab['##'];
  Object.keys(vocab).forEach((k, i) => vocab[k] = i);
  return {
    ...shell({ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 20, vocab }),
    pre_tokenizer: { type: 'BertPreTokenizer' }, decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  };
}

function unigramBase() {
  const vocab = [['<unk>', 0]];
  const seen = new Set(['<unk>']);
  const add = t => { if (!seen.has(t)) { seen.add(t); vocab.push([t, -2 - random(900) / 100 + [...t].length * 0.7]); } };
  for (const c of '▁abcdefghijklmnopqrstuvwxyz,.HI\'') add(c);
  for (const w of corpus.match(/[a-zH']+/g)) for (let n = 0; n < 4; n++) {
    const from = random(w.length), piece = w.slice(from, from + 2 + random(5));
    add(from === 0 ? '▁' + piece : piece);
  }
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
  return { ...shell({ type: 'Unigram', unk_id: 0, byte_fallback: false, vocab }), pre_tokenizer: metaspace, decoder: metaspace };
}

const bases = { bytes: byteBase(), characters: characterBase(), wordpiece: wordPieceBase(), unigram: unigramBase() };
const cases = [];
const variant = (name, base, change) => cases.push({ name, base, change });
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const split = (Regex, behavior, invert = false) => ({ type: 'Split', pattern: { Regex }, behavior, invert });

variant('as it is', 'bytes', {});
for (const behavior of ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']) {
  variant('split ' + behavior, 'bytes', { pre_tokenizer: sequence(split('[aeiou]|\\s', behavior), byteLevel) });
  variant('split inverted ' + behavior, 'bytes', { pre_tokenizer: sequence(split('[aeiou]|\\s', behavior, true), byteLevel) });
  variant('punctuation ' + behavior, 'bytes', { pre_tokenizer: sequence({ type: 'Punctuation', behavior }, byteLevel) });
}
variant('split by text', 'bytes', {
  pre_tokenizer: sequence({ type: 'Split', pattern: { String: 'the' }, behavior: 'MergedWithNext', invert: false }, byteLevel),
});
variant('llama 3', 'bytes', {
  pre_tokenizer: sequence(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", 'Isolated'), byteLevel),
});
variant('gpt 2', 'bytes', { pre_tokenizer: { ...byteLevel, use_regex: true } });
variant('gpt 2 with prefix space', 'bytes', { pre_tokenizer: { ...byteLevel, use_regex: true, add_prefix_space: true } });
variant('digits alone', 'bytes', { pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel) });
variant('digits together', 'bytes', { pre_tokenizer: sequence({ type: 'Digits', individual_digits: false }, byteLevel) });
for (const type of ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'Nmt']) variant(type, 'bytes', { normalizer: { type } });
variant('strip left', 'bytes', { normalizer: { type: 'Strip', strip_left: true, strip_right: false } });
variant('strip right', 'bytes', { normalizer: { type: 'Strip', strip_left: false, strip_right: true } });
variant('normalizers', 'bytes', {
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Prepend', prepend: '_' }],
  },
});
variant('replace text', 'bytes', { normalizer: { type: 'Replace', pattern: { String: 'the' }, content: '$0-' } });
variant('byte level normalizer', 'bytes', { normalizer: { type: 'ByteLevel' }, pre_tokenizer: null });
for (const ignore_merges of [true, false]) variant('ignore merges ' + ignore_merges, 'bytes', {
  pre_tokenizer: { ...byteLevel, use_regex: true }, model: { ...bases.bytes.model, ignore_merges, merges: bases.bytes.model.merges.slice(0, 40) },
});
for (const normalized of [false, true]) {
  const n = Object.keys(bases.bytes.model.vocab).length;
  const added = (id, content, more) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized, special: false, ...more });
  variant('added tokens ' + (normalized ? 'normalized' : 'raw'), 'bytes', {
    added_tokens: [
      added(n, '<mask>', { lstrip: true, special: true }), added(n + 1, '</s>', { rstrip: true, special: true }),
      added(n + 2, 'masked masks', { single_word: true }), added(n + 3, 'theory '), added(n + 4, '<s>', { lstrip: true, rstrip: true }),
    ],
    post_processor: {
      type: 'Sequence',
      processors: [byteLevel, {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [n + 4], tokens: ['<s>'] }, '</s>': { id: '</s>', ids: [n + 1], tokens: ['</s>'] } },
      }],
    },
  });
}

const fallback = { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] };
const llama = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] };
variant('byte fallback', 'characters', { normalizer: llama, decoder: fallback, model: { ...bases.characters.model, byte_fallback: true, fuse_unk: true } });
variant('unknown', 'characters', { normalizer: llama });
variant('unknown fused', 'characters', { normalizer: llama, model: { ...bases.characters.model, fuse_unk: true } });
variant('no unknown', 'characters', { model: { ...bases.characters.model, unk_token: null } });
for (const prepend_scheme of ['always', 'first', 'never']) for (const splits of [true, false]) {
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme, split: splits };
  variant(`metaspace ${prepend_scheme} ${splits}`, 'characters', {
    pre_tokenizer: metaspace, decoder: metaspace,
    added_tokens: [{ id: 0, content: '<unk>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }],
  });
}
variant('word suffix', 'characters', {
  pre_tokenizer: { type: 'Whitespace' }, decoder: { type: 'BPEDecoder', suffix: '</w>' },
  model: bpe(
    Object.fromEntries(['<unk>', 't', 'h', 'e', 'e</w>', 't</w>', 'th', 'the</w>', 'he', 'a', 's', 'k', 'm', 'k</w>'].map((t, i) => [t, i])),
    [['t', 'h'], ['th', 'e</w>'], ['h', 'e']], { unk_token: '<unk>', end_of_word_suffix: '</w>' }),
});
variant('word prefix', 'characters', {
  pre_tokenizer: { type: 'WhitespaceSplit' }, decoder: { type: 'WordPiece', prefix: '@@', cleanup: false },
  model: bpe(
    Object.fromEntries(['<unk>', 't', '@@h', '@@e', '@@t', 'th', 'the', '@@he', 'a', '@@s', '@@k'].map((t, i) => [t, i])),
    [['t', '@@h'], ['th', '@@e'], ['@@h', '@@e']], { unk_token: '<unk>', continuing_subword_prefix: '@@' }),
});
variant('word level', 'characters', {
  pre_tokenizer: { type: 'Whitespace' },
  model: { type: 'WordLevel', vocab: { '<unk>': 0, the: 1, theory: 2, ',': 3, x: 4, mask: 5 }, unk_token: '<unk>' },
});

for (const lowercase of [true, false]) for (const strip_accents of [true, false, null]) {
  variant(`bert ${lowercase} ${strip_accents}`, 'wordpiece', {
    normalizer: { type: 'BertNormalizer', clean_text: lowercase, handle_chinese_chars: strip_accents !== true, strip_accents, lowercase },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
  });
}
variant('without clean-up', 'wordpiece', { decoder: { type: 'WordPiece', prefix: '##', cleanup: false }, post_processor: { type: 'RobertaProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2], trim_offsets: true, add_prefix_space: false } });
for (const pre of [{ type: 'Whitespace' }, { type: 'WhitespaceSplit' }, { type: 'CharDelimiterSplit', delimiter: 'e' }]) variant(pre.type, 'wordpiece', { pre_tokenizer: pre });

variant('unigram', 'unigram', {});
variant('unigram first', 'unigram', { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false } });
const bytes = [...Array(256).keys()].map(b => ['<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>', -30]);
variant('unigram bytes', 'unigram', {
  decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, bases.unigram.decoder] },
  model: { ...bases.unigram.model, byte_fallback: true, vocab: [...bases.unigram.model.vocab, ...bytes] },
});

(async () => {
  for (const item of cases) {
    const tokenizer = Tokenizer.fromString(JSON.stringify({ ...bases[item.base], ...item.change }));
    // The library gives a token of the vocabulary its number there, and later ones other numbers than the file says.
    for (const t of item.change.added_tokens || []) if ((bases[item.base].model.vocab[t.content] ?? t.id) !== t.id) throw new Error(t.content);
    item.results = [];
    for (const text of texts) {
      const ids = (await tokenizer.encode(text, null, { addSpecialTokens: true })).getIds();
      item.results.push([ids, ids.length ? await tokenizer.decode(ids, true) : '']);
    }
  }
  const lines = cases.map(c => JSON.stringify(c));
  fs.writeFileSync('components.json', `{"texts":${JSON.stringify(texts)},\n"bases":${JSON.stringify(bases)},\n"cases":[\n${lines.join(',\n')}\n]}\n`);
})();
