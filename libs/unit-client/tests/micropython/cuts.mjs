// Cuts the power of a device in the real MicroPython interpreter at every change that an update makes to its file system,
// one after the other, and starts it again on what was left. Every start must find the old or the new version, whole, and
// in the end it is the one that it should be.
//   node cuts.mjs update|rollback [--fat] [--guard FILE]
// rollback: the new version raises at its start. --fat: renaming does not replace. --guard: instead of pepeunit_guard.py,
// to see a wrong one be found.
import fs from 'node:fs';
import path from 'node:path';
import { boardOf, ENV, hostOf, Instance, libs, UNIT } from './instance.mjs';

const [, , what, ...options] = process.argv;
const FAT = options.includes('--fat');
const ROLLBACK = what === 'rollback';
const [OLD, NEW] = ['a', 'b'].map((letter) => letter.repeat(40));
const client = (name) => fs.readFileSync(path.join(libs, 'unit-client', name));
const GUARD = options.includes('--guard') ? fs.readFileSync(options[options.indexOf('--guard') + 1]) : client('pepeunit_guard.py');

// Files that are not replaced over the air, and the two versions of those that are. Folders come and go with files.
const FIXED = { 'env.json': Buffer.from(ENV), 'boot.py': client('boot.py'), 'pepeunit_guard.py': GUARD };
function version(commit, files) {
  const schema = { input_variables: {}, output_variables: ['t'], pepeunit: { commit, unit: UNIT } };
  const texts = { 'schema.json': JSON.stringify(schema), 'lib/same.py': 'same', 'twice.py': 'twice', ...files };
  const all = Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]);
  return { ...Object.fromEntries(all), 'pepeunit.py': client('pepeunit.py'), 'pepeunit_update.py': client('pepeunit_update.py') };
}
const FIRST = version(OLD, { 'main.py': 'import device\ndevice.work()\n', 'lib/changed.py': 'old', 'old/gone.py': 'gone', 'turned/in/a': 'folder' });
const SECOND = version(NEW, {
  'main.py': ROLLBACK ? "raise ValueError('no such sensor')\n" : 'import device\ndevice.work()  # the second\n',
  'lib/changed.py': 'new', 'added/deep/er.py': 'twice', turned: 'file', 'second.py': 'twice', 'big.py': '0123456789'.repeat(150),
});

// Notes what would be left if the power went: before each change of the file system, and in the middle of each write.
class Power {
  constructor(instance) {
    Object.assign(this, { instance, moments: [], inside: false });
  }

  operation(change) {
    if (this.instance) this.moments.push({ change, flash: read(this.FS, '/flash'), instance: this.instance.copy() });
  }

  watch(FS) {
    this.FS = FS;
    for (const name of ['mknod', 'mkdir', 'rmdir', 'unlink', 'rename', 'truncate']) {
      const real = FS[name].bind(FS);
      FS[name] = (...values) => {
        if (this.inside) return real(...values);  // FS.mkdir calls FS.mknod
        this.operation(`${name} ${values.filter((value) => typeof value === 'string').join(' ')}`);
        if (FAT && name === 'rename' && FS.analyzePath(values[1]).exists) throw new FS.ErrnoError(20);  // EEXIST
        this.inside = true;
        try {
          return real(...values);
        } finally {
          this.inside = false;
        }
      };
    }
    const write = FS.write.bind(FS);
    FS.write = (stream, buffer, offset, length, position, ...rest) => {
      if (!stream.path.startsWith('/flash/')) return write(stream, buffer, offset, length, position, ...rest);
      const half = length >> 1;
      this.operation(`write nothing of ${stream.path}`);
      if (half) write(stream, buffer, offset, half, position, ...rest);
      this.operation(`write the half of ${stream.path}`);
      return half + write(stream, buffer, offset + half, length - half, position && position + half, ...rest);
    };
  }
}

// A flash is the content by path, null for a folder.
function read(FS, folder, under = '', flash = {}) {
  for (const name of FS.readdir(folder).filter((each) => each !== '.' && each !== '..')) {
    if (FS.isDir(FS.stat(`${folder}/${name}`).mode)) {
      flash[under + name] = null;
      read(FS, `${folder}/${name}`, `${under}${name}/`, flash);
    } else {
      flash[under + name] = Buffer.from(FS.readFile(`${folder}/${name}`));
    }
  }
  return flash;
}

function flashOf(files) {
  const flash = {};
  for (const [name, content] of Object.entries(files)) {
    for (let at = name.indexOf('/'); at > 0; at = name.indexOf('/', at + 1)) flash[name.slice(0, at)] ??= null;
    flash[name] = content;
  }
  return flash;
}

