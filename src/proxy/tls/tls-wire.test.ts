/** TLS wires pass the contract suite of wires, in both directions, and say whom they connect. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testWire, type WirePair } from '../../../test/contract/wire.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { createTestAuthority } from '../../../test/support/test-certificate.ts'
import { openTlsPair } from '../../../test/support/tls-pair.ts'

const authority = await createTestAuthority()
const server = await authority.issue({ uris: ['spiffe://cluster.local/ns/default/sa/server'] })
const client = await authority.issue({ uris: ['spiffe://cluster.local/ns/default/sa/client'] })

async function open(): Promise<WirePair> {
  const pair = await openTlsPair({ authority, server, client })
  return { near: pair.near, far: pair.far, [Symbol.asyncDispose]: () => pair.close() }
}

testWire({ name: 'TLS wire', joinsWrites: true, open })

testWire({
  name: 'TLS wire, accepted end',
  joinsWrites: true,
  async open() {
    const { near, far, [Symbol.asyncDispose]: close } = await open()
    return { near: far, far: near, [Symbol.asyncDispose]: close }
  },
})

test('both ends of a TLS wire know who the other one is', async () => {
  await using pair = await open()
  const { near, far } = pair
  assert.deepEqual(near.security?.peer?.uris, ['spiffe://cluster.local/ns/default/sa/server'])
  assert.deepEqual(far.security?.peer?.uris, ['spiffe://cluster.local/ns/default/sa/client'])
  assert.deepEqual(far.security?.local?.uris, near.security?.peer?.uris)
  assert.equal(far.security?.version, 'TLSv1.3')
  assert.equal(far.requestedServerName, 'server.test')
  assert.equal(near.security?.applicationProtocol, 'istio')
})

test('what one turn writes to a TLS wire is one record', async () => {
  // A relay between the two ends sees the records as they cross.
  const seen: Buffer[] = []
  await using pair = await openTlsPair({
    authority,
    server,
    client,
    watch: (chunk) => seen.push(chunk),
  })
  await eventually(() => seen.length > 0)
  const { near, far } = pair
  let received = ''
  far.listen({
    onData: (chunk) => (received += Buffer.from(chunk).toString()),
    onEnd() {},
    onDrain() {},
    onClose() {},
  })
  seen.length = 0
  near.write('head\r\n')
  near.write(Buffer.from('body'))
  near.write('tail')
  await eventually(() => received === 'head\r\nbodytail')
  const bytes = Buffer.concat(seen)
  // One record of application data (type 23) and nothing behind it.
  assert.equal(bytes[0], 23)
  assert.equal(bytes.length, 5 + bytes.readUInt16BE(3))
})
