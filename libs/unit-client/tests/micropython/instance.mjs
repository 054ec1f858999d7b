// What run.mjs and cuts.mjs share: a board made of the real MicroPython interpreter (its WebAssembly port: 32-bit
// pointers, as on a board), and the instance at the other end of its socket, a third implementation of the protocol.
// What a board has and the port lacks, AES, sockets, random bytes and `machine`, comes from `host`, by the modules in
// board/.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadMicroPython } from '@micropython/micropython-webassembly-pyscript/micropython.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
export const libs = path.join(here, '..', '..', '..');
export const BOARD = path.join(here, 'board');
export const UNIT = '0190163d-8694-739b-aea5-966c26f8ad91';
const KEY = crypto.randomBytes(32);
export const ENV = JSON.stringify({
  PEPEUNIT_URL: 'http://10.0.0.2:8081/p', PEPEUNIT_TOKEN: 'a.b.c', SYNC_ENCRYPT_KEY: KEY.toString('base64'),
});

function aes(decrypt, key, iv, data) {
  const cipher = (decrypt ? crypto.createDecipheriv : crypto.createCipheriv)('aes-256-cbc', key, iv).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}
const hmac = (key, ...parts) => parts.reduce((h, p) => h.update(p), crypto.createHmac('sha256', key)).digest();
const subkey = (label) => hmac(KEY, `pepeunit v1 ${label}\x01`);

export class Instance {
  // `offer` is the member `update` of answers; `versions` are files by commit and path, Buffers.
  constructor({ inputs = {}, offer = null, versions = {}, mark = 0 }) {
    Object.assign(this, { inputs, offer, versions, mark, markTag: null, runs: null, stored: [], reports: [] });
  }

  // The same as this one is now; what happens to the copy does not happen to this.
  copy() {
    return Object.assign(new Instance({}), this, { stored: [...this.stored], reports: [...this.reports] });
  }

  exchange(sequence, tag, request) {
    if (sequence !== 0 && sequence <= this.mark) {
      const accepted = sequence === this.mark && tag.equals(this.markTag);
      return { error: 'sequence', next: this.mark + 1, accepted };
    }
    if (sequence !== 0) {
      this.mark = sequence;
      this.markTag = tag;
      this.runs = request.unit_state.commit ?? this.runs;
      this.stored.push(...request.output_variables.map((r) => r.values));
      if (request.update) this.take(request.update);
    }
    const world = {
      world_state: { utc: '2026-11-23T15:04:05Z', unix_ms: 1795446245000 }, input_variables: this.inputs,
    };
    if (this.offer && this.offer.commit !== this.runs) world.update = this.offer;
    return sequence === 0 ? { ...world, next: this.mark + 1 } : world;
  }

  take(report) {
    this.reports.push(report);
    const ended = ['failed', 'rolled_back'].includes(report.state);
    if (ended && report.commit === this.offer?.commit && report.attempt === this.offer.attempt) this.offer = null;
  }

  // An object is sent in an envelope of kind 4, bytes in one of kind 5.
  update(question) {
    if (question.commit !== this.offer?.commit) return { error: 'version', ...this.offer };
    const files = this.versions[question.commit];
    if (question.ask === 'file') {
      return files[question.path].subarray(question.offset, question.offset + question.length);
    }
    const old = this.versions[question.have] ?? {};
    const names = [...new Set([...Object.keys(files), ...Object.keys(old)])].sort();
    const same = (name) => files[name] && old[name] && files[name].equals(old[name]);
    const lines = names.filter((name) => !same(name)).map((name) => (files[name]
      ? { path: name, size: files[name].length, sha256: crypto.createHash('sha256').update(files[name]).digest('hex') }
      : { path: name, delete: true }));
    const page = { commit: question.commit, count: lines.length, from: question.from, files: lines.slice(question.from) };
    page.bytes = lines.reduce((sum, line) => sum + (line.size ?? 0), 0);
    while (JSON.stringify(page).length > question.max_answer_bytes) {
      page.files.pop();
      page.next = page.from + page.files.length;
    }
    return page;
  }

