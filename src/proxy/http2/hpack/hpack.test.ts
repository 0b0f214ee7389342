/** HPACK: every example of RFC 7541 appendix C, what must be refused, and Node's own codec at the other end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { exchangeRaw } from '../../../../test/support/raw-http2.ts'
import { HpackDecoder } from './decoder.ts'
import { HpackEncoder } from './encoder.ts'
import { decodeHuffman } from './huffman.ts'

type Field = readonly [name: string, value: string]

function decode(decoder: HpackDecoder, hex: string): Field[] | string {
  const fields: Field[] = []
  const error = decoder.decode(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'), {
    onField: (name, value) => void fields.push([name.text, value]),
  })
  return error ?? fields
}

const firstRequest: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
]
const secondRequest: Field[] = [...firstRequest, ['cache-control', 'no-cache']]
const thirdRequest: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
]
const date = 'Mon, 21 Oct 2013 20:13:21 GMT'
const location = 'https://www.example.com'
const firstResponse: Field[] = [
  [':status', '302'],
  ['cache-control', 'private'],
  ['date', date],
  ['location', location],
]
const secondResponse: Field[] = [
  [':status', '307'],
  ['cache-control', 'private'],
  ['date', date],
  ['location', location],
]
const thirdResponse: Field[] = [
  [':status', '200'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ['location', location],
  ['content-encoding', 'gzip'],
  ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
]

interface Example {
  readonly name: string
  /** Octets of a size update before the first block: 256 for the responses of the appendix. */
  readonly tableBytes?: number
  readonly blocks: readonly {
    readonly hex: string
    readonly fields: readonly Field[]
    readonly tableBytes: number
  }[]
}

