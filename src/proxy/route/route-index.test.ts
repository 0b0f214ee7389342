/** The index answers as a linear search does, whatever the routes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  type Arbitrary,
  array,
  assert as assertProperty,
  constantFrom,
  property,
  record,
} from 'fast-check'

import { type PathKey, createRouteIndex, findLinear } from './route-index.ts'

interface TestRoute {
  readonly key: PathKey
  readonly matches: (input: string) => boolean
}

const segment = constantFrom('a', 'b', 'ab', 'abc', '')
const path = array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`)

const route: Arbitrary<TestRoute> = record({
  kind: constantFrom('exact', 'prefix', 'separated', 'other', 'never'),
  path,
}).map(({ kind, path }): TestRoute => {
  switch (kind) {
    case 'exact':
      return { key: { kind: 'exact', path }, matches: (input) => input === path }
    case 'prefix':
      return { key: { kind: 'prefix', prefix: path }, matches: (input) => input.startsWith(path) }
    case 'separated':
      return {
        key: { kind: 'prefix', prefix: path },
        matches: (input) => input === path || input.startsWith(`${path}/`),
      }
    case 'other':
      return { key: { kind: 'other' }, matches: (input) => input.endsWith(path) }
    case 'never':
    default:
      // The path fits and a header, say, does not.
      return { key: { kind: 'exact', path }, matches: () => false }
  }
})

test('the index finds the first match in order, as a linear search does', () => {
  assertProperty(
    property(array(route, { maxLength: 40 }), array(path, { maxLength: 20 }), (routes, paths) => {
      const find = createRouteIndex<string, TestRoute>(routes)
      for (const input of paths) assert.equal(find(input, input), findLinear(routes, input))
    }),
    { numRuns: 500 },
  )
})

test('a thousand prefixes cost hardly more than one', () => {
  const routes = Array.from({ length: 1000 }, (_, index): TestRoute & { tried: number } => {
    const prefix = `/service-${index}/`
    const one = {
      key: { kind: 'prefix', prefix } as const,
      tried: 0,
      matches: (input: string) => {
        one.tried += 1
        return input.startsWith(prefix)
      },
    }
    return one
  })
  const find = createRouteIndex<string, TestRoute & { tried: number }>(routes)
  const input = '/service-999/orders'
  assert.equal(find(input, input), routes[999])
  assert.equal(
    routes.reduce((sum, one) => sum + one.tried, 0),
    1,
  )
})
