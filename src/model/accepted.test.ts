/**
 * Resources as they are found in the wild are accepted, in every version of their kind; independent schemas
 * generated from Istio's CRDs agree, and whatever those refuse, we refuse.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import * as oracle from '@kubernetes-models/istio/networking.istio.io/v1'
import * as fc from 'fast-check'
import { parseAllDocuments } from 'yaml'

import { describe, expectWellSaid } from '../../test/support/issue-table.ts'
import { parseText, validate } from './parse.ts'

const folder = join(import.meta.dirname, 'testdata/accepted')
const files = readdirSync(folder).map((name) => join(folder, name))

interface Written {
  readonly apiVersion: string
  readonly kind: string
  readonly spec: unknown
}

/** The documents as any YAML reader sees them. */
function writtenIn(file: string): readonly Written[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Written)
}

const written = files.flatMap(writtenIn)

for (const file of files) {
  test(`${file.slice(folder.length + 1)} is accepted, as it is and in every version`, () => {
    const text = readFileSync(file, 'utf8')
    for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
      const documents = parseText(
        text.replaceAll(/(networking\.istio\.io)\/v\w+/g, `$1/${version}`),
        file,
      )
      for (const document of documents) {
        assert.equal(
          document.issues.some(({ severity }) => severity === 'error'),
          false,
          describe(document.issues),
        )
        expectWellSaid(document)
      }
    }
  })

  test(`${file.slice(folder.length + 1)} is read as it is written`, () => {
    const read = parseText(readFileSync(file, 'utf8'), file)
    const originals = writtenIn(file)
    assert.equal(read.length, originals.length)
    for (const [index, { resource }] of read.entries()) {
      if (resource !== undefined) assert.deepEqual(resource.spec, originals[index]?.spec)
    }
  })
}

/** What the oracle finds wrong, or nothing; undefined for kinds that it does not have. */
function oracleVerdict(resource: Written): string | undefined {
  const models: Readonly<Record<string, new (data: never) => { validate(): void }>> = {
    VirtualService: oracle.VirtualService,
    DestinationRule: oracle.DestinationRule,
    ServiceEntry: oracle.ServiceEntry,
    WorkloadEntry: oracle.WorkloadEntry,
    WorkloadGroup: oracle.WorkloadGroup,
  }
  const model = models[resource.kind]
  if (model === undefined) return undefined
  try {
    // The oracle is made for v1; the other versions have the same fields.
    new model({ ...resource, apiVersion: 'networking.istio.io/v1' } as never).validate()
    return ''
  } catch (thrown) {
    return String(thrown)
  }
}

test('independent schemas accept the same resources', () => {
  const verdicts = written.map(oracleVerdict).filter((verdict) => verdict !== undefined)
  assert.ok(verdicts.length > 30)
  assert.deepEqual(
    verdicts.filter((verdict) => verdict !== ''),
    [],
  )
})

/** Values that are mostly out of place; null is left out, which Kubernetes takes for an absent field. */
const strange: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(true, '', 'x', '10s', 'ROUND_ROBIN', 0, -1, 1.5, 5_000_000_000),
  fc.constantFrom<unknown>([], {}, [null], ['a'], { a: 'b' }, 'STATIC', '5', 99_999),
  fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('null')),
)

/** Copies a value with what stands at a path, chosen by numbers, replaced. */
function mutate(value: unknown, choices: readonly number[], replacement: unknown): unknown {
  const [choice, ...rest] = choices
  if (choice === undefined || typeof value !== 'object' || value === null) return replacement
  const entries = Object.entries(value)
  if (entries.length === 0) return replacement
  const [key] = entries[choice % entries.length] as [string, unknown]
  const copy: Record<string, unknown> = Array.isArray(value)
    ? (Array.from(value) as never)
    : { ...value }
  copy[key] = mutate(copy[key], rest, replacement)
  return copy
}

const mutated = fc
  .tuple(
    fc.constantFrom(...written.filter((resource) => oracleVerdict(resource) !== undefined)),
    fc.array(fc.nat(50), { minLength: 1, maxLength: 7 }),
    strange,
  )
  .map(([resource, choices, replacement]): Written => ({
    ...resource,
    spec: mutate(resource.spec, choices, replacement),
  }))

test('what the independent schemas refuse, we refuse', () => {
  fc.assert(
    fc.property(mutated, (resource: Written) => {
      const verdict = oracleVerdict(resource)
      fc.pre(verdict !== '')
      assert.equal(validate(resource).ok, false, verdict ?? '')
    }),
    { numRuns: 2000 },
  )
})
