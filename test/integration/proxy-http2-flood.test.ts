/** What clients of HTTP/2 have done to servers, one test for each lesson: the connection ends, and a counter says why. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  errorCodes,
  frameHead,
  frameTypes,
  headersFrames,
  pingFrame,
  resetFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../../src/proxy/http2/frame.ts'
import { eventually } from '../support/eventually.ts'
import { startHttp2Scene, type Http2Scene } from '../support/http2-scene.ts'
import { forwardTo, startOrigin } from '../support/proxy-scene.ts'
import { RawClient, type RawField } from '../support/raw-http2.ts'

const get: readonly RawField[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'shop'],
]
const post: readonly RawField[] = [[':method', 'POST'], ...get.slice(1)]
const direct =
  '{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: hi } } }'

async function goawayCode(client: RawClient): Promise<number | undefined> {
  const goaway = await client.frame(({ type }) => type === frameTypes.goaway)
  return goaway?.payload.readUInt32BE(4)
}

/** A client that has sent `bytes` behind its preface; the connection must end by that flood. */
async function assertFlood(scene: Http2Scene, stat: string, bytes: string): Promise<void> {
  const client = new RawClient(scene.port)
  client.open()
  client.send(bytes)
  assert.equal(await goawayCode(client), errorCodes.enhanceYourCalm)
  await client.closed()
  assert.equal(scene.http2Stat(stat), 1)
  // As in Envoy, that counter is the only one.
  const errors = scene.registry
    .list()
    .find(({ name }) => name === 'http.test.downstream_cx_protocol_error')
  assert.equal(errors?.value(), 0)
  // Others are served as before.
  const other = new RawClient(scene.port)
  other.open()
  other.request(1, get)
  const answer = await other.frame(({ type }) => type === frameTypes.headers)
  assert.deepEqual(answer?.fields[0], [':status', '200'])
  other.close()
}

test('CVE-2023-44487: a client that opens streams and resets them at once is cut off', async () => {
  await using origin = await startOrigin(() => {
    // Never answers, so that every reset is premature.
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'origin', addresses: [origin.address] }],
    routes: [forwardTo('origin')],
  })
  const client = new RawClient(scene.port)
  client.open()
  for (let id = 1; id < 1000; id += 2) {
    client.request(id, get)
    client.send(resetFrame(id, errorCodes.cancel))
  }
  assert.equal(await goawayCode(client), errorCodes.enhanceYourCalm)
  await client.closed()
  const stat = scene.registry
    .list()
    .find(({ name }) => name === 'http.test.downstream_rq_too_many_premature_resets')
  assert.equal(stat?.value(), 1)
  assert.ok(scene.records.length <= 251, `${scene.records.length} requests were made`)
})

test('CVE-2024-27316: a header block without end is cut off before it has filled memory', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  client.open()
  client.send(frameHead(1, frameTypes.headers, 0, 1) + '\x82')
  const field = '\x00\x01a\x7f\x81\x7f' + 'x'.repeat(16_384 - 6)
  for (let count = 0; count < 100; count += 1) {
    client.send(frameHead(field.length, frameTypes.continuation, 0, 1) + field)
  }
  assert.equal(await goawayCode(client), errorCodes.enhanceYourCalm)
  await client.closed()
  assert.equal(scene.http2Stat('header_overflow'), 1)
})

test('CVE-2024-27316: many small CONTINUATION frames are an attack too', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  client.open()
  client.send(frameHead(1, frameTypes.headers, 0, 1) + '\x82')
  client.send((frameHead(1, frameTypes.continuation, 0, 1) + '\x84').repeat(1000))
  assert.equal(await goawayCode(client), errorCodes.enhanceYourCalm)
  client.close()
})

test('CVE-2019-9512: a flood of PING is an outbound_control_flood', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  await assertFlood(scene, 'outbound_control_flood', pingFrame('12345678', false).repeat(3000))
})

test('CVE-2019-9515: a flood of SETTINGS is an outbound_control_flood', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  await assertFlood(scene, 'outbound_control_flood', settingsFrame([]).repeat(3000))
})

