// What the scripts share: sandboxes that are gone at the end, and waiting.

import assert from 'node:assert/strict'
import { Sandbox } from 'e2b'

export async function withSandbox(options, use) {
  const box = await Sandbox.create(options)
  try {
    await use(box)
  } finally {
    await box.kill()
  }
}

export async function soon(look, seconds = 10) {
  const late = Date.now() + seconds * 1000
  while (Date.now() < late) {
    const found = await look()
    if (found) return found
    await new Promise((done) => setTimeout(done, 50))
  }
  assert.fail('it did not happen in time')
}

export async function run(parts, ...given) {
  for (const part of parts) {
    await part(...given)
    console.log('ok', part.name)
  }
}
