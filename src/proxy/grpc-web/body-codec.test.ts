/** The two codecs of text, at every split, and the frame of trailers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeaderList } from '../http/header-list.ts'
import { FrameEncoder } from './frame-encoder.ts'
import { TextDecoder } from './text-decoder.ts'
import { trailerFrame } from './trailer-frame.ts'

function frame(text: string): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, Buffer.from(text)])
}

const known = frame('grpc-web-text-data')
const knownText = 'AAAAABJncnBjLXdlYi10ZXh0LWRhdGE='

test('text is decoded at every split', () => {
  for (let split = 0; split <= knownText.length; split += 1) {
    const decoder = new TextDecoder()
    const parts = [knownText.slice(0, split), knownText.slice(split)].map((part) => {
      const decoded = decoder.decode(Buffer.from(part))
      assert.notEqual(decoded, 'bad-data', `split at ${split}`)
      return decoded === 'bad-data' ? Buffer.alloc(0) : decoded
    })
    assert.deepEqual(Buffer.concat(parts), known, `split at ${split}`)
    assert.equal(decoder.isCut, false)
  }
})

test('text that comes octet by octet waits for whole groups', () => {
  const decoder = new TextDecoder()
  const lengths = Array.from(knownText, (octet) => decoder.decode(Buffer.from(octet)).length)
  assert.deepEqual(lengths.slice(0, 8), [0, 0, 0, 3, 0, 0, 0, 3])
})

for (const text of ['****', 'A===', '====', 'AB==', 'AAB=', 'AA A', 'AA-_', 'YQ==Yg==', 'A=AA']) {
  test(`${text} is no base64`, () => {
    assert.equal(new TextDecoder().decode(Buffer.from(text)), 'bad-data')
  })
}

test('text that breaks off inside a group is told', () => {
  const decoder = new TextDecoder()
  decoder.decode(Buffer.from('AAAAAA'))
  assert.equal(decoder.isCut, true)
})

const messages = ['a', 'bc', '', 'def', 'ghij', 'x'.repeat(100)].map(frame)
const separately = messages.map((message) => message.toString('base64')).join('')

test('each message is base64 of its own, at every split of all of them', () => {
  const bytes = Buffer.concat(messages)
  for (let split = 0; split <= bytes.length; split += 1) {
    const encoder = new FrameEncoder()
    const parts = [
      encoder.encode(bytes.subarray(0, split)),
      encoder.encode(bytes.subarray(split)),
      encoder.end(),
    ]
    assert.equal(Buffer.concat(parts).toString(), separately, `split at ${split}`)
  }
})

test('messages that come octet by octet are encoded as they come', () => {
  const encoder = new FrameEncoder()
  let text = ''
  for (const octet of Buffer.concat(messages)) text += encoder.encode(Buffer.of(octet)).toString()
  assert.equal(text, separately)
})

test('what there is of a message that breaks off is sent', () => {
  const encoder = new FrameEncoder()
  const cut = known.subarray(0, 9)
  const text = encoder.encode(cut).toString() + encoder.end().toString()
  assert.deepEqual(Buffer.from(text, 'base64'), cut)
})

test('trailers are a frame with the first bit set, in their order', () => {
  const trailers = new HeaderList()
  trailers.append('grpc-status', '0')
  trailers.append('grpc-message', 'ok')
  assert.equal(
    trailerFrame(trailers).toString('latin1'),
    '\u0080\0\0\0\u0020grpc-status:0\r\ngrpc-message:ok\r\n',
  )
})