test('CVE-2019-9514: a flood of RST_STREAM in answer to requests that break a rule ends', async () => {
  await using scene = await startHttp2Scene({
    routes: [direct],
    http2: { endsStreamOnInvalidMessage: true },
  })
  const client = new RawClient(scene.port)
  client.open()
  for (let id = 1; id < 6000; id += 2) client.request(id, [...get, ['connection', 'close']])
  await client.closed()
  assert.equal(scene.http2Stat('outbound_control_flood'), 1)
})

test('CVE-2019-9518: frames that carry nothing are an inbound_empty_frames_flood', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  const head = headersFrames(1, client.block(post), false)
  client.close()
  const empty = frameHead(0, frameTypes.data, 0, 1)
  await assertFlood(scene, 'inbound_empty_frames_flood', head + empty.repeat(3))
})

test('CVE-2019-9513: a flood of PRIORITY is an inbound_priority_frames_flood', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const frame = frameHead(5, frameTypes.priority, 0, 1) + '\x00\x00\x00\x03\x10'
  await assertFlood(scene, 'inbound_priority_frames_flood', frame.repeat(101))
})

test('a flood of WINDOW_UPDATE is an inbound_window_update_frames_flood', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const frames = windowUpdateFrame(0, 1).repeat(6)
  await assertFlood(scene, 'inbound_window_update_frames_flood', frames)
})

test('CVE-2019-9511, -9517: a client that opens no window for its answer is reset in time', async () => {
  await using scene = await startHttp2Scene({
    routes: [direct],
    manager: { streamIdleTimeoutMs: 50 },
  })
  const client = new RawClient(scene.port)
  client.open([[4, 0]])
  client.request(1, get)
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.streamId, 1)
  assert.equal(scene.http2Stat('tx_flush_timeout'), 1)
  assert.equal(scene.http2Stat('streams_active'), 0)
  client.close()
})

test('CVE-2016-6581: fields that unpack to more than the ceiling reset their stream only', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  client.open()
  // One entry of 3.5 KB in the table, and a byte for each time that it is named.
  const value = 'x'.repeat(3500)
  const name = 'x-bomb'
  client.encoder.begin()
  const entry = `\x40\x06${name}\x7f\xad\x1a${value}`
  const block = client.block(get) + entry + '\xbe'.repeat(60)
  client.send(headersFrames(1, block, true))
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.streamId, 1)
  assert.equal(scene.http2Stat('header_overflow'), 1)
  client.send(headersFrames(3, '\x82\x86\x84\x41\x04shop', true))
  const answer = await client.frame(
    ({ type, streamId }) => type === frameTypes.headers && streamId === 3,
  )
  assert.deepEqual(answer?.fields[0], [':status', '200'])
  client.close()
})

test('CVE-2026-47774: cookie crumbs count like every other field', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  client.open()
  const crumb: RawField = ['cookie', `a=${'x'.repeat(900)}`]
  client.request(1, [...get, ...Array.from({ length: 90 }, () => crumb)])
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.streamId, 1)
  client.close()
})

const malformed: readonly (readonly [lesson: string, fields: readonly RawField[]])[] = [
  ['CVE-2023-27491: a line break in a value', [...get, ['x-a', 'b\r\nx-c: d']]],
  ['CVE-2019-9900: a NUL in a value', [...get, ['x-a', 'b\0c']]],
  ['neither host nor authority', get.filter(([name]) => name !== ':authority')],
  ['CVE-2023-27491: a name in upper case', [...get, ['X-A', 'b']]],
  ['CVE-2023-25725: an empty name', [...get, ['', 'b']]],
  ['a pseudo field behind a regular one', [...get.slice(1), ['x-a', 'b'], [':method', 'GET']]],
  ['an unknown pseudo field', [...get, [':x', 'b']]],
  ['a response pseudo field', [...get, [':status', '200']]],
  ['two paths', [...get, [':path', '/other']]],
  ['no path', get.filter(([name]) => name !== ':path')],
  ['an empty path', get.map(([name, value]) => [name, name === ':path' ? '' : value] as const)],
  [
    'a path with a space',
    get.map(([name, value]) => [name, name === ':path' ? '/a b' : value] as const),
  ],
  ['a connection header', [...get, ['connection', 'close']]],
  ['transfer-encoding', [...get, ['transfer-encoding', 'chunked']]],
  ['TE beyond trailers', [...get, ['te', 'gzip']]],
  [
    'a host that is none',
    get.map(([name, value]) => [name, name === ':authority' ? 'a/b' : value] as const),
  ],
  ['two lengths', [...post, ['content-length', '0'], ['content-length', '5']]],
  [
    'extended CONNECT that was not allowed',
    [[':method', 'CONNECT'], ...get.slice(1), [':protocol', 'websocket']],
  ],
]

