/** Envoy's order of matching, where each dimension decides for good. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { anyConnection } from '../config/compile-chain-match.ts'
import { type ConnectionFacts, chooseChain } from './choose-chain.ts'
import type { AddressRange, ChainMatch, FilterChain } from './listener-config.ts'

const network = { kind: 'tcp', proxy: {} } as unknown as FilterChain['network'] // never opened here

function chains(matches: Readonly<Record<string, Partial<ChainMatch>>>): readonly FilterChain[] {
  return Object.entries(matches).map(([name, match]) => ({
    name,
    match: { ...anyConnection, ...match },
    network,
  }))
}

const facts: ConnectionFacts = {
  transportProtocol: 'tls',
  serverName: 'a.example.com',
  applicationProtocols: ['x', 'y'],
  localAddress: '10.0.0.1',
  localPort: 443,
  remoteAddress: '192.168.1.9',
  remotePort: 5_000,
}

function prefix(text: string, prefixLength: number): AddressRange {
  return { prefixLength, contains: (address) => address.startsWith(text) }
}

interface Case {
  readonly name: string
  readonly matches: Readonly<Record<string, Partial<ChainMatch>>>
  readonly facts?: Partial<ConnectionFacts>
  readonly chosen: string | undefined
}

const cases: readonly Case[] = [
  { name: 'no chain for another port', matches: { a: { destinationPort: 80 } }, chosen: undefined },
  {
    name: 'the port decides before the name, and for good',
    matches: {
      port: { destinationPort: 443, serverNames: ['other.test'] },
      name: { serverNames: ['a.example.com'] },
    },
    chosen: undefined,
  },
  {
    name: 'the longest prefix of the destination wins',
    matches: {
      wide: { destinationRanges: [prefix('10.', 8)] },
      narrow: { destinationRanges: [prefix('10.0.0.', 24)] },
    },
    chosen: 'narrow',
  },
  {
    name: 'a whole name wins over a wildcard, a wildcard over nothing said',
    matches: {
      any: {},
      wildcard: { serverNames: ['.example.com'] },
      whole: { serverNames: ['a.example.com'] },
    },
    chosen: 'whole',
  },
  {
    name: 'a wildcard is no match for the name behind its dot',
    matches: { wildcard: { serverNames: ['.a.example.com'] } },
    chosen: undefined,
  },
  {
    name: 'the name decides before the protocol: its chain is not given up for another',
    matches: {
      named: { serverNames: ['a.example.com'], applicationProtocols: ['z'] },
      protocol: { applicationProtocols: ['x'] },
    },
    chosen: undefined,
  },
  {
    name: 'the client’s first protocol wins, wherever the chain stands',
    matches: { y: { applicationProtocols: ['y'] }, x: { applicationProtocols: ['x'] } },
    chosen: 'x',
  },
  {
    name: 'plaintext goes to its own chain',
    matches: { tls: { transportProtocol: 'tls' }, raw: { transportProtocol: 'raw_buffer' } },
    facts: { transportProtocol: 'raw_buffer' },
    chosen: 'raw',
  },
  {
    name: 'a client of this machine is local',
    matches: { local: { sourceType: 'local' }, any: {} },
    facts: { remoteAddress: '127.0.0.1' },
    chosen: 'local',
  },
  {
    name: 'and one from elsewhere is not',
    matches: { local: { sourceType: 'local' }, external: { sourceType: 'external' } },
    chosen: 'external',
  },
  {
    name: 'the source’s range and port decide last',
    matches: {
      any: {},
      range: { sourceRanges: [prefix('192.168.', 16)] },
      port: { sourceRanges: [prefix('192.168.', 16)], sourcePorts: [5_000] },
    },
    chosen: 'port',
  },
]

for (const { name, matches, facts: changes, chosen } of cases) {
  test(name, () => {
    assert.equal(chooseChain(chains(matches), { ...facts, ...changes })?.name, chosen)
  })
}
