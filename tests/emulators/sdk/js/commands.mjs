// Commands and terminals.

import assert from 'node:assert/strict'
import { AuthenticationError, CommandExitError, InvalidArgumentError, NotFoundError, TimeoutError } from 'e2b'
import { run, soon, withSandbox } from './common.mjs'

async function foreground(box) {
  let out = ''
  let err = ''
  const ran = await box.commands.run('echo one; echo two >&2', {
    onStdout: (text) => { out += text },
    onStderr: (text) => { err += text },
  })
  assert.deepEqual([ran.stdout, ran.stderr, ran.exitCode, out, err], ['one\n', 'two\n', 0, 'one\n', 'two\n'])
  const many = await box.commands.run('seq 1 100000')
  assert.equal(many.stdout.split('\n').length, 100001)
}

async function surroundings(box) {
  assert.equal((await box.commands.run('pwd; id -u; echo $S-$C', { envs: { C: 'c' } })).stdout, '/home/user\n1000\ns-c\n')
  assert.equal((await box.commands.run('pwd; id -u', { user: 'root', cwd: '/tmp' })).stdout, '/tmp\n0\n')
  await assert.rejects(box.commands.run('true', { cwd: '/nowhere' }), InvalidArgumentError)
  await assert.rejects(box.commands.run('true', { user: 'nobody-here' }), AuthenticationError)
}

async function ends(box) {
  await assert.rejects(box.commands.run('echo before; exit 7'), (error) => {
    assert(error instanceof CommandExitError)
    assert.deepEqual([error.exitCode, error.stdout], [7, 'before\n'])
    return true
  })
  await assert.rejects(box.commands.run('sleep 30', { timeoutMs: 500 }), TimeoutError)
}

async function background(box) {
  const handle = await box.commands.run('cat; echo over', { background: true, stdin: true })
  assert((await box.commands.list()).some((process) => process.pid === handle.pid))
  await box.commands.sendStdin(handle.pid, 'a line\n')
  await box.commands.closeStdin(handle.pid)
  assert.equal((await handle.wait()).stdout, 'a line\nover\n')
  const slow = await box.commands.run('sleep 60', { background: true })
  assert.equal(await slow.kill(), true)
  await assert.rejects(slow.wait(), CommandExitError)
  assert.equal(await box.commands.kill(slow.pid), false)
}

async function reconnect(box) {
  const handle = await box.commands.run('sleep 1; echo late', { background: true })
  await handle.disconnect()
  const again = await box.commands.connect(handle.pid)
  assert.equal((await again.wait()).stdout, 'late\n')
  await assert.rejects(box.commands.connect(999999), NotFoundError)
}

async function terminal(box) {
  let seen = ''
  const decoder = new TextDecoder()
  const handle = await box.pty.create({
    cols: 80,
    rows: 24,
    onData: (data) => { seen += decoder.decode(data, { stream: true }) },
  })
  const type = (text) => box.pty.sendInput(handle.pid, new TextEncoder().encode(text))
  await type('stty size\n')
  await soon(() => seen.includes('24 80'))
  await box.pty.resize(handle.pid, { cols: 132, rows: 50 })
  await type('stty size\n')
  await soon(() => seen.includes('50 132'))
  assert.equal(await box.pty.kill(handle.pid), true)
  await assert.rejects(handle.wait(), CommandExitError)
}

await withSandbox({ timeoutMs: 120_000, envs: { S: 's' } }, (box) =>
  run([foreground, surroundings, ends, background, reconnect, terminal], box))