const same = (one, other) => Object.keys(one).length === Object.keys(other).length
  && Object.keys(one).every((name) => (one[name] === null ? other[name] === null : other[name] && one[name].equals(other[name])));
const program = (flash) => Object.fromEntries(Object.entries(flash).filter(([name]) => !name.startsWith('.pepeunit')));
const isVersion = (flash, files) => same(program(flash), flashOf({ ...files, ...FIXED }));

function fail(why, said = []) {
  throw new Error(`${why}\n${said.join('\n')}`);
}

// One start, up to its end: 'idle' or 'restart'.
async function start(flash, instance, power) {
  const said = [];
  let idle = false;
  const host = hostOf((request) => instance.answerTo(request));
  host.idle = () => { idle = true; };
  const mp = await boardOf(host, 1 << 20, (line) => said.push(line));
  mp.FS.mkdir('/flash');
  for (const name of Object.keys(flash).sort()) {
    if (flash[name] === null) mp.FS.mkdir('/flash/' + name);
    else mp.FS.writeFile('/flash/' + name, flash[name]);
  }
  mp.FS.chdir('/flash');
  power.watch(mp.FS);
  // As boot.py does it, with a look in between at what the program will find.
  host.look = () => {
    const found = read(mp.FS, '/flash');
    if (!isVersion(found, FIRST) && !isVersion(found, SECOND)) fail('a start finds a mixture of two versions');
  };
  let ended = 'nothing';
  try {
    mp.runPython(`
import sys
sys.path.append('/board')
import builtins, host
real = builtins.__import__
def looking(name, *more):
    if name == 'main':
        host.look()
    return real(name, *more)
builtins.__import__ = looking
import boot
`);
  } catch (e) {
    // The guard ends in a reset, or in an interrupt, lest the board runs main.py once more.
    if (e.type === 'Reset') ended = 'restart';
    else if (e.type === 'KeyboardInterrupt' && idle) ended = 'idle';
    else fail(e.message, said);
  }
  if (host.problem) fail(host.problem.stack, said);
  if (ended === 'nothing') fail('a start came to no end', said);
  return { ended, flash: read(mp.FS, '/flash'), said };
}

// Starts it again and again, as a board does, until it has nothing to do, or only until its first restart.
async function run(flash, instance, power, until = 'idle') {
  for (let starts = 0; starts < 12; ++starts) {
    const now = await start(flash, instance, power);
    if (now.ended === until) return now;
    if (now.ended === 'idle') fail('nothing was done', now.said);
    flash = now.flash;
  }
  return fail('it restarts for ever');
}

function check(now, instance) {
  if (!isVersion(now.flash, ROLLBACK ? FIRST : SECOND)) fail('it ended on another version, or on none', now.said);
  const left = Object.keys(now.flash).filter((name) => name.startsWith('.pepeunit/'));
  if (left.join() !== '.pepeunit/state') fail('left behind: ' + left, now.said);
  if (instance.runs !== (ROLLBACK ? OLD : NEW)) fail('the instance takes it to run ' + instance.runs, now.said);
  const last = instance.reports.at(-1);
  if (last?.state !== (ROLLBACK ? 'rolled_back' : 'restarting')) fail('it was told ' + JSON.stringify(last), now.said);
}

// Goes on from a cut to the end; the cuts that are possible on the way.
async function goOn({ flash, instance }, before, noting = false) {
  const power = new Power(noting && instance);
  try {
    check(await run(flash, instance, power), instance);
  } catch (e) {
    e.message = `${before.map(({ change }) => `cut before "${change}": `).join('')}${e.message}`;
    throw e;
  }
  return power.moments;
}

const begin = {
  flash: flashOf({ ...FIRST, ...FIXED }),
  instance: new Instance({ offer: { commit: NEW, attempt: 1 }, versions: { [OLD]: FIRST, [NEW]: SECOND } }),
};
// What comes before the swap is the same for a version that will not hold.
if (ROLLBACK) begin.flash = (await run(begin.flash, begin.instance, new Power(null), 'restart')).flash;
const moments = await goOn(begin, [], true);
for (const kind of ['mknod', 'mkdir', 'rmdir', 'unlink', 'rename', 'write']) {
  if (!moments.some(({ change }) => change.startsWith(kind + ' '))) fail(`there was no ${kind}, so it was not cut there`);
}
let count = 0;
for (const moment of moments) {
  // Without a rename that replaces, state.new is for a moment all that there is of the journal. Another cut soon after
  // must not lose it.
  const twice = !('.pepeunit/state' in moment.flash) && '.pepeunit/state.new' in moment.flash;
  const following = await goOn(moment, [moment], twice);
  for (const next of following.slice(0, 6)) await goOn(next, [moment, next]);
  count += 1 + Math.min(following.length, 6);
}
console.log(`cut points: ${count}`);
