/** What a connection reads while nobody takes it: as much as is held, in order, and that its client has left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { HeaderList } from '../http/header-list.ts'
import type { DownstreamStream, RequestEvents } from '../http/stream.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'
import { HeaderNames } from './header-names.ts'
import { ServerConnection } from './server-connection.ts'

const head = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n'

/** One connection whose request is told to `heard`. */
function openScene({ bytes = head, isRefused = false } = {}) {
  const clock = new FakeClock()
  const heard: string[] = []
  const held = { bufferedBytes: 0 }
  const wire = { isPaused: false, events: undefined as WireEvents | undefined }
  const stub: Wire = {
    localAddress: '127.0.0.1',
    localPort: 1,
    remoteAddress: '127.0.0.1',
    remotePort: 2,
    bufferedBytes: 0,
    listen: (events) => (wire.events = events),
    write: () => true,
    pause: () => (wire.isPaused = true),
    resume: () => (wire.isPaused = false),
    end() {},
    destroy() {},
  }
  let stream: DownstreamStream | undefined
  const exchange: RequestEvents = {
    onRequestData: (chunk) => heard.push(Buffer.from(chunk).toString('latin1')),
    onRequestEnd: () => heard.push('end'),
    onRequestInvalid: ({ reason }) => heard.push(`invalid ${reason}`),
    onDownstreamDrain() {},
    onDownstreamClose: () => heard.push('gone'),
  }
  void new ServerConnection({
    wire: stub,
    clock,
    held,
    parser: {
      names: new HeaderNames(),
      limits: { headBytesMax: 60_000, headersCountMax: 100 },
      acceptsHttp10: false,
      allowsAbsoluteUrl: true,
      allowsChunkedLength: false,
      allowsCustomMethods: false,
      keepsTrailers: false,
      underscores: 'allow',
      defaultHostHttp10: undefined,
    },
    idleTimeoutMs: 0,
    headLimit: { timeoutMs: 0, refusal: 'header-timeout' },
    requestTimeoutMs: 0,
    maxDurationMs: 0,
    drainTimeoutMs: 0,
    delayedCloseTimeoutMs: 1_000,
    requestsMax: 0,
    keepsTrailers: false,
    owner: {
      onRequest(_head, opened) {
        stream = opened
        if (!isRefused) return exchange
        heard.push('answered')
        opened.closeAfterResponse()
        const headers = new HeaderList()
        opened.sendHead({ status: 400, headers, bodyLength: 0, protocol: 'HTTP/1.1' }, true)
        return exchange
      },
      onRefusedRequest({ reason }) {
        heard.push(`refused ${reason}`)
        return exchange
      },
      wantsClose: () => false,
      onLimit() {},
      onConnectionClose() {},
    },
  })
  const say = (text: string): void => wire.events?.onData(Buffer.from(text))
  say(bytes)
  assert.ok(stream !== undefined)
  return { clock, heard, held, wire, stream, say, leave: () => wire.events?.onEnd() }
}

test('a client that leaves while its request is paused is seen soon', () => {
  const { clock, heard, wire, stream, say, leave, held } = openScene()
  stream.pauseRequest()
  assert.equal(wire.isPaused, true)
  clock.advance(100)
  say('some of it')
  assert.deepEqual(heard, [])
  assert.equal(wire.isPaused, false)
  assert.equal(held.bufferedBytes, 10)
  leave()
  assert.deepEqual(heard, ['gone'])
  assert.equal(held.bufferedBytes, 0)
})

test('what is refused behind the last response is answered by nobody', () => {
  const chunked = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n'
  const { heard } = openScene({ bytes: `${chunked}no size\r\n`, isRefused: true })
  assert.deepEqual(heard, ['answered'])
})

test('what is read of a paused request has a ceiling, and comes in order when it goes on', async () => {
  const { clock, heard, wire, stream, say, held } = openScene()
  stream.pauseRequest()
  clock.advance(100)
  say('a'.repeat(40_000))
  assert.equal(wire.isPaused, false)
  say('b'.repeat(40_000))
  assert.equal(wire.isPaused, true)
  stream.resumeRequest()
  await new Promise((resolve) => process.nextTick(resolve))
  assert.equal(wire.isPaused, false)
  assert.equal(held.bufferedBytes, 0)
  say('c')
  assert.equal(heard.join(''), `${'a'.repeat(40_000)}${'b'.repeat(40_000)}c`)
})

test('a request that is paused again while it goes on keeps the rest', async () => {
  const { heard, stream, say } = openScene()
  stream.pauseRequest()
  say('first')
  stream.resumeRequest()
  stream.pauseRequest()
  await new Promise((resolve) => process.nextTick(resolve))
  assert.deepEqual(heard, [])
  stream.resumeRequest()
  await new Promise((resolve) => process.nextTick(resolve))
  assert.deepEqual(heard, ['first'])
})
