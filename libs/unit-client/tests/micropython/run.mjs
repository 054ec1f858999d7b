// Runs board/check.py and ../../pepeunit.py, unchanged, in the real MicroPython interpreter (its WebAssembly port:
// 32-bit pointers, as on a board). What a board has and the port lacks, AES, sockets and random bytes, comes from here,
// and so does the instance at the other end of the socket: a third implementation of the protocol.
//   node run.mjs source|mpy|pieces   the client as it is, compiled by mpy-cross, or in pieces as main.py of a standard
//                                    unit loads it where the heap is small
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { loadMicroPython } from '@micropython/micropython-webassembly-pyscript/micropython.mjs';

const require = createRequire(import.meta.url);
const here = path.dirname(fileURLToPath(import.meta.url));
const libs = path.join(here, '..', '..', '..');
const UNIT = '0190163d-8694-739b-aea5-966c26f8ad91';
const KEY = crypto.randomBytes(32);

function aes(decrypt, key, iv, data) {
  const cipher = (decrypt ? crypto.createDecipheriv : crypto.createCipheriv)('aes-256-cbc', key, iv).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}
const hmac = (key, ...parts) => parts.reduce((h, p) => h.update(p), crypto.createHmac('sha256', key)).digest();
const subkey = (label) => hmac(KEY, `pepeunit v1 ${label}\x01`);

const instance = { mark: 6, markTag: null, stored: [], fault: '' };

function exchange(sequence, tag, text) {
  const world = {
    world_state: { utc: '2026-11-23T15:04:05Z', unix_ms: 1795446245000 },
    input_variables: { target: 22.5, text: 'тепло' }, update: { commit: 'd'.repeat(40) },
  };
  if (sequence === 0) return { ...world, next: instance.mark + 1 };
  if (sequence <= instance.mark) {
    const accepted = sequence === instance.mark && tag.equals(instance.markTag);
    return { error: 'sequence', next: instance.mark + 1, accepted };
  }
  const request = JSON.parse(text);
  if (request.unit_state.commit !== 'c'.repeat(40)) throw new Error('no commit');
  instance.mark = sequence;
  instance.markTag = tag;
  instance.stored.push(...request.output_variables.map((r) => r.values));
  return world;
}

