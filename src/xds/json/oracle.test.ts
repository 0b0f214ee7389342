/** Our JSON against protobuf-es: for random messages of every type both read and write the same. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import {
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { assert as check, constantFrom, infiniteStream, nat, property } from 'fast-check'

import { MessageJson } from '../json.ts'

const descriptors = join(import.meta.dirname, '../proto/generated/descriptors.binpb')
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)))
const types = [...registry].filter(
  (type): type is DescMessage => type.kind === 'message' && type.file.proto.syntax === 'proto3',
)
const json = new MessageJson()

describe('JSON of messages, compared with protobuf-es', () => {
  test('what both write of random messages is the same', () => {
    check(
      property(constantFrom(...types), infiniteStream(nat(999)), (type, draws) => {
        const input = new Draw(draws).message(type, 0)
        const theirs = fromJson(type, input as never, { registry })
        const ours = fromBinary(type, json.parseBytes(type.typeName, input))
        const expected = theirJson(type, theirs)
        assert.deepEqual(theirJson(type, ours), expected, `read ${JSON.stringify(input)}`)
        const written = json.bytesToJson(type.typeName, toBinary(type, theirs))
        assert.deepEqual(written, expected, `written ${JSON.stringify(input)}`)
      }),
      { numRuns: 3_000 },
    )
  })

  test('JSON with one wrong value is refused by both, or read as the same by both', () => {
    check(
      property(
        constantFrom(...types),
        infiniteStream(nat(999)),
        constantFrom<unknown>(...oddities),
        (type, draws, oddity) => {
          const draw = new Draw(draws)
          const input = draw.spoil(draw.message(type, 0), oddity)
          // By way of bytes, which round a float.
          const theirs = attempt(() =>
            fromBinary(type, toBinary(type, fromJson(type, input as never, { registry }))),
          )
          const ours = attempt(() => fromBinary(type, json.parseBytes(type.typeName, input)))
          const text = `${JSON.stringify(input)} as ${type.typeName}`
          assert.equal(ours !== undefined, theirs !== undefined, text)
          if (ours === undefined || theirs === undefined) return
          assert.deepEqual(theirJson(type, ours), theirJson(type, theirs), text)
        },
      ),
      { numRuns: 3_000 },
    )
  })
})

const oddities = [
  null,
  true,
  '',
  'x',
  '1',
  '-1',
  '1.5',
  1.5,
  -1,
  2 ** 31,
  2 ** 32,
  -(2 ** 31) - 1,
  1e40,
  'NaN',
  '1.5s',
  '-0.000000001s',
  '2000-01-01T00:00:00Z',
  [],
  [null],
  {},
  { unknown: 1 },
]

function theirJson(type: DescMessage, message: Message) {
  return toJson(type, message, { registry, useProtoFieldName: true })
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Makes JSON out of random numbers. */
class Draw {
  readonly #draws: Iterator<number>

  constructor(draws: Iterable<number>) {
    this.#draws = draws[Symbol.iterator]()
  }