const examples: readonly Example[] = [
  {
    name: 'C.2.1 a literal field with indexing',
    blocks: [
      {
        hex: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        fields: [['custom-key', 'custom-header']],
        tableBytes: 55,
      },
    ],
  },
  {
    name: 'C.2.2 a literal field without indexing',
    blocks: [
      {
        hex: '040c 2f73 616d 706c 652f 7061 7468',
        fields: [[':path', '/sample/path']],
        tableBytes: 0,
      },
    ],
  },
  {
    name: 'C.2.3 a literal field never indexed',
    blocks: [
      {
        hex: '1008 7061 7373 776f 7264 0673 6563 7265 74',
        fields: [['password', 'secret']],
        tableBytes: 0,
      },
    ],
  },
  {
    name: 'C.2.4 an indexed field',
    blocks: [{ hex: '82', fields: [[':method', 'GET']], tableBytes: 0 }],
  },
  {
    name: 'C.3 requests without Huffman coding',
    blocks: [
      {
        hex: '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        fields: firstRequest,
        tableBytes: 57,
      },
      { hex: '8286 84be 5808 6e6f 2d63 6163 6865', fields: secondRequest, tableBytes: 110 },
      {
        hex: '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
        fields: thirdRequest,
        tableBytes: 164,
      },
    ],
  },
  {
    name: 'C.4 requests with Huffman coding',
    blocks: [
      { hex: '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', fields: firstRequest, tableBytes: 57 },
      { hex: '8286 84be 5886 a8eb 1064 9cbf', fields: secondRequest, tableBytes: 110 },
      {
        hex: '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
        fields: thirdRequest,
        tableBytes: 164,
      },
    ],
  },
  {
    name: 'C.5 responses without Huffman coding, with evictions',
    tableBytes: 256,
    blocks: [
      {
        hex: `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
          2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        fields: firstResponse,
        tableBytes: 222,
      },
      { hex: '4803 3330 37c1 c0bf', fields: secondResponse, tableBytes: 222 },
      {
        hex: `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
          54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851
          5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
        fields: thirdResponse,
        tableBytes: 215,
      },
    ],
  },
  {
    name: 'C.6 responses with Huffman coding, with evictions',
    tableBytes: 256,
    blocks: [
      {
        hex: `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
          2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        fields: firstResponse,
        tableBytes: 222,
      },
      { hex: '4883 640e ffc1 c0bf', fields: secondResponse, tableBytes: 222 },
      {
        hex: `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
          77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160
          65c0 03ed 4ee5 b106 3d50 07`,
        fields: thirdResponse,
        tableBytes: 215,
      },
    ],
  },
]

for (const example of examples) {
  test(`RFC 7541 ${example.name}`, () => {
    const decoder = new HpackDecoder()
    if (example.tableBytes === 256) assert.deepEqual(decode(decoder, '3fe101'), [])
    for (const { hex, fields, tableBytes } of example.blocks) {
      assert.deepEqual(decode(decoder, hex), fields)
      assert.equal(decoder.table.bytes, tableBytes)
    }
  })
}

test('C.1 integers are read beyond their prefix', () => {
  // 1337 octets of a name, which is C.1.2's integer behind a 7 bit prefix, are not there.
  assert.equal(decode(new HpackDecoder(), '40 7f9a0a'), 'truncated')
  // Index 10 in a prefix of 5 bits (C.1.1): a table of ten bytes.
  assert.deepEqual(decode(new HpackDecoder(), '2a'), [])
})

const refused: readonly (readonly [name: string, hex: string, error: string])[] = [
  ['index 0', '80', 'index'],
  ['an index behind both tables', 'be', 'index'],
  ['a string that ends early', '0005 6162', 'truncated'],
  ['an integer that ends early', '7f', 'truncated'],
  ['an integer without bounds', 'ffff ffff ffff ffff ffff ffff 7f', 'integer'],
  ['a table larger than allowed', '3fe2 1f', 'table-size'],
  ['a table size behind a field', '8220', 'table-size'],
  ['a Huffman string with the end inside', '0084 ffff ffff 00', 'huffman'],
  ['padding of eight bits', '0082 1fff 00', 'huffman'],
  ['padding of zeros', '0081 1800', 'huffman'],
]

for (const [name, hex, error] of refused) {
  test(`${name} is refused as ${error}`, () => {
    assert.equal(decode(new HpackDecoder(), hex), error)
  })
}

test('a table that our settings made smaller must be acknowledged before it is used', () => {
  const decoder = new HpackDecoder()
  decoder.limitTable(100)
  assert.equal(decode(decoder, '82'), 'table-size')
  const informed = new HpackDecoder()
  informed.limitTable(100)
  assert.deepEqual(decode(informed, '3f45 82'), [[':method', 'GET']])
})

test('every octet survives the Huffman code of another implementation', () => {
  // 'a' is 00011, padded with ones.
  const target = new Uint8Array(8)
  assert.equal(decodeHuffman(Uint8Array.of(0x1f), { start: 0, end: 1 }, target), 1)
  assert.equal(target[0], 0x61)
})

const name = fc.stringMatching(/^x-[a-z0-9]{1,20}$/)
const value = fc.stringMatching(/^[!-~](?:[ -~]{0,60}[!-~])?$/)
const fields = fc.array(fc.tuple(fc.oneof(fc.constant('x-again'), name), value), { maxLength: 12 })

test('property: what our encoder writes our decoder reads, whatever size the table has', () => {
  const blocks = fc.array(fc.tuple(fields, fc.option(fc.nat(5000), { nil: undefined })), {
    maxLength: 12,
  })
  fc.assert(
    fc.property(blocks, (sent) => {
      const encoder = new HpackEncoder(4096)
      const decoder = new HpackDecoder()
      for (const [block, limit] of sent) {
        if (limit !== undefined) encoder.limitTable(limit)
        encoder.begin()
        for (const [one, text] of block) encoder.field(one, text)
        const bytes = Buffer.from(encoder.end(), 'latin1').toString('hex')
        assert.deepEqual(decode(decoder, bytes), block)
      }
    }),
  )
})

test("property: Node's own codec reads what we write, and we read what it writes", async () => {
  const echo = createServer((request, response) => {
    // Back as response fields: the server's encoder has its own table and Huffman code.
    const back = Object.fromEntries(
      Object.entries(request.headers).filter(([key]) => key.startsWith('x-')),
    )
    response.writeHead(200, back as IncomingHttpHeaders)
    response.end()
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const { port } = echo.address() as AddressInfo
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(fields, { minLength: 1, maxLength: 6 }), async (requests) => {
        const answers = await exchangeRaw(port, requests)
        for (const [index, request] of requests.entries()) {
          const expected = new Map<string, string[]>()
          for (const [key, text] of request) expected.set(key, [...(expected.get(key) ?? []), text])
          const got = new Map<string, string>(answers[index])
          for (const [key, texts] of expected) assert.equal(got.get(key), texts.join(', '))
        }
      }),
      { numRuns: 25 },
    )
  } finally {
    echo.close()
  }
})
