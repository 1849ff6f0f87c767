// Life, lists and errors.

import assert from 'node:assert/strict'
import { AuthenticationError, NotFoundError, Sandbox, SandboxError, SandboxNotFoundError } from 'e2b'
import { run, soon, withSandbox } from './common.mjs'

async function told() {
  await withSandbox({ timeoutMs: 100_000, metadata: { a: 'b' } }, async (box) => {
    const info = await box.getInfo()
    assert.deepEqual([info.sandboxId, info.metadata, info.state], [box.sandboxId, { a: 'b' }, 'running'])
    await box.setTimeout(500_000)
    assert((await box.getInfo()).endAt.getTime() - Date.now() > 490_000)
    assert.equal(await box.isRunning(), true)
  })
}

async function paused() {
  await withSandbox({ timeoutMs: 60_000 }, async (box) => {
    await box.files.write('kept', 'yes')
    const handle = await box.commands.run('sleep 600', { background: true })
    assert.equal(await box.pause(), true)
    assert.equal(await box.pause(), false)
    assert.equal((await box.getInfo()).state, 'paused')
    assert.equal(await box.isRunning(), false)
    await assert.rejects(box.commands.run('true'), SandboxNotFoundError)
    const again = await Sandbox.connect(box.sandboxId)
    assert.equal(await again.files.read('kept'), 'yes')
    assert.equal(await again.commands.kill(handle.pid), true)
    await handle.disconnect().catch(() => {})
  })
}

async function over() {
  const box = await Sandbox.create({ timeoutMs: 60_000 })
  await box.setTimeout(1000)
  await soon(async () => !(await box.isRunning()))
  await assert.rejects(box.getInfo(), NotFoundError)
  assert.equal(await box.kill(), false)
}

async function listed() {
  const boxes = []
  try {
    for (const n of ['0', '1', '2']) boxes.push(await Sandbox.create({ metadata: { who: 'js a&b=c', n } }))
    const pages = Sandbox.list({ query: { metadata: { who: 'js a&b=c' } }, limit: 2 })
    const found = []
    while (pages.hasNext) found.push(...(await pages.nextItems()))
    assert.deepEqual(found.map((info) => info.sandboxId), boxes.map((box) => box.sandboxId).reverse())
  } finally {
    for (const box of boxes) await box.kill()
  }
}

async function refused() {
  await assert.rejects(Sandbox.create({ apiKey: 'e2b_bad_key' }), AuthenticationError)
  await assert.rejects(Sandbox.create('no-such-template'), /template 'no-such-template' not found/)
  await assert.rejects(Sandbox.connect('i00000000000000000000'), NotFoundError)
  await assert.rejects(Sandbox.create({ timeoutMs: 25 * 3600_000 }), SandboxError)
}

await run([told, paused, over, listed, refused])