  below(end: number): number {
    return (this.#draws.next().value as number) % end
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  message(type: DescMessage, depth: number): unknown {
    const special = this.#wellKnown(type.typeName, depth)
    if (special !== undefined) return special.value
    const fields = type.members.flatMap((member) =>
      member.kind === 'oneof' ? [this.pick(member.fields)] : [member],
    )
    const some = fields.filter(() => this.below(depth + 2) === 0)
    return Object.fromEntries(
      some.map((field) => [this.pick([field.name, field.jsonName]), this.#field(field, depth)]),
    )
  }

  /** Puts a value somewhere where it may be wrong. */
  spoil(json: unknown, oddity: unknown): unknown {
    if (typeof json !== 'object' || json === null || this.below(4) === 0) return oddity
    const keys = Object.keys(json)
    if (keys.length === 0) return oddity
    const key = this.pick(keys)
    const changed = this.spoil((json as Record<string, unknown>)[key], oddity)
    return Array.isArray(json) ? json.with(Number(key), changed) : { ...json, [key]: changed }
  }

  #field(field: DescField, depth: number): unknown {
    if (field.fieldKind === 'list') {
      return Array.from({ length: this.below(3) }, () => this.#value(field, depth))
    }
    if (field.fieldKind !== 'map') return this.#value(field, depth)
    const keys = field.mapKey === ScalarType.STRING ? ['', 'a_b', '@type'] : ['1', '2']
    if (field.mapKey === ScalarType.BOOL) keys.splice(0, 2, 'true', 'false')
    return Object.fromEntries(
      keys.slice(this.below(3)).map((key) => [key, this.#value(field, depth)]),
    )
  }

  #value({ message, enum: choice, scalar }: DescField, depth: number): unknown {
    if (message !== undefined) return this.message(message, depth + 1)
    if (choice !== undefined) {
      const value = this.pick(choice.values)
      return this.pick<unknown>([value.name, value.number, 77])
    }
    return this.#scalar(scalar ?? ScalarType.STRING)
  }

  #scalar(scalar: ScalarType): unknown {
    if (scalar === ScalarType.STRING) return this.pick(['', 'a', 'ÄB€😀', '10s', '1'])
    if (scalar === ScalarType.BOOL) return this.pick([true, false])
    if (scalar === ScalarType.BYTES) return this.pick(['', 'AAEC', '_-8', '//8='])
    const whole = [0, 1, '7', 4_095]
    if (scalar === ScalarType.DOUBLE || scalar === ScalarType.FLOAT) {
      return this.pick<unknown>([...whole, 1.5, -2, '3.25', 'NaN', 'Infinity', '-Infinity', 1e10])
    }
    const isLong = ScalarType[scalar].endsWith('64')
    return this.pick<unknown>(isLong ? [...whole, '9007199254740993'] : whole)
  }

  #wellKnown(typeName: string, depth: number): { value: unknown } | undefined {
    if (typeName === 'google.protobuf.Any') return { value: this.#any(depth) }
    if (typeName === 'google.protobuf.Duration') {
      return { value: this.pick(['0s', '1.5s', '-0.25s', '3600s', '-7s', '0.000000001s']) }
    }
    if (typeName === 'google.protobuf.Timestamp') {
      return { value: this.pick(['1970-01-01T00:00:00Z', '2026-01-02T03:04:05.678+01:00']) }
    }
    if (typeName === 'google.protobuf.FieldMask') return { value: this.pick(['', 'a.bC,d']) }
    if (typeName === 'google.protobuf.Struct') return { value: { a_b: this.#free(depth), '': 1 } }
    if (typeName === 'google.protobuf.Value') return { value: this.#free(depth) }
    if (typeName === 'google.protobuf.ListValue') return { value: [this.#free(depth)] }
    const wrapper = /^google\.protobuf\.(\w+)Value$/.exec(typeName)?.[1]?.toUpperCase()
    const scalar = ScalarType[(wrapper ?? '') as keyof typeof ScalarType]
    return scalar === undefined ? undefined : { value: this.#scalar(scalar) }
  }

  #free(depth: number): unknown {
    const leaf = [null, true, 0, -1.5, 'x', [], {}]
    if (depth > 4) return this.pick<unknown>(leaf)
    return this.pick<unknown>([...leaf, [this.#free(depth + 1)], { a: this.#free(depth + 1) }])
  }

  #any(depth: number): unknown {
    const type = this.pick(types)
    if (depth > 3 || type.typeName === 'google.protobuf.Any') return {}
    const inner = this.message(type, depth + 1)
    const typeUrl = `type.googleapis.com/${type.typeName}`
    const isBare = /^google\.protobuf\.(?!Empty)/.test(type.typeName)
    return isBare ? { '@type': typeUrl, value: inner } : { '@type': typeUrl, ...(inner as object) }
  }
}
