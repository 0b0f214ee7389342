/** The PROXY protocol, in literal bytes, each case also split at every byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { encodeProxyHeader, parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts'

const signature = '0d0a0d0a000d0a515549540a'
const addressesV4 = {
  remoteAddress: '10.1.2.3',
  remotePort: 1000,
  localAddress: '10.0.0.1',
  localPort: 443,
}
const blockV4 = '0a0102030a00000103e801bb'
const addressesV6 = { ...addressesV4, remoteAddress: '1:2:3::4', localAddress: '5:6::7:8' }
const blockV6 = '000100020003000000000000000000040005000600000000000000000007000803e801bb'

interface Case {
  readonly name: string
  readonly sent: Buffer
  readonly expected: Partial<Extract<ProxyHeader, { kind: 'header' }>> | ProxyHeader['kind']
}

function line(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function binary(hex: string): Buffer {
  return Buffer.from(signature + hex, 'hex')
}

const cases: readonly Case[] = [
  {
    name: 'version 1, IPv4',
    sent: line('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\n'),
    expected: { addresses: addressesV4 },
  },
  {
    name: 'version 1, IPv6',
    sent: line('PROXY TCP6 1:2:3::4 5:6::7:8 1000 443\r\n'),
    expected: { addresses: addressesV6 },
  },
  {
    name: 'version 1, unknown: the connection’s own addresses hold',
    sent: line('PROXY UNKNOWN\r\n'),
    expected: { addresses: undefined },
  },
  {
    name: 'version 1, unknown with addresses: they are not believed',
    sent: line('PROXY UNKNOWN 10.1.2.3 10.0.0.1 1000 443\r\n'),
    expected: { addresses: undefined },
  },
  { name: 'version 1 without a family', sent: line('PROXY \r\n'), expected: 'bad' },
  { name: 'version 1 with a double space', sent: line('PROXY  UNKNOWN\r\n'), expected: 'bad' },
  { name: 'a line feed alone', sent: line('PROXY UNKNOWN\n'), expected: 'bad' },
  {
    name: 'an address of the other family',
    sent: line('PROXY TCP4 1:2:3::4 5:6::7:8 1000 443\r\n'),
    expected: 'bad',
  },
  {
    name: 'an address with a port in it',
    sent: line('PROXY TCP4 10.1.2.3:1 10.0.0.1 1000 443\r\n'),
    expected: 'bad',
  },
  {
    name: 'a port with a leading zero',
    sent: line('PROXY TCP4 10.1.2.3 10.0.0.1 01000 443\r\n'),
    expected: 'bad',
  },
  {
    name: 'a port that is none',
    sent: line('PROXY TCP4 10.1.2.3 10.0.0.1 65536 443\r\n'),
    expected: 'bad',
  },
  {
    name: 'a missing field',
    sent: line('PROXY TCP4 10.1.2.3 10.0.0.1 1000\r\n'),
    expected: 'bad',
  },
  {
    name: 'one field too many',
    sent: line('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443 x\r\n'),
    expected: 'bad',
  },
  {
    name: 'a multicast source',
    sent: line('PROXY TCP4 224.0.0.1 10.0.0.1 1000 443\r\n'),
    expected: 'bad',
  },
  {
    name: 'a line without an end',
    sent: line(`PROXY UNKNOWN ${'x'.repeat(100)}`),
    expected: 'bad',
  },
  { name: 'lower case', sent: line('proxy unknown\r\n'), expected: 'none' },
  { name: 'a request', sent: line('GET / HTTP/1.1\r\n'), expected: 'none' },
  { name: 'a request that begins alike', sent: line('PRI * HTTP/2.0\r\n'), expected: 'none' },
  {
    name: 'version 2, IPv4',
    sent: binary(`2111000c${blockV4}`),
    expected: { addresses: addressesV4 },
  },
  {
    name: 'version 2, IPv6',
    sent: binary(`21210024${blockV6}`),
    expected: { addresses: addressesV6 },
  },
  {
    name: 'version 2 with a TLV: not looked into',
    sent: binary(`21110010${blockV4}02000141`),
    expected: { addresses: addressesV4, length: 32 },
  },
  {
    name: 'version 2 with a TLV that is longer than the header (CVE-2026-47692)',
    sent: binary(`2111000f${blockV4}02ffff`),
    expected: 'bad',
  },
  {
    name: 'version 2 with half of a TLV',
    sent: binary(`2111000e${blockV4}0200`),
    expected: 'bad',
  },
  {
    name: 'version 2, IPv4 addresses as IPv6',
    sent: binary(
      '2121002400000000000000000000ffff0a01020300000000000000000000ffff0a00000103e801bb',
    ),
    expected: {
      addresses: {
        ...addressesV4,
        remoteAddress: '::ffff:10.1.2.3',
        localAddress: '::ffff:10.0.0.1',
      },
    },
  },
  {
    name: 'LOCAL without addresses (CVE-2024-23327)',
    sent: binary('20000000'),
    expected: { addresses: undefined, length: 16 },
  },
  {
    name: 'LOCAL with addresses: a forged block is not believed',
    sent: binary(`2011000c${blockV4}`),
    expected: { addresses: undefined, length: 28 },
  },
  {
    name: 'a Unix socket (CVE-2024-23325)',
    sent: binary('213100d8' + '00'.repeat(216)),
    expected: 'bad',
  },
  { name: 'PROXY of an unspecified family', sent: binary('21000000'), expected: 'bad' },
  { name: 'an unknown transport', sent: binary(`2113000c${blockV4}`), expected: 'bad' },
  {
    name: 'addresses that are too short',
    sent: binary('2111000b0a0102030a00000103e801'),
    expected: 'bad',
  },
  { name: 'another version', sent: binary(`3111000c${blockV4}`), expected: 'bad' },
  { name: 'an unknown command', sent: binary(`2211000c${blockV4}`), expected: 'bad' },
]

for (const { name, sent, expected } of cases) {
  test(`${name}, in one piece and split at every byte`, () => {
    const whole = parseProxyHeader(sent)
    assert.equal(
      whole.kind,
      typeof expected === 'string' ? expected : 'header',
      JSON.stringify(whole),
    )
    if (typeof expected !== 'string') {
      for (const [key, value] of Object.entries(expected)) {
        assert.deepEqual(whole[key as keyof typeof whole], value)
      }
    }
    for (let length = 0; length < sent.length; length += 1) {
      const part = parseProxyHeader(sent.subarray(0, length))
      assert.ok(part.kind === 'more' || part.kind === whole.kind, `${length}: ${part.kind}`)
      if (whole.kind === 'header') assert.equal(part.kind, 'more', String(length))
    }
    const followed = parseProxyHeader(Buffer.concat([sent, Buffer.from('GET / HTTP/1.1\r\n')]))
    if (whole.kind === 'header') assert.deepEqual(followed, whole)
  })
}

test('what is written is read as it was meant', () => {
  const port = fc.integer({ min: 0, max: 65_535 })
  const unicastV4 = fc
    .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255))
    .map((octets) => octets.join('.'))
  const unicastV6 = fc
    .array(fc.integer({ min: 0, max: 65_535 }), { minLength: 7, maxLength: 7 })
    .map((groups) => ['2001', ...groups.map((group) => group.toString(16))].join(':'))
    .map((address) => new URL(`http://[${address}]/`).hostname.slice(1, -1))
  const addresses = fc.oneof(
    ...[unicastV4, unicastV6].map((address) =>
      fc.record(
        { remoteAddress: address, localAddress: address, remotePort: port, localPort: port },
        { noNullPrototype: true },
      ),
    ),
  )
  fc.assert(
    fc.property(addresses, fc.constantFrom(1 as const, 2 as const), (given, version) => {
      const bytes = encodeProxyHeader(version, given)
      assert.deepEqual(parseProxyHeader(bytes), {
        kind: 'header',
        version,
        length: bytes.length,
        addresses: given,
      })
    }),
  )
})

test('without addresses, or with two of different families, the connection is our own', () => {
  const mixed = { ...addressesV4, localAddress: '::1' }
  for (const given of [undefined, mixed]) {
    assert.equal(encodeProxyHeader(1, given).toString(), 'PROXY UNKNOWN\r\n')
    assert.deepEqual(encodeProxyHeader(2, given), binary('20000000'))
  }
})

test('an IPv4 client of a socket on :: is IPv4', () => {
  const mapped = {
    ...addressesV4,
    remoteAddress: '::ffff:10.1.2.3',
    localAddress: '::ffff:10.0.0.1',
  }
  assert.deepEqual(encodeProxyHeader(2, mapped), binary(`2111000c${blockV4}`))
})

test('garbage is never taken for a header and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const parsed = parseProxyHeader(Buffer.from(bytes))
      assert.ok(['more', 'none', 'bad'].includes(parsed.kind))
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseProxyHeader(Buffer.concat([Buffer.from(signature, 'hex'), bytes]))
      parseProxyHeader(Buffer.concat([Buffer.from('PROXY '), bytes]))
    }),
  )
})