for (const [lesson, fields] of malformed) {
  test(`${lesson} ends the connection, or the stream where that was chosen`, async () => {
    await using scene = await startHttp2Scene({ routes: [direct] })
    const client = new RawClient(scene.port)
    client.open()
    client.request(1, fields)
    assert.equal(await goawayCode(client), errorCodes.protocolError)
    await client.closed()
    assert.equal(scene.http2Stat('rx_messaging_error'), 1)
    assert.equal(scene.records[0]?.flags, 'DPE')

    await using gentle = await startHttp2Scene({
      routes: [direct],
      http2: { endsStreamOnInvalidMessage: true },
    })
    const second = new RawClient(gentle.port)
    second.open()
    second.request(1, fields)
    second.request(3, get)
    const reset = await second.frame(({ type }) => type === frameTypes.rstStream)
    assert.equal(reset?.streamId, 1)
    assert.equal(reset.payload.readUInt32BE(0), errorCodes.protocolError)
    const answer = await second.frame(({ type }) => type === frameTypes.headers)
    assert.equal(answer?.streamId, 3)
    second.close()
  })
}

test('CVE-2021-21409: a length without a body resets its stream', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const client = new RawClient(scene.port)
  client.open()
  client.request(1, [...get, ['content-length', '5']])
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.payload.readUInt32BE(0), errorCodes.protocolError)
  assert.equal(scene.records[0]?.status, 0)
  client.close()
})

test('CVE-2021-21409: a body longer than its length is not forwarded beyond it', async () => {
  let got = ''
  await using origin = await startOrigin((request) => {
    request.on('data', (chunk: Buffer) => (got += chunk.toString()))
    request.on('error', () => {
      // Cut, as it should be.
    })
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'origin', addresses: [origin.address] }],
    routes: [forwardTo('origin')],
    http2: { endsStreamOnInvalidMessage: true },
  })
  const client = new RawClient(scene.port)
  client.open()
  client.request(1, [...post, ['content-length', '3']], false)
  client.data(1, 'abc')
  client.data(1, 'GET /admin HTTP/1.1\r\n\r\n', true)
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.payload.readUInt32BE(0), errorCodes.protocolError)
  await eventually(() => scene.records.length === 1)
  assert.ok(!got.includes('admin'), got)
  client.close()
})

test('streams beyond those that were allowed are refused, and the rest is served', async () => {
  await using origin = await startOrigin(() => {
    // Keeps the streams open.
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'origin', addresses: [origin.address] }],
    routes: [forwardTo('origin')],
    http2: { concurrentStreamsMax: 2 },
  })
  const client = new RawClient(scene.port)
  client.open()
  for (const id of [1, 3, 5]) client.request(id, get)
  const reset = await client.frame(({ type }) => type === frameTypes.rstStream)
  assert.equal(reset?.streamId, 5)
  assert.equal(reset.payload.readUInt32BE(0), errorCodes.refusedStream)
  assert.equal(scene.http2Stat('stream_refused_errors'), 1)
  client.close()
})

test('every frame is understood at every split of its bytes', async () => {
  await using scene = await startHttp2Scene({ routes: [direct] })
  const encoder = new RawClient(scene.port)
  const bytes =
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' +
    settingsFrame([]) +
    headersFrames(1, encoder.block(post), false) +
    frameHead(6, frameTypes.data, 8, 1) +
    '\x02abc\0\0' +
    frameHead(2, frameTypes.data, 1, 1) +
    'de'
  encoder.close()
  for (let split = 1; split < bytes.length; split += 1) {
    const client = new RawClient(scene.port)
    client.socket.setNoDelay(true)
    client.send(bytes.slice(0, split))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(bytes.slice(split))
    const answer = await client.frame(({ type }) => type === frameTypes.headers)
    assert.deepEqual(answer?.fields[0], [':status', '200'], `split at ${split}`)
    client.close()
  }
})