  // The whole HTTP answer to a whole HTTP request.
  answerTo(request) {
    const end = request.indexOf('\r\n\r\n');
    const head = request.subarray(0, end).toString();
    const body = request.subarray(end + 4);
    const target = head.match(/^POST \/p\/v1\/(exchange|update) HTTP\/1.1\r\n/)?.[1];
    if (!target || !head.includes('Authorization: Bearer a.b.c\r\n')) throw new Error('bad request: ' + head);
    const kind = target === 'update' ? 3 : 1;
    if (!body.subarray(0, 4).equals(Buffer.from([0x50, 0x55, 1, kind]))) throw new Error('another kind is due to ' + target);
    const tag = body.subarray(-32);
    if (!hmac(subkey('request authenticate'), body.subarray(0, -32)).equals(tag)) throw new Error('bad tag');
    const padded = aes(true, subkey('request encrypt'), body.subarray(28, 44), body.subarray(44, -32));
    const content = JSON.parse(padded.subarray(0, -padded.at(-1)).toString());
    const sequence = Number(body.readBigUInt64BE(20));
    if (kind === 3 && sequence !== 0) throw new Error('an update request has a sequence');
    const answer = kind === 3 ? this.update(content) : this.exchange(sequence, tag, content);

    const text = Buffer.isBuffer(answer) ? answer : Buffer.from(JSON.stringify(answer));
    const pad = 16 - (text.length % 16);
    const header = Buffer.concat([Buffer.from([0x50, 0x55, 1, kind === 1 ? 2 : text === answer ? 5 : 4]), body.subarray(4, 28)]);
    const iv = crypto.randomBytes(16);
    const sealed = Buffer.concat([header, iv, aes(false, subkey('answer encrypt'), iv, Buffer.concat([text, Buffer.alloc(pad, pad)]))]);
    const signature = hmac(subkey('answer authenticate'), sealed, tag);
    return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${sealed.length + 32}\r\n\r\n`), sealed, signature]);
  }
}

const hex = (text) => Buffer.from(text, 'hex');

// What the modules of board/ call. A connection's answer comes from `answer(request)`; `refuses()` says whether a
// connection is refused. An exception in here would be one for the program on the board, which may swallow it: it is kept
// in `host.problem` too.
export function hostOf(answer, refuses = () => false) {
  const connections = [];
  const host = {
    problem: null,
    random: (count) => crypto.randomBytes(count).toString('hex'),
    aes: (decrypt, key, iv, data) => aes(decrypt, hex(key), hex(iv), hex(data)).toString('hex'),
    connect(name, port) {
      if (name !== '10.0.0.2' || port !== 8081) throw new Error('wrong address');
      return refuses() ? 0 : connections.push({ sent: Buffer.alloc(0), answer: null });
    },
    send(number, data) { const c = connections[number - 1]; c.sent = Buffer.concat([c.sent, hex(data)]); },
    receive(number, count) {
      const c = connections[number - 1];
      if (!c.answer) {
        c.answer = answer(c.sent);
        c.sent = Buffer.alloc(0);
      }
      const piece = c.answer.subarray(0, Math.min(count, 100));  // in small pieces
      c.answer = c.answer.length > piece.length ? c.answer.subarray(piece.length) : null;
      return piece.toString('hex');
    },
  };
  for (const name of Object.keys(host).filter((key) => typeof host[key] === 'function')) {
    const does = host[name];
    host[name] = (...values) => {
      try {
        return does(...values);
      } catch (e) {
        host.problem ??= e;
        throw e;
      }
    };
  }
  return host;
}

// A board that was just switched on, with the modules of board/ beside the interpreter's own.
export async function boardOf(host, heapsize, print) {
  const mp = await loadMicroPython({ heapsize, linebuffer: true, stdout: print });
  mp.registerJsModule('host', host);
  mp.FS.mkdir('/board');
  for (const name of fs.readdirSync(BOARD)) mp.FS.writeFile('/board/' + name, fs.readFileSync(path.join(BOARD, name)));
  return mp;
}
