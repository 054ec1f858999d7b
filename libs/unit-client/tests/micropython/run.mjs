// Runs board/check.py and ../../pepeunit.py, unchanged, in the real MicroPython interpreter.
//   node run.mjs source|mpy|pieces   the client as it is, compiled by mpy-cross, or in pieces as main.py of a standard
//                                    unit loads it where the heap is small
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { BOARD, boardOf, ENV, hostOf, Instance, libs, UNIT } from './instance.mjs';

const require = createRequire(import.meta.url);
const COMMIT = 'c'.repeat(40);
const instance = new Instance({ inputs: { target: 22.5, text: 'тепло' }, offer: { commit: 'd'.repeat(40) }, mark: 6 });

// What goes wrong with the next requests, as check.py asks for it.
const fault = { what: '', times: 0 };

function answerTo(request) {
  const answer = instance.answerTo(request);
  const now = fault.what;
  if (--fault.times === 0) fault.what = '';
  if (now === 'lose the answer') return Buffer.alloc(0);
  if (now === 'change the answer') answer[answer.indexOf('\r\n\r\n') + 4 + 60] ^= 1;
  return answer;
}

const host = hostOf(answerTo, () => {
  const refused = fault.what === 'refuse the connection';
  if (refused) fault.what = '';
  return refused;
});
host.fault = (what) => { fault.what = what; fault.times = { 'lose the answer': 2, 'change the answer': 1 }[what] ?? 99; };

async function compiled(source) {
  const { compile } = require('@pybricks/mpy-cross-v6');
  const wasm = path.join(path.dirname(require.resolve('@pybricks/mpy-cross-v6')), 'mpy-cross-v6.wasm');
  const url = 'data:application/wasm;base64,' + fs.readFileSync(wasm).toString('base64');
  const result = await compile('pepeunit.py', source, undefined, url);
  if (result.status !== 0) throw new Error(result.err.join('\n'));
  return result.mpy;
}

const mp = await boardOf(host, 38 * 1024, (line) => console.log(line));
const put = (name, content) => mp.FS.writeFile('/' + name, content);
mp.FS.chdir('/');
const source = fs.readFileSync(path.join(libs, 'unit-client', 'pepeunit.py'), 'utf8');
if (process.argv[2] === 'mpy') {
  const mpy = await compiled(source);
  console.log(`pepeunit.mpy: ${mpy.length} bytes`);
  put('pepeunit.mpy', mpy);
} else {
  put('pepeunit.py', source);
}
put('vectors.json', fs.readFileSync(path.join(libs, 'envelope', 'vectors.json')));
put('env.json', ENV);
put('schema.json', JSON.stringify({
  input_variables: { target: { default: 20 } }, output_variables: ['t', 'h'], pepeunit: { unit: UNIT, commit: COMMIT },
}));
// This port collects garbage only between two calls from here, so that is where the heap in use is read.
function heap() {
  mp.runPython('import gc\ngc.collect()');
  mp.runPython('heap_in_use = gc.mem_alloc()');
  return mp.globals.get('heap_in_use');
}
mp.runPython('import sys\nsys.path[:0] = ["/", "/board"]\nimport binascii, hashlib, json, os, struct, time, host, cryptolib, socket');
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
mp.runPython(fs.readFileSync(path.join(BOARD, 'check.py'), 'utf8'));

const kept = Array.from({ length: 24 }, (_, n) => ({ t: 76 + n }));
const expected = [{ t: 21.5, h: 40 }, { t: 1.5 }, { t: 2.5 }, { t: 3.5 }, { t: 4.5 }, ...kept];
if (JSON.stringify(instance.stored) !== JSON.stringify(expected)) throw new Error('stored ' + JSON.stringify(instance.stored));
if (instance.runs !== COMMIT) throw new Error('it says that it runs ' + instance.runs);
if (host.problem) throw host.problem;
console.log('stored as expected');