function answerTo(request) {
  const end = request.indexOf('\r\n\r\n');
  const head = request.subarray(0, end).toString();
  const body = request.subarray(end + 4);
  if (!head.startsWith('POST /p/v1/exchange HTTP/1.1\r\n') || !head.includes('Authorization: Bearer a.b.c\r\n')) {
    throw new Error('bad request: ' + head);
  }
  const tag = body.subarray(-32);
  if (!hmac(subkey('request authenticate'), body.subarray(0, -32)).equals(tag)) throw new Error('bad tag');
  const padded = aes(true, subkey('request encrypt'), body.subarray(28, 44), body.subarray(44, -32));
  const answer = exchange(Number(body.readBigUInt64BE(20)), tag, padded.subarray(0, -padded.at(-1)).toString());
  if (instance.fault === 'lose the answer') return Buffer.alloc(0);

  const text = Buffer.from(JSON.stringify(answer));
  const pad = 16 - (text.length % 16);
  const header = Buffer.concat([Buffer.from('PU\x01\x02'), body.subarray(4, 28)]);
  const iv = crypto.randomBytes(16);
  const sealed = Buffer.concat([header, iv, aes(false, subkey('answer encrypt'), iv, Buffer.concat([text, Buffer.alloc(pad, pad)]))]);
  const signature = hmac(subkey('answer authenticate'), sealed, tag);
  if (instance.fault === 'change the answer') sealed[60] ^= 1;
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${sealed.length + 32}\r\n\r\n`), sealed, signature]);
}

const connections = [];
const hex = (text) => Buffer.from(text, 'hex');
const host = {
  random: (count) => crypto.randomBytes(count).toString('hex'),
  aes: (decrypt, key, iv, data) => aes(decrypt, hex(key), hex(iv), hex(data)).toString('hex'),
  fault: (what) => { instance.fault = what; instance.times = what === 'lose the answer' ? 2 : what === 'change the answer' ? 1 : 99; },
  connect(name, port) {
    if (name !== '10.0.0.2' || port !== 8081) throw new Error('wrong address');
    if (instance.fault === 'refuse the connection') { instance.fault = ''; return 0; }
    return connections.push({ sent: Buffer.alloc(0), answer: null });
  },
  send(number, data) { const c = connections[number - 1]; c.sent = Buffer.concat([c.sent, hex(data)]); },
  receive(number, count) {
    const c = connections[number - 1];
    if (!c.answer) {
      c.answer = answerTo(c.sent);
      c.sent = Buffer.alloc(0);
      if (--instance.times === 0) instance.fault = '';
    }
    const piece = c.answer.subarray(0, Math.min(count, 100));  // in small pieces
    c.answer = c.answer.length > piece.length ? c.answer.subarray(piece.length) : null;
    return piece.toString('hex');
  },
};

async function compiled(source) {
  const { compile } = require('@pybricks/mpy-cross-v6');
  const wasm = path.join(path.dirname(require.resolve('@pybricks/mpy-cross-v6')), 'mpy-cross-v6.wasm');
  const url = 'data:application/wasm;base64,' + fs.readFileSync(wasm).toString('base64');
  const result = await compile('pepeunit.py', source, undefined, url);
  if (result.status !== 0) throw new Error(result.err.join('\n'));
  return result.mpy;
}

const mp = await loadMicroPython({ heapsize: 38 * 1024, linebuffer: true, stdout: (line) => console.log(line) });
mp.registerJsModule('host', host);
const put = (name, content) => mp.FS.writeFile('/' + name, content);
mp.FS.chdir('/');
for (const name of ['cryptolib.py', 'socket.py']) put(name, fs.readFileSync(path.join(here, 'board', name)));
const source = fs.readFileSync(path.join(libs, 'unit-client', 'pepeunit.py'), 'utf8');
if (process.argv[2] === 'mpy') {
  const mpy = await compiled(source);
  console.log(`pepeunit.mpy: ${mpy.length} bytes`);
  put('pepeunit.mpy', mpy);
} else {
  put('pepeunit.py', source);
}
put('vectors.json', fs.readFileSync(path.join(libs, 'envelope', 'vectors.json')));
put('env.json', JSON.stringify({ PEPEUNIT_URL: 'http://10.0.0.2:8081/p', PEPEUNIT_TOKEN: 'a.b.c', SYNC_ENCRYPT_KEY: KEY.toString('base64') }));
put('schema.json', JSON.stringify({
  input_variables: { target: { default: 20 } }, output_variables: ['t', 'h'], pepeunit: { unit: UNIT, commit: 'c'.repeat(40) },
}));
// This port collects garbage only between two calls from here, so that is where the heap in use is read.
function heap() {
  mp.runPython('import gc\ngc.collect()');
  mp.runPython('heap_in_use = gc.mem_alloc()');
  return mp.globals.get('heap_in_use');
}
mp.runPython('import sys\nsys.path[:0] = ["/"]\nimport binascii, hashlib, json, os, struct, time, host, cryptolib, socket');
const empty = heap();
if (process.argv[2] === 'pieces') {
  // A board's MemoryError cannot be had here, where the heap grows: it is raised in the place of the import.
  const main = fs.readFileSync(path.join(libs, '..', 'deploy', 'standard-units', 'host-monitor', 'main.py'), 'utf8');
  const loader = main.match(/^try:\n    from pepeunit import Unit\n(except MemoryError:[\s\S]*?)\n\n/m)[1];
  mp.runPython('import gc\n__file__ = "main.py"\ntry:\n    raise MemoryError\n' + loader);
  mp.runPython('class pepeunit: pass\nfor name in list(globals()):\n    setattr(pepeunit, name, globals()[name])\nsys.modules["pepeunit"] = pepeunit');
} else {
  mp.runPython('import pepeunit');
}
const loaded = heap();
mp.runPython('unit = pepeunit.Unit()');
const ready = heap();
mp.runPython('for n in range(unit.max_queue): unit.put("t", n + 0.5)');
const full = heap();
mp.runPython('del unit');
console.log(`heap: ${loaded - empty} bytes for the module, ${ready - loaded} for a unit, ${full - ready} for a full queue`);
mp.runPython(fs.readFileSync(path.join(here, 'board', 'check.py'), 'utf8'));

const kept = Array.from({ length: 24 }, (_, n) => ({ t: 76 + n }));
const expected = [{ t: 21.5, h: 40 }, { t: 1.5 }, { t: 2.5 }, { t: 3.5 }, { t: 4.5 }, ...kept];
if (JSON.stringify(instance.stored) !== JSON.stringify(expected)) throw new Error('stored ' + JSON.stringify(instance.stored));
console.log('stored as expected');
