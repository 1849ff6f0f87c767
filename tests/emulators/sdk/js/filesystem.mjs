// Files and folders.

import assert from 'node:assert/strict'
import { FileNotFoundError, FileType, FilesystemEventType, InvalidArgumentError, NotFoundError } from 'e2b'
import { run, soon, withSandbox } from './common.mjs'

async function contents(box) {
  const info = await box.files.write('a/text', 'first')
  assert.deepEqual([info.path, info.name, info.type], ['/home/user/a/text', 'text', FileType.FILE])
  assert.equal(await box.files.read('a/text'), 'first')
  const bytes = new Uint8Array(300_000).map((_, at) => at % 251)
  await box.files.write('/tmp/bytes', bytes.buffer)
  assert.deepEqual(await box.files.read('/tmp/bytes', { format: 'bytes' }), bytes)
  assert.equal((await box.files.read('/tmp/bytes', { format: 'blob' })).size, bytes.length)
  await box.files.write('/tmp/stream', new Blob([bytes]).stream())
  let length = 0
  for await (const chunk of await box.files.read('/tmp/stream', { format: 'stream' })) length += chunk.length
  assert.equal(length, bytes.length)
  const written = await box.files.write([{ path: 'm/1', data: 'one' }, { path: 'm/2', data: 'two' }])
  assert.deepEqual(written.map((entry) => entry.path), ['/home/user/m/1', '/home/user/m/2'])
  await assert.rejects(box.files.read('nothing'), FileNotFoundError)
  await assert.rejects(box.files.read('/tmp'), InvalidArgumentError)
}

async function folders(box) {
  assert.equal(await box.files.makeDir('d/e'), true)
  assert.equal(await box.files.makeDir('d/e'), false)
  await box.files.write('d/e/x', 'x')
  assert.deepEqual((await box.files.list('d', { depth: 2 })).map((entry) => entry.path), ['/home/user/d/e', '/home/user/d/e/x'])
  const moved = await box.files.rename('d/e/x', 'd/y')
  assert.deepEqual([moved.path, Number(moved.size)], ['/home/user/d/y', 1])
  assert.equal(await box.files.exists('d/e/x'), false)
  const told = await box.files.getInfo('d/y')
  assert.deepEqual([told.owner, told.permissions], ['user', '-rw-r--r--'])
  await box.files.remove('d')
  assert.equal(await box.files.exists('d'), false)
  await assert.rejects(box.files.list('d'), NotFoundError)
}

async function watch(box) {
  await box.files.makeDir('w')
  const seen = []
  const handle = await box.files.watchDir('w', (event) => seen.push(event), { recursive: true })
  await box.files.write('w/new', '1')
  await box.files.remove('w/new')
  await soon(() => seen.some((event) => event.type === FilesystemEventType.REMOVE))
  assert(seen.some((event) => event.type === FilesystemEventType.CREATE && event.name === 'new'))
  await handle.stop()
}

await withSandbox({ timeoutMs: 120_000 }, (box) => run([contents, folders, watch], box))
